package kafkalab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/test/scratch"
)

// MirrorConfig says what MirrorMaker 2 copies, in dedicated mode, with identical topic names. Without
// Defaults it is tuned as for the comparison figures: 4 tasks, 256 KB lz4 batches.
type MirrorConfig struct {
	Source, Target []string // bootstrap addresses, plaintext
	Topics         string   // MirrorMaker's own form: names and regexes, comma-separated

	Tasks       int               // tasks.max, 4 by default
	Codec       string            // producer compression, lz4 by default
	ExactlyOnce bool              // exactly-once source support at the target
	Defaults    bool              // MirrorMaker's own settings of tasks, batches and codec
	Overrides   map[string]string // properties, over all others; the clusters are called S and T

	HeapMB   int    // 2048 by default
	LogLevel string // WARN by default
	Dir      string // parent of the folder; os.TempDir() by default
}

// MirrorMaker is a running MirrorMaker 2 process.
type MirrorMaker struct {
	dir    string
	files  *scratch.Folder // at dir
	proc   *process
	closed atomic.Bool
}

// StartMirrorMaker starts MirrorMaker 2 for a test and ends it with the test. It needs some ten
// seconds until its first record: wait for that at the target.
func StartMirrorMaker(t testing.TB, cfg MirrorConfig) *MirrorMaker {
	t.Helper()
	Require(t)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	m, err := OpenMirrorMaker(ctx, cfg)
	if err != nil {
		t.Fatalf("starting MirrorMaker: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(m.LogTail(30))
		}
		if err := m.Close(); err != nil {
			t.Errorf("closing MirrorMaker: %v", err)
		}
	})
	return m
}

// OpenMirrorMaker starts MirrorMaker 2 of version V4. The caller closes it.
func OpenMirrorMaker(ctx context.Context, cfg MirrorConfig) (*MirrorMaker, error) {
	in, err := openInstall(ctx, V4)
	if err != nil {
		return nil, err
	}
	files, err := scratch.Make(cfg.Dir, dirPrefix)
	if err != nil {
		return nil, err
	}
	m := &MirrorMaker{dir: files.Path, files: files}
	if err := m.start(in, cfg); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// start writes the properties and starts the process.
func (m *MirrorMaker) start(in *install, cfg MirrorConfig) (err error) {
	var text strings.Builder
	props := cfg.properties()
	for _, k := range slices.Sorted(maps.Keys(props)) {
		fmt.Fprintf(&text, "%s=%s\n", k, strings.ReplaceAll(props[k], `\`, `\\`))
	}
	file := filepath.Join(m.dir, "mm2.properties")
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("writing MirrorMaker's properties: %w", err)
	}
	heap, level := cfg.HeapMB, cfg.LogLevel
	if heap == 0 {
		heap = 2048
	}
	if level == "" {
		level = "WARN"
	}
	args := append(in.javaArgs(heap, level), "org.apache.kafka.connect.mirror.MirrorMaker", file)
	m.proc, err = startProcess("MirrorMaker", m.dir, filepath.Join(m.dir, "log"), args)
	return err
}

// properties returns mm2.properties.
func (cfg MirrorConfig) properties() map[string]string {
	p := map[string]string{
		"clusters":            "S, T",
		"S.bootstrap.servers": strings.Join(cfg.Source, ","),
		"T.bootstrap.servers": strings.Join(cfg.Target, ","),
		"S->T.enabled":        "true",
		"T->S.enabled":        "false",
		"S->T.topics":         cfg.Topics,
		// Same names on both sides; the heartbeats would else be created at the source, too.
		"replication.policy.class":               "org.apache.kafka.connect.mirror.IdentityReplicationPolicy",
		"emit.heartbeats.enabled":                "false",
		"replication.factor":                     "1",
		"offset-syncs.topic.replication.factor":  "1",
		"checkpoints.topic.replication.factor":   "1",
		"heartbeats.topic.replication.factor":    "1",
		"config.storage.replication.factor":      "1",
		"offset.storage.replication.factor":      "1",
		"status.storage.replication.factor":      "1",
		"dedicated.mode.enable.internal.rest":    "false",
		"S->T.sync.topic.acls.enabled":           "false",
		"S->T.consumer.auto.offset.reset":        "earliest",
		"S->T.refresh.topics.interval.seconds":   "5",
		"S->T.emit.checkpoints.interval.seconds": "60",
	}
	if !cfg.Defaults {
		tasks, codec := cfg.Tasks, cfg.Codec
		if tasks == 0 {
			tasks = 4
		}
		if codec == "" {
			codec = "lz4"
		}
		maps.Copy(p, map[string]string{
			"plugin.discovery":                     "service_load", // else half of the start is spent scanning jars
			"tasks.max":                            fmt.Sprint(tasks),
			"T.producer.compression.type":          codec,
			"T.producer.batch.size":                "262144",
			"T.producer.linger.ms":                 "20",
			"T.producer.buffer.memory":             "67108864",
			"T.producer.max.request.size":          "4194304",
			"S.consumer.fetch.max.bytes":           "52428800",
			"S.consumer.max.partition.fetch.bytes": "4194304",
			"S.consumer.max.poll.records":          "5000",
		})
	}
	if cfg.ExactlyOnce {
		p["T.exactly.once.source.support"] = "enabled"
		p["dedicated.mode.enable.internal.rest"] = "true"
		p["listeners"] = "http://127.0.0.1:0"
	}
	maps.Copy(p, cfg.Overrides)
	return p
}

// PID returns the process id.
func (m *MirrorMaker) PID() int { return m.proc.pid() }

// Usage returns what the process has used so far.
func (m *MirrorMaker) Usage() (ProcessUsage, error) { return Usage(m.proc.pid()) }

// Kill ends the process with SIGKILL.
func (m *MirrorMaker) Kill() error { return m.proc.kill() }

// LogTail returns the last n lines of the log.
func (m *MirrorMaker) LogTail(n int) string {
	b, err := os.ReadFile(filepath.Join(m.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return tail(b, n)
}

// Close kills the process and removes its folder. Closing twice is fine.
func (m *MirrorMaker) Close() error {
	if m.closed.Swap(true) {
		return nil
	}
	var err error
	if m.proc != nil {
		err = m.proc.kill()
	}
	return errors.Join(err, m.files.Remove())
}

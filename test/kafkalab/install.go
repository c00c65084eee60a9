package kafkalab

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"sluice/test/scratch"
	"sluice/test/wait"
)

//go:embed maven/pom-*.xml maven/*.properties
var mavenFiles embed.FS

// installRevision is part of the cache folder's name: raise it whenever what install writes changes.
const installRevision = "r1"

// install is one version of Kafka on this machine, shared by all clusters and test processes.
type install struct {
	dir string // libs/, log configurations, bootstrap.checkpoint, kafka.jsa
}

// openInstall returns the version's installation and makes it first if need be, under a file lock,
// so that test processes that start together do it once. It appears by rename: never half.
func openInstall(ctx context.Context, version string) (*install, error) {
	root, err := scratch.Shared("")
	if err != nil {
		return nil, err
	}
	in := &install{dir: filepath.Join(root, version+"-"+installRevision)}
	if in.complete() {
		return in, nil
	}
	unlock, err := scratch.Lock(in.dir + ".lock")
	if err != nil {
		return nil, fmt.Errorf("locking the cache: %w", err)
	}
	defer unlock()
	if !in.exists() {
		if err := fetch(ctx, version, in.dir); err != nil {
			return nil, fmt.Errorf("installing Kafka %s: %w", version, err)
		}
	}
	if !in.complete() {
		if err := in.archiveClasses(ctx); err != nil {
			return nil, fmt.Errorf("archiving classes of Kafka %s: %w", version, err)
		}
	}
	return in, nil
}

func (in *install) exists() bool { return fileExists(filepath.Join(in.dir, "bootstrap.checkpoint")) }

func (in *install) complete() bool { return in.exists() && fileExists(in.archive()) }

// archive is a class data sharing archive of a started broker: a broker starts in half the time and
// CPU with it. Another JVM than the one that wrote it ignores it in silence.
func (in *install) archive() string { return filepath.Join(in.dir, "kafka.jsa") }

// classPath is left to the JVM to expand, as in the archive, which is bound to the very paths.
func (in *install) classPath() string { return filepath.Join(in.dir, "libs") + "/*" }

// javaArgs returns the flags that every JVM of the lab is started with, before the class's name.
func (in *install) javaArgs(heapMB int, logLevel string) []string {
	return []string{
		fmt.Sprintf("-Xmx%dm", heapMB), "-XX:-UsePerfData", "-Xlog:disable", "-Xlog:all=error:stderr",
		"-Djava.net.preferIPv4Stack=true",
		"-Dkafkalab.log.level=" + logLevel,
		"-Dlog4j2.configurationFile=" + filepath.Join(in.dir, "log4j2.properties"),
		"-Dlog4j.configuration=file:" + filepath.Join(in.dir, "log4j.properties"),
		"-cp", in.classPath(),
	}
}

// fetch fills a folder beside dir and renames it: jars by Maven, log configurations, and the
// bootstrap metadata that a freshly formatted controller starts from.
func fetch(ctx context.Context, version, dir string) error {
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	files := map[string]string{"pom.xml": "pom-" + version + ".xml",
		"log4j2.properties": "log4j2.properties", "log4j.properties": "log4j.properties"}
	for to, from := range files {
		b, err := mavenFiles.ReadFile("maven/" + from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(tmp, to), b, 0o644); err != nil {
			return err
		}
	}
	mvn := exec.CommandContext(ctx, "mvn", "-B", "-q", "dependency:copy-dependencies",
		"-DoutputDirectory="+filepath.Join(tmp, "libs"))
	mvn.Dir = tmp
	if out, err := mvn.CombinedOutput(); err != nil {
		return fmt.Errorf("running mvn: %w: %s", err, tail(out, 15))
	}
	if err := formatTemplate(ctx, tmp); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}

// formatTemplate keeps the bootstrap.checkpoint that Kafka's own formatter writes (the version's
// feature levels, bound to no cluster), so that later clusters are formatted without a JVM.
func formatTemplate(ctx context.Context, dir string) error {
	data, props := filepath.Join(dir, "template"), filepath.Join(dir, "template.properties")
	text := "process.roles=controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:1\n" +
		"listeners=CONTROLLER://127.0.0.1:1\ncontroller.listener.names=CONTROLLER\nlog.dirs=" + data + "\n"
	if err := os.WriteFile(props, []byte(text), 0o644); err != nil {
		return err
	}
	defer os.Remove(props)
	defer os.RemoveAll(data)
	in := install{dir: dir}
	args := append(in.javaArgs(256, "WARN"), "kafka.tools.StorageTool", "format", "-t", newUUID(), "-c", props)
	if out, err := exec.CommandContext(ctx, "java", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("formatting: %w: %s", err, tail(out, 15))
	}
	return os.Rename(filepath.Join(data, "bootstrap.checkpoint"), filepath.Join(dir, "bootstrap.checkpoint"))
}

// archiveClasses runs one broker, stops it gracefully and keeps the classes that it loaded. The
// archive is made after the folder has its final name since it is bound to the jars' paths.
func (in *install) archiveClasses(ctx context.Context) error {
	tmp := fmt.Sprintf("%s.%d", in.archive(), os.Getpid())
	defer os.Remove(tmp)
	cfg := Config{JVMFlags: []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:ArchiveClassesAtExit=" + tmp}}
	if filepath.Base(in.dir) == V3+"-"+installRevision {
		cfg.Version = V3
	}
	c, err := open(ctx, cfg, in)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.CreateTopic(ctx, Topic{Name: "warm-up", Partitions: 1}); err != nil {
		return err
	}
	if err := c.StopBroker(ctx, 0); err != nil {
		return err
	}
	if !fileExists(tmp) { // a JVM without class data sharing: an empty archive is ignored like a foreign one
		if err := os.WriteFile(tmp, nil, 0o644); err != nil {
			return err
		}
	}
	return os.Rename(tmp, in.archive())
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// pollEvery is how often the lab looks again for what it waits for.
const pollEvery = 20 * time.Millisecond

// poll calls f until it returns nil, until ctx ends, or until nothing has moved for long.
func poll(ctx context.Context, f func(context.Context) error) error {
	return wait.Until(ctx, pollEvery, wait.Patience, f)
}

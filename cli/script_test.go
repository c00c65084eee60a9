package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/fsm"
	"sluice/pki"
	"sluice/task"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sluice": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		code := Run(ctx, os.Args[1:], OSEnv(), testLocal())
		stop()
		os.Exit(code)
	}})
}

// testLocal stands for the program's own verbs: it says what it was told.
func testLocal() Local {
	return Local{
		Version: func() VersionInfo {
			return VersionInfo{Version: "v1.2.3", Commit: "abc", Date: "2026-01-31", Go: "go1.26"}
		},
		PrintConfig: func(w io.Writer, config string, origin bool) error {
			_, err := fmt.Fprintf(w, "config: %s %v\nhttp:\n  listen: 127.0.0.1:8080\njoin: [a:1, b:2]\n", config, origin)
			return err
		},
		Demo: func(_ context.Context, o DemoOptions) error {
			fmt.Fprintln(o.Stdout, "demo", o.Check)
			if o.Check {
				return BadAnswer("the sides differ")
			}
			return nil
		},
		Server: func(_ context.Context, config string, o ServerOptions) error {
			_, err := fmt.Println("server", config, o.Insecure, o.Join, "token="+o.Token)
			return err
		},
		CheckConfig: func(config string) ([]string, error) {
			_, err := os.Stat(config)
			return []string{"a warning"}, err
		},
		Rescue: rescued{},
		CreateCA: func(dir string) error {
			if dir == "full" {
				return errors.New("writing full/ca.pem: no space left on device")
			}
			_, err := fmt.Println("ca", dir)
			return err
		},
		CreateCert: func(dir, name string, hosts []string) error {
			_, err := fmt.Println("cert", dir, name, hosts)
			return err
		},
		RenewCert: func(dir, name string) (RenewedCert, error) {
			if dir == "nodes" {
				return RenewedCert{}, errors.New("reading the authority's key, without which nothing can be signed: open nodes/ca.key: no such file or directory")
			}
			day := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
			return RenewedCert{Former: day, Until: day.AddDate(0, 0, 825), Hosts: name + ".example"}, nil
		},
	}
}

// rescued knows the data dirs data, of n1, and any other, of n2, which holds more.
type rescued struct{}

func (rescued) Examine(_ string, others []string) ([]DataDir, error) {
	dirs := []DataDir{{Dir: "data", Node: "n1", ClusterID: "old", Term: 3, Index: 7, Links: 2, Streams: 12, Others: []string{"n2", "n3"}}}
	for _, dir := range others {
		dirs = append(dirs, DataDir{Dir: dir, Node: "n2", ClusterID: "old", Term: 3, Index: 8, Later: true, Links: 2, Streams: 12, Others: []string{"n1", "n3"}})
	}
	return dirs, nil
}

func (rescued) Recover(string) (Rescued, error) {
	return Rescued{ClusterID: "new", Node: "n1", Index: 7, Kept: "data/raft.lost"}, nil
}

func (rescued) Restore(string, string) (Rescued, error) {
	return Rescued{ClusterID: "new", Node: "n1", Index: 9}, nil
}

var update = flag.Bool("update", false, "write the golden files anew")

// TestScripts runs every verb as a process against a node that answers from
// real facts. A script changes the cluster with `cluster`, and compares what
// scripts of users rest on with `golden`.
func TestScripts(t *testing.T) {
	golden, err := filepath.Abs("testdata/golden")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			f := apitest.New(t)
			srv, _ := f.Serve(func(_ *api.Config, p *api.Parts) {
				p.Verify, p.Preflight, p.Claims = &verifier{}, preflight{}, claims{}
			})
			env.Setenv("SLUICE_ADDRESS", srv.URL)
			token := filepath.Join(env.WorkDir, "token")
			if err := os.WriteFile(token, []byte("0123456789abcdef\n"), 0o600); err != nil {
				return err
			}
			guarded, _ := f.Serve(func(c *api.Config, _ *api.Parts) { c.TokenFile = token })
			env.Setenv("GUARDED", guarded.URL)
			silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // a server notices only then that its client has gone
				<-r.Context().Done()
			}))
			env.Defer(silent.Close)
			env.Setenv("SILENT", silent.URL)
			env.Setenv("NO_COLOR", "1")
			env.Values["cluster"] = f
			ctx, cancel := context.WithCancel(context.Background())
			env.Defer(cancel)
			env.Values["follow"] = func() { go f.Follow(ctx) }
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"cluster": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(change(ts.Value("cluster").(*apitest.Cluster), args))
			},
			"golden": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(compareGolden(filepath.Join(golden, args[1]), ts.ReadFile(args[0])))
			},
			"follow":  func(ts *testscript.TestScript, _ bool, _ []string) { ts.Value("follow").(func())() },
			"exits":   exits,
			"columns": columns,
			"damage": func(ts *testscript.TestScript, _ bool, args []string) {
				path := ts.MkAbs(args[0])
				b, err := os.ReadFile(path)
				ts.Check(err)
				b[len(b)/2] ^= 1
				ts.Check(os.WriteFile(path, b, 0o600))
			},
		},
	})
}

// exits runs a command that must end with an exit code: exits CODE sluice ...
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		m := regexp.MustCompile(`exit status (\d+)`).FindStringSubmatch(err.Error())
		if m == nil {
			ts.Fatalf("%v", err)
		}
		code, _ = strconv.Atoi(m[1])
	}
	if args[0] != strconv.Itoa(code) {
		ts.Fatalf("exit code %d, not %s", code, args[0])
	}
}

// columns checks that no line of a file is longer.
func columns(ts *testscript.TestScript, _ bool, args []string) {
	most, err := strconv.Atoi(args[0])
	ts.Check(err)
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > most {
			ts.Fatalf("%d columns: %s", n, line)
		}
	}
}

func compareGolden(path, text string) error {
	for _, r := range []struct{ pattern, with string }{
		{`"(asOf)": "[^"]*"`, `"$1": "TIME"`},
		{`"(ageMillis)": \d+`, `"$1": 0`},
		{`(?m)^(n\d\t[^\t]*\t[^\t]*\t[^\t]*\t\d+\t)\d+`, `${1}0`},   // age of a node
		{`(?m)^(n\d\t[^\t]*\t[a-z]+\t)\d+(\t\d+\tok)`, `${1}0${2}`}, // and where its health is shown
	} {
		text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.with)
	}
	if *update {
		return os.WriteFile(path, []byte(text), 0o600)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if string(want) != text {
		return fmt.Errorf("%s differs; this is a contract with scripts. Got:\n%s", path, text)
	}
	return nil
}

// change carries out one line of a script on the cluster.
func change(f *apitest.Cluster, args []string) error {
	switch args[0] {
	case "link": // link STREAMS
		n, err := strconv.Atoi(args[1])
		f.WithLink(n)
		f.Report(fsm.CodeCopying, 0)
		return err
	case "report": // report STATE LAG
		lag, err := strconv.ParseInt(args[2], 10, 64)
		f.Report(fsm.Code(args[1]), lag)
		return err
	case "topics": // topics SELECTED [TOPIC CODE MESSAGE]
		return topics(f, args[1:])
	case "lift": // lift PARTITION: the order is carried out
		return lift(f, args[1])
	case "stop": // stop PARTITION CODE FROM TO MESSAGE
		return stop(f, args[1:])
	case "silent": // silent NODE
		f.With(func(f *apitest.Cluster) {
			for i := range f.Nodes {
				if "id"+strings.TrimPrefix(args[1], "n") == f.Nodes[i].ID {
					f.Nodes[i].Alive, f.Nodes[i].Heard = false, time.Time{}
				}
			}
		})
	case "certificate": // certificate NODE DAYS: that it ends in so many
		days, err := strconv.Atoi(args[2])
		end := time.Now().Add(time.Duration(days)*24*time.Hour + time.Minute)
		f.With(func(f *apitest.Cluster) {
			for i := range f.Nodes {
				if "id"+strings.TrimPrefix(args[1], "n") == f.Nodes[i].ID {
					f.Nodes[i].Certificates = []pki.Held{{Use: pki.UsePeer, Name: args[1], File: args[1] + ".pem", Until: end, Life: 825 * 24 * time.Hour}}
				}
			}
		})
		return err
	case "disk": // disk NODE WHY
		f.With(func(f *apitest.Cluster) {
			f.Nodes[args[1][1]-'1'].Disk = &api.Disk{Why: args[2], Since: time.UnixMilli(1_790_000_000_000)}
		})
	case "unfit": // unfit WHY: no other node can lead
		f.With(func(f *apitest.Cluster) { f.Unfit = args[1] })
	case "ban": // ban NODE KEY
		f.Do(&fsm.NodePut{Node: fsm.Node{ID: "gone", Name: args[1], Key: args[2]}})
		f.Do(&fsm.NodeRemove{ID: "gone", Ban: true, At: 1_790_000_000_000})
	case "unknown-outcomes": // unknown-outcomes N: of so many proposals
		n, err := strconv.Atoi(args[1])
		f.With(func(f *apitest.Cluster) { f.Dropped = n })
		return err
	case "leader":
		f.With(func(f *apitest.Cluster) { f.NoLeader, f.Status.Leader, f.Status.Quorum = false, "id2", true })
	case "level": // level N
		n, err := strconv.ParseUint(args[1], 10, 32)
		f.Do(&fsm.FeatureRaise{Level: uint32(n)})
		return err
	case "no-leader":
		f.With(func(f *apitest.Cluster) { f.NoLeader, f.Status.Leader, f.Status.Quorum = true, "", false })
	default:
		return fmt.Errorf("unknown change %q", args)
	}
	return nil
}

func lift(f *apitest.Cluster, partition string) error {
	for t := range f.View().Tasks {
		if t.Kind == fsm.KindCopy && strconv.Itoa(int(t.Copy.Stream.Partition)) == partition {
			f.Do(&fsm.MappingPut{Task: t.ID, Turn: t.Turn, Mapping: fsm.Mapping{Version: 1, Phase: fsm.PhaseDense, Segments: []fsm.Segment{{}}}})
			return nil
		}
	}
	return fmt.Errorf("no stream %s", partition)
}

func topics(f *apitest.Cluster, args []string) error {
	n, err := strconv.Atoi(args[0])
	d := task.Topics{Selected: n, Differ: 1, Settings: []task.TopicSetting{{Topic: "orders", Key: "retention.ms", Source: "-1", Target: "604800000"}}, LeftOut: 1, Rules: []task.TopicLeftOut{{Topic: "__x", Rule: "topics of Kafka itself (__*) are never copied"}}}
	if len(args) > 1 {
		d.NotCopied, d.Why = 1, []task.TopicState{{Topic: args[1], Code: fsm.Code(args[2]), Message: args[3]}}
	}
	f.With(func(f *apitest.Cluster) { f.Topics = d })
	f.Report(fsm.CodeCopying, 0)
	return err
}

func stop(f *apitest.Cluster, args []string) error {
	from, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return err
	}
	to, err := strconv.ParseInt(args[3], 10, 64)
	if err != nil {
		return err
	}
	for t := range f.View().Tasks {
		if t.Kind != fsm.KindCopy || strconv.Itoa(int(t.Copy.Stream.Partition)) != args[0] {
			continue
		}
		f.Do(&fsm.TaskStop{
			Task: t.ID, Turn: t.Turn, Stop: fsm.Stop{Code: fsm.Code(args[1]), From: from, To: to, Message: args[4]},
			Event: &fsm.Event{Code: fsm.Code(args[1]), From: from, To: to, Message: args[4], First: 1_790_000_000_000, Last: 1_790_000_000_000},
		})
		return nil
	}
	return fmt.Errorf("no stream %s", args[0])
}

// preflight finds something in links of two names.
// claims knows that the link us-eu was another Sluice cluster's.
type claims struct{}

func (claims) Claim(_ context.Context, _ *fsm.View, l *fsm.Link) (api.Claim, error) {
	if l.Spec.Name != "us-eu" {
		return api.Claim{}, api.ErrNotClaimed
	}
	return api.Claim{Sluice: "lost", Node: "n7", At: time.Unix(1_700_000_000, 0), ProducerID: 77}, nil
}

type preflight struct{}

func (preflight) Check(_ context.Context, _ *fsm.View, l fsm.LinkSpec, _ map[string]fsm.KafkaCluster) (api.Preflight, error) {
	switch l.Name {
	case "refused":
		return api.Preflight{Refusals: []api.Finding{{Code: fsm.CodeNotEmpty, Message: "topic orders of eu is not empty"}}}, nil
	case "warned":
		return api.Preflight{Warnings: []api.Finding{{Message: "us keeps records for an hour"}}}, nil
	case "sized":
		topics := []api.PlannedTopic{
			{Topic: "orders", Target: "orders", Partitions: 12, Create: true, Bytes: new(int64(4_200_000_000)), Settings: []string{"created with retention.ms=604800000 as at the source, where the target's default is 86400000"}},
			{Topic: "old", Target: "old", Partitions: 1, Copied: true},
		}
		for i := range 30 {
			topics = append(topics, api.PlannedTopic{Topic: fmt.Sprintf("pay-%02d", i), Target: fmt.Sprintf("pay-%02d", i), Partitions: 1, Bytes: new(int64(1000))})
		}
		return api.Preflight{Topics: topics, LeftOut: []task.TopicLeftOut{{Topic: "mm2-configs.us.internal", Rule: "MirrorMaker's own"}}}, nil
	}
	return api.Preflight{}, nil
}

// verifier has three jobs: v1 found the sides equal, v2 did not, v3 could not
// compare all.
type verifier struct{}

func (v *verifier) Start(_ context.Context, r api.VerifyRequest) (api.VerifyJob, error) {
	if len(r.Topics) > 0 {
		return v.Get("v2")
	}
	return v.Get("v1")
}

func (v *verifier) Get(id string) (api.VerifyJob, error) {
	at := time.UnixMilli(1_790_000_000_000).UTC()
	verdict, all := api.VerdictEqual, api.VerifyScope{Topics: 2, Partitions: 3}
	from, to := int64(0), int64(123460)
	j := api.VerifyJob{
		ID: id, Link: "us-eu", Node: "n1", State: "done", Started: at, Finished: &at, Partitions: 3, Done: 3, Offsets: 123460, Total: 123460,
		Verdict: &verdict, Equal: true, Selected: all, Compared: all,
		Counts: api.Counts{Compared: 123456, Trimmed: 4},
		Ranges: []api.VerifyRange{{Topic: "orders", Partition: 1, From: &from, To: &to, Records: 123456}},
	}
	switch id {
	case "v1":
	case "v2":
		source := int64(17)
		verdict, j.Equal, j.Counts.Missing = api.VerdictDiffers, false, 2
		j.Faults = []api.Fault{{Kind: "missing", Topic: "orders", Partition: 1, Source: &source, Message: "not at the target"}}
	case "v3":
		behind := int64(40)
		verdict, j.Equal, j.Compared, j.Counts.Behind = api.VerdictIncomplete, false, api.VerifyScope{Topics: 1, Partitions: 1}, 40
		j.LeftOut = []api.VerifyLeftOut{
			{Topic: "orders", Partitions: []int32{1}, Reason: "stopped", Message: "its stream is stopped (record-too-large); see `sluice link describe us-eu`", Offsets: &behind},
			{Topic: "payments", Partitions: []int32{0, 1, 2, 4}, Reason: "no-stream", Message: "the link does not copy it: the source has 5 partitions, the target topic payments has 3"},
		}
	default:
		return j, fmt.Errorf("verify job %s: %w", id, api.ErrNoVerify)
	}
	return j, nil
}

func (v *verifier) List() []api.VerifyJob { j, _ := v.Get("v1"); return []api.VerifyJob{j} }

func (v *verifier) Cancel(string) error { return nil }

package kafkalab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/test/scratch"
)

func TestMain(m *testing.M) { os.Exit(scratch.In(m).Run()) }

// testContext ends with the test, or after a time that only a hang takes which
// no step notices.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// roundTrip produces one record through opts and reads it back.
func roundTrip(ctx context.Context, topic string, opts ...kgo.Opt) error {
	cl, err := kgo.NewClient(append(opts, kgo.ConsumeTopics(topic), kgo.DefaultProduceTopic(topic))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	want := fmt.Sprint(time.Now().UnixNano())
	if err := cl.ProduceSync(ctx, kgo.StringRecord(want)).FirstErr(); err != nil {
		return fmt.Errorf("producing: %w", err)
	}
	for {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return fmt.Errorf("consuming: %w", err)
		}
		for _, r := range fs.Records() {
			if string(r.Value) == want {
				return nil
			}
		}
	}
}

func TestListeners(t *testing.T) {
	listeners := []Listener{Plaintext(), TLS(), MutualTLS(), SASLPlain(), SCRAM(), SCRAM256(), SCRAM().WithTLS()}
	for _, version := range []string{V4, V3} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			c := Start(t, Config{Version: version, Listeners: listeners})
			ctx := testContext(t)
			if err := c.CreateTopic(ctx, Topic{Name: "t"}); err != nil {
				t.Fatal(err)
			}
			for _, l := range listeners {
				opts, err := c.ClientOpts(l)
				if err != nil {
					t.Fatal(err)
				}
				if err := roundTrip(ctx, "t", opts...); err != nil {
					t.Errorf("listener %s: %v", l.Name, err)
				}
			}
		})
	}
}

func TestBrokersDieAndReturn(t *testing.T) {
	t.Parallel()
	var asked []string
	c := Start(t, Config{Brokers: 2, SeparateController: true, Racks: []string{"a", "b"},
		Overrides: map[string]string{"broker.session.timeout.ms": "3000", "replica.lag.time.max.ms": "2000"},
		AdvertisedVia: func(broker int, _ string) string {
			asked = append(asked, fmt.Sprint(broker))
			return ""
		}})
	ctx := testContext(t)
	if len(asked) != 2 {
		t.Errorf("AdvertisedVia asked for brokers %v", asked)
	}
	err := c.CreateTopic(ctx, Topic{Name: "t", Assignment: [][]int32{{0, 1}, {1, 0}},
		Configs: map[string]string{"min.insync.replicas": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	leaderIs := func(id int) func(Partition) bool { return func(p Partition) bool { return p.Leader == id } }

	if err := c.KillBroker(0); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitPartitions(ctx, "t", leaderIs(1)); err != nil {
		t.Fatal(err)
	}
	if err := roundTrip(ctx, "t", kgo.SeedBrokers(c.Bootstrap()...)); err != nil {
		t.Fatal(err)
	}
	if err := c.StartBroker(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitInSync(ctx, "t"); err != nil {
		t.Fatal(err)
	}

	// Unclean election: the follower stands still, the leader dies with what only it has.
	if err := c.PauseBroker(0); err != nil {
		t.Fatal(err)
	}
	alone := func(p Partition) bool { return p.Leader == 1 && len(p.ISR) == 1 }
	if err := c.WaitPartitions(ctx, "t", alone); err != nil {
		t.Fatal(err)
	}
	if err := c.KillBroker(1); err != nil {
		t.Fatal(err)
	}
	if err := c.ResumeBroker(0); err != nil {
		t.Fatal(err)
	}
	for p := range int32(2) {
		if err := c.ElectUnclean(ctx, "t", p); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.WaitPartitions(ctx, "t", leaderIs(0)); err != nil {
		t.Fatal(err)
	}
	if err := c.StartBroker(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := c.RestartBroker(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitInSync(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	u, err := c.BrokerUsage(0)
	if err != nil || u.CPU() <= 0 || u.RSS < 1<<20 || u.MaxRSS < u.RSS {
		t.Errorf("usage %+v, %v", u, err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	Require(t)
	ctx := testContext(t)
	c, err := Open(ctx, Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	pid, err := c.BrokerPID(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.Dir()); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
	if _, err := Usage(pid); err == nil {
		t.Errorf("process %d still runs", pid)
	}
	if err := c.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

// TestStartAndWait is the process that TestBrokersDieWithTheirOwner kills.
func TestStartAndWait(t *testing.T) {
	dir := os.Getenv("KAFKALAB_TEST_DIR")
	if dir == "" {
		t.Skip("only run by another test")
	}
	c, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	pid, err := c.BrokerPID(0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("pid %d\n", pid)
	select {}
}

func TestBrokersDieWithTheirOwner(t *testing.T) {
	t.Parallel()
	Require(t)
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends children with their parent")
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestStartAndWait$")
	cmd.Env = append(os.Environ(), "KAFKALAB_TEST_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var pid int
	if _, err := fmt.Fscanf(out, "pid %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	if _, err := Usage(pid); err != nil {
		t.Fatalf("the broker does not run: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	err = poll(testContext(t), func(context.Context) error {
		if _, err := Usage(pid); err == nil {
			return errors.New("the broker still runs")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	// The next lab takes away what is left of its files.
	next, err := scratch.Make(dir, dirPrefix)
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Remove(); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

func TestConfigRefused(t *testing.T) {
	for name, cfg := range map[string]Config{
		"version":   {Version: "2.0"},
		"brokers":   {Brokers: -1},
		"listeners": {Listeners: []Listener{Plaintext(), Plaintext()}},
		"broker":    {PerBroker: map[int]map[string]string{1: nil}},
	} {
		if _, err := Open(t.Context(), cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

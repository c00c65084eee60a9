package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sluice/api"
	"sluice/manifest"
	"sluice/words"
)

// ErrDiffers: the two sides are not equal.
var ErrDiffers = errors.New("source and target differ")

// link is what the demo applies.
const link = `
apiVersion: sluice/v1
kind: KafkaCluster
metadata: {name: east}
spec: {bootstrap: [%q], datacenter: east}
---
apiVersion: sluice/v1
kind: KafkaCluster
metadata: {name: west}
spec: {bootstrap: [%q], datacenter: west}
---
apiVersion: sluice/v1
kind: Link
metadata: {name: east-west}
spec:
  source: east
  target: west
  topics: {include: [orders, "pay-*"]}
  offsets: auto
`

// scene is everything that runs.
type scene struct {
	cfg   Config
	dir   string
	kafka *kafkas
	nodes []*process
	began time.Time
}

// Run runs the demo until ctx ends or, with Check, until it has shown that
// both sides are equal. Everything that it starts has ended when it returns.
func Run(ctx context.Context, cfg Config) (err error) {
	s := &scene{cfg: cfg, began: time.Now()}
	if s.dir, err = os.MkdirTemp("", "sluice-demo-"); err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	defer s.stop()
	if err := s.start(ctx); err != nil {
		return err
	}
	if cfg.Check {
		return s.check(ctx)
	}
	return s.show(ctx)
}

func (s *scene) say(format string, args ...any) {
	fmt.Fprintf(s.cfg.Err, "%5.1fs  "+format+"\n", append([]any{time.Since(s.began).Seconds()}, args...)...)
}

// start starts the Kafka clusters, the nodes and the link.
func (s *scene) start(ctx context.Context) (err error) {
	if s.kafka, err = startKafkas(); err != nil {
		return err
	}
	s.say("two embedded Kafka clusters run: east at %s, west at %s", s.kafka.east.addr, s.kafka.west.addr)
	if s.nodes, err = startNodes(s.dir, s.cfg); err != nil {
		return err
	}
	for _, n := range s.nodes {
		s.say("node %s runs as process %d, http://%s", n.name, n.pid(), n.http)
	}
	if err := s.until(ctx, 30*time.Second, "the nodes elect a leader", s.allReady); err != nil {
		return err
	}
	st, _ := s.status(ctx)
	s.say("they elected %s", st.Leader)
	text := fmt.Sprintf(link, s.kafka.east.addr, s.kafka.west.addr)
	if err := os.WriteFile(filepath.Join(s.dir, "link.yaml"), []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing the link: %w", err)
	}
	req := api.ApplyRequest{Sources: []manifest.Source{{Name: "link.yaml", Text: text}}}
	err = s.until(ctx, 20*time.Second, "the link is applied", func(ctx context.Context) bool {
		_, err = s.nodes[0].client.Apply(ctx, req)
		return err == nil
	})
	if err != nil {
		return err
	}
	s.say("link east-west copies orders and pay-* (%s)", words.Count(partitions, "partition"))
	return s.until(ctx, 30*time.Second, "every partition copies", s.allCopying)
}

// status asks the living nodes in turn.
func (s *scene) status(ctx context.Context) (*api.Status, error) {
	err := errors.New("no node lives")
	for _, n := range s.nodes {
		if n.ended() {
			continue
		}
		var st *api.Status
		if st, err = n.client.Status(ctx, 100, 20); err == nil {
			return st, nil
		}
	}
	return nil, err
}

func (s *scene) allReady(ctx context.Context) bool {
	for _, n := range s.nodes {
		st, err := n.client.Status(ctx, 1, 1)
		if err != nil || st.Leader == "" || len(st.Nodes) != len(s.nodes) {
			return false
		}
	}
	return true
}

func (s *scene) allCopying(ctx context.Context) bool {
	st, err := s.status(ctx)
	if err != nil {
		return false
	}
	n := 0
	for _, t := range st.Tasks {
		if t.Kind == "copy" && (t.State == "copying" || t.State == "idle") {
			n++
		}
	}
	return n == partitions
}

// until polls a condition; the error names what did not come.
func (s *scene) until(ctx context.Context, d time.Duration, what string, ok func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok(ctx) {
		for _, n := range s.nodes {
			if n.ended() && !n.killed {
				return fmt.Errorf("node %s ended by itself; its log:\n%s", n.name, n.logTail())
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		}
	}
	return nil
}

// show runs load until the person has seen enough.
func (s *scene) show(ctx context.Context) error {
	load := startLoad(ctx, s.kafka.east.client, s.cfg.Rate)
	s.say("load: %d records a second into east", s.cfg.Rate)
	first := s.nodes[0]
	fmt.Fprintf(s.cfg.Err, "\nLook at   http://%s\nAsk       %s status --address %s\nKill one  kill -9 %d    and watch the others take over\nEnd       Ctrl-C\n\n",
		first.http, s.cfg.Binary, first.http, s.nodes[len(s.nodes)-1].pid())
	<-ctx.Done()
	load.stop()
	return nil
}

// note says what the embedded clusters do not show.
const note = "embedded Kafka (kfake) does not describe plain producers: nodes derived positions from the target's last batch alone; `make test` runs on real brokers"

// settle is how long load runs before and after the kill, at least.
const settle = 3 * time.Second

// check copies, kills an owner with SIGKILL, copies on and compares.
func (s *scene) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 55*time.Second)
	defer cancel()
	load := startLoad(ctx, s.kafka.east.client, s.cfg.Rate)
	defer load.stop()
	watch := startWatch(ctx, s.kafka.west.client)
	defer watch.stop()
	s.say("load: %d records a second into east", s.cfg.Rate)
	var victim *process
	owned := 0
	err := s.until(ctx, 20*time.Second, "records arrive and the work is spread", func(ctx context.Context) bool {
		if st, err := s.status(ctx); err == nil {
			victim, owned = s.victim(st)
		}
		return owned > 0 && watch.all() && watch.age() > settle
	})
	if err != nil {
		return err
	}
	watch.mark()
	victim.kill()
	s.say("killed node %s (SIGKILL), the owner of %s", victim.name, words.Count(owned, "partition"))
	err = s.until(ctx, 20*time.Second, "every partition moves again", func(context.Context) bool { return watch.all() && watch.age() > settle })
	if err != nil {
		return err
	}
	gap := watch.longest()
	s.say("all partitions move again; the longest pause was %.2f s", gap.Seconds())
	load.stop()
	sum, err := compare(ctx, s.kafka)
	if err != nil {
		return err
	}
	sum.Killed, sum.Owned, sum.GapSeconds = victim.name, owned, gap.Seconds()
	sum.Seconds, sum.Note = time.Since(s.began).Seconds(), note
	s.say("compared %d records of both sides", sum.Records)
	enc := json.NewEncoder(s.cfg.Out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(sum); err != nil {
		return fmt.Errorf("writing the summary: %w", err)
	}
	if !sum.Equal {
		return ErrDiffers
	}
	return nil
}

// victim is an owner that does not lead, so that one thing is shown at a time.
func (s *scene) victim(st *api.Status) (*process, int) {
	owned := map[string]int{}
	for _, t := range st.Tasks {
		if t.Kind == "copy" {
			owned[t.Owner]++
		}
	}
	best := s.nodes[0]
	for _, n := range s.nodes {
		if n.name != st.Leader && (best.name == st.Leader || owned[n.name] > owned[best.name]) {
			best = n
		}
	}
	return best, owned[best.name]
}

// stop ends everything that runs.
func (s *scene) stop() {
	for _, n := range s.nodes {
		n.kill()
	}
	if s.kafka != nil {
		s.kafka.close()
	}
}

package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/fsm"
	"sluice/task"
	"sluice/test/vnet"
	"sluice/transport"
)

// sim is a cluster in one bubble: whole nodes over a virtual network, with
// bolt files on disk.
type sim struct {
	t     *testing.T
	net   *vnet.Network
	world *world
	dir   string
	nodes map[int]*simNode
	tombs []*simNode // killed; their goroutines may still end
	cfg   Config     // what all nodes share
}

// simNode is one process: it can be killed and started again.
type simNode struct {
	*Node
	i    int
	ip   string
	host *vnet.Host
	tr   *transport.Transport
	stop context.CancelFunc
	done chan error // of Run
	dead atomic.Bool
}

// runSim runs a test in a bubble and ends all of its nodes.
func runSim(t *testing.T, fn func(*sim)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &sim{t: t, net: vnet.New(), world: newWorld(t), dir: dir, nodes: map[int]*simNode{}}
		defer s.end()
		fn(s)
	})
}

func ipOf(i int) string { return fmt.Sprintf("127.0.0.%d", i) }

func (s *sim) dataDir(i int) string { return filepath.Join(s.dir, fmt.Sprint(i)) }

// start starts node i of a cluster of those listed as its peers.
func (s *sim) start(i int, peers ...int) *simNode {
	s.t.Helper()
	cfg := s.cfg
	cfg.Name, cfg.DataDir = fmt.Sprintf("n%d", i), s.dataDir(i)
	for _, p := range peers {
		cfg.Join = append(cfg.Join, ipOf(p)+":7400")
	}
	return s.startWith(i, cfg)
}

func (s *sim) startWith(i int, cfg Config) *simNode {
	s.t.Helper()
	s.bury()
	var out io.Writer = io.Discard
	if os.Getenv("SIM_LOG") != "" {
		out = os.Stderr
	}
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelInfo})).With("sim", i)
	id, err := OpenIdentity(cfg.DataDir)
	if err != nil {
		s.t.Fatal(err)
	}
	host := s.net.Host(ipOf(i))
	tr, err := transport.New(transport.Config{
		Listen: ipOf(i) + ":7400", Insecure: true, Network: transport.Network{Listen: host.Listen, Dial: host.Dial},
	}, transport.Identity{ServerID: id.ServerID, Name: cfg.Name, ClusterID: id.ClusterID}, log)
	if err != nil {
		s.t.Fatal(err)
	}
	node, err := New(cfg, tr, log)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := &simNode{Node: node, i: i, ip: ipOf(i), host: host, tr: tr, stop: cancel, done: make(chan error, 1)}
	trCtx, stopTransport := context.WithCancel(context.Background())
	trDone := make(chan error, 1)
	go func() { trDone <- tr.Run(trCtx) }()
	go func() {
		err := node.Run(ctx, map[fsm.Kind]task.Runner{fsm.KindCopy: s.world.runner(n), fsm.KindLink: s.world.runner(n)})
		stopTransport()
		n.done <- errors.Join(err, <-trDone)
	}()
	s.nodes[i] = n
	return n
}

// trio starts nodes 1 to 3 and waits for a leader that knows all.
func (s *sim) trio() {
	s.t.Helper()
	for i := 1; i <= 3; i++ {
		s.start(i, 1, 2, 3)
	}
	s.until("three nodes are voters", time.Minute, func() bool {
		l := s.leader()
		return l != nil && len(votersOf(l.consensus.servers())) == 3 && len(l.View().Nodes) == 3
	})
}

// kill ends a node as SIGKILL does: connections are reset, dials are refused,
// and nothing that its goroutines still do reaches anybody.
func (s *sim) kill(i int) {
	n := s.nodes[i]
	n.dead.Store(true)
	s.world.kill(n)
	n.host.Kill()
	n.stop()
	delete(s.nodes, i)
	s.tombs = append(s.tombs, n)
}

// bury waits for the goroutines of killed nodes, which hold their files.
func (s *sim) bury() {
	for _, n := range s.tombs {
		<-n.done
	}
	s.tombs = nil
}

func (s *sim) isolate(i int) {
	for j := 1; j <= 9; j++ {
		if j != i {
			s.net.CutBoth(ipOf(i), ipOf(j))
		}
	}
}

func (s *sim) rejoin(i int) {
	for j := 1; j <= 9; j++ {
		if j != i {
			s.net.HealBoth(ipOf(i), ipOf(j))
		}
	}
}

func (s *sim) end() {
	for _, n := range s.nodes {
		n.stop()
	}
	for _, n := range s.nodes {
		if err := <-n.done; err != nil {
			s.t.Errorf("node %d: %v", n.i, err)
		}
	}
	s.bury()
	time.Sleep(time.Minute) // libraries' last timers
	if open := s.net.Open(); open != 0 {
		s.t.Errorf("%d connections left open", open)
	}
}

// until advances the bubble's clock until a condition holds.
func (s *sim) until(what string, limit time.Duration, cond func() bool) time.Duration {
	s.t.Helper()
	start := time.Now()
	for !cond() {
		if time.Since(start) > limit {
			s.dump()
			s.t.Fatalf("after %v still not: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(start)
}

func (s *sim) dump() {
	for i, n := range s.nodes {
		v := n.View()
		age, ok := n.ownership.leaderAge()
		s.t.Logf("node %d: leading %v index %d nodes %d tasks %d lease %v %v servers %v", i, n.consensus.leading.Load() != nil,
			v.Index, len(v.Nodes), v.TaskCount(), age, ok, n.consensus.servers())
	}
}

// leader returns the node that acts as leader; nil when none or two do.
func (s *sim) leader() *simNode {
	var found *simNode
	for _, n := range s.nodes {
		if n.consensus.leading.Load() != nil {
			if found != nil {
				return nil
			}
			found = n
		}
	}
	return found
}

func (s *sim) follower() *simNode {
	for i := 1; i <= 9; i++ {
		if n := s.nodes[i]; n != nil && n.consensus.leading.Load() == nil {
			return n
		}
	}
	return nil
}

func (s *sim) propose(n *simNode, cmd fsm.Command) fsm.Result {
	s.t.Helper()
	r, err := n.Propose(s.t.Context(), cmd)
	if err != nil || r.Refused != "" {
		s.t.Fatalf("proposing %T: %+v, %v", cmd, r, err)
	}
	return r
}

// addTasks creates a link with so many copy tasks.
func (s *sim) addTasks(count int) {
	s.t.Helper()
	n := s.leader()
	s.propose(n, &fsm.Objects{
		Kafka: []fsm.KafkaCluster{{Name: "us"}, {Name: "eu"}},
		Links: []fsm.LinkPut{{Spec: fsm.LinkSpec{Name: "l", Source: "us", Target: "eu", State: fsm.StateRunning}}},
	})
	for from := 0; from < count; from += 500 {
		var keys []fsm.StreamKey
		for p := from; p < min(from+500, count); p++ {
			keys = append(keys, fsm.StreamKey{Topic: "t", Partition: int32(p), TargetTopic: "t"})
		}
		s.propose(n, &fsm.StreamsAdd{Link: n.View().Links[0].ID, Streams: keys})
	}
}

// equal waits until all nodes have the same index and compares their facts.
func (s *sim) equal() {
	s.t.Helper()
	s.until("equal index", time.Minute, func() bool {
		seen := map[uint64]bool{}
		for _, n := range s.nodes {
			seen[n.View().Index] = true
		}
		return len(seen) == 1
	})
	hashes := map[[32]byte]int{}
	views := map[int]*fsm.View{}
	for i, n := range s.nodes {
		views[i] = n.View()
	}
	for i, v := range views {
		var buf bytes.Buffer
		if err := fsm.WriteSnapshot(&buf, v); err != nil {
			s.t.Fatal(err)
		}
		hashes[sha256.Sum256(buf.Bytes())] = i
	}
	if len(hashes) != 1 {
		s.t.Errorf("facts differ at the same index: nodes %v", hashes)
	}
}

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"sluice/cluster"
	"sluice/fsm"
	"sluice/test/vnet"
	"sluice/transport"
)

// sim is whole nodes and two Kafka clusters in one bubble over one virtual
// network; data dirs are on disk.
type sim struct {
	t      *testing.T
	seed   uint64
	rand   *rand.Rand
	net    *vnet.Network
	us, eu *kfake.Cluster
	mends  map[string]*mends // of these, by name
	dir    string
	certs  string // folder of n1-pem, n1-key, n1-ca and so on; empty: nodes talk without TLS
	nodes  map[int]*simNode
	tombs  []*simNode // killed; their goroutines may still end
	audit  *audit
	load   *load
	kills  int

	meanwhile func() // done at every look; nil: nothing
}

// Where everything is. A wire is named by two of these.
const (
	usHost   = "127.0.1.1"
	euHost   = "127.0.1.2"
	loadHost = "127.0.2.1"
)

// trio is how many nodes a run has.
const trio = 3

func ipOf(i int) string { return fmt.Sprintf("127.0.0.%d", i) }

// simNode is one process: it can be killed and started again.
type simNode struct {
	*node
	i    int
	ip   string
	id   string // ServerID
	host *vnet.Host
	tap  *tap
	wall atomic.Int64 // ns that its wall clock is ahead
	stop context.CancelFunc
	done chan error
	dead atomic.Bool
}

// runSim runs a scenario in a bubble for each seed: seed 1, as many as
// SIM_SEEDS says, or the one of SIM_SEED.
func runSim(t *testing.T, topics map[string]int32, scenario func(*sim)) {
	t.Helper()
	eachSeed(t, max(1, number("SIM_SEEDS")), func(t *testing.T, seed uint64) { inBubble(t, seed, topics, scenario) })
}

func number(name string) uint64 {
	n, _ := strconv.ParseUint(os.Getenv(name), 10, 64)
	return n
}

// eachSeed runs a test for seeds 1 to n, or for the one of SIM_SEED.
func eachSeed(t *testing.T, n uint64, test func(*testing.T, uint64)) {
	t.Helper()
	from, to := uint64(1), n
	if one := number("SIM_SEED"); one > 0 {
		from, to = one, one
	}
	for seed := from; seed <= to; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { test(t, seed) })
	}
}

// inBubble runs a scenario in a bubble.
func inBubble(t *testing.T, seed uint64, topics map[string]int32, scenario func(*sim)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &sim{t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 11)), net: vnet.New(), dir: dir, nodes: map[int]*simNode{}, mends: map[string]*mends{}}
		s.audit = newAudit(s)
		s.us, s.eu = s.kafka("us", usHost), s.kafka("eu", euHost)
		s.load = newLoad(s, topics)
		defer s.end()
		scenario(s)
		s.t.Logf("%d kills, %d records, %d turns, %v of the bubble's time", s.kills, s.load.total(), len(s.audit.turns), time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).Round(time.Second))
	})
}

// kafka starts a Kafka cluster of two brokers on one host.
func (s *sim) kafka(name, host string) *kfake.Cluster {
	s.t.Helper()
	at := s.net.Host(host)
	// As on brokers before 3.5, idle producer ids expire with transactional ones.
	day := map[string]string{"transactional.id.expiration.ms": "86400000"}
	s.mends[name] = newMends()
	listen := func(ctx context.Context, network, address string) (net.Listener, error) {
		return at.Listen(ctx, network, host+address[strings.LastIndexByte(address, ':'):])
	}
	c, err := kfake.NewCluster(kfake.Ports(9001, 9002), kfake.ClusterID("sim-"+name), kfake.BrokerConfigs(day), kfake.ListenFn(s.mends[name].listener(listen)))
	if err != nil {
		s.t.Fatal(err)
	}
	s.mends[name].use(c)
	return c
}

// start starts node i, or starts it again from its data dir.
func (s *sim) start(i int) *simNode {
	s.t.Helper()
	s.bury()
	n := &simNode{i: i, ip: ipOf(i), host: s.net.Host(ipOf(i)), tap: &tap{}, done: make(chan error, 1)}
	file := defaultFile()
	file.Secrets.Folders = nil
	file.Name, file.DataDir, file.Memory = fmt.Sprintf("n%d", i), filepath.Join(s.dir, fmt.Sprint(i)), 64<<20
	file.Peer.Listen = n.ip + ":7400"
	for j := 1; j <= trio; j++ {
		file.Join = append(file.Join, ipOf(j)+":7400")
	}
	if s.certs != "" {
		of := filepath.Join(s.certs, file.Name)
		file.Peer.TLS = peerTLSFile{Cert: of + "-pem", Key: of + "-key", CA: of + "-ca"}
	}
	cfg, found := file.configs(s.certs == "")
	if len(found) > 0 {
		s.t.Fatal(found)
	}
	cfg.transport.Network = transport.Network{Listen: n.tap.listener(n.host.Listen), Dial: n.tap.dialer(n.host.Dial, false)}
	cfg.kafka.DialContext = n.tap.dialer(n.host.Dial, true)
	cfg.cluster.Wall = func() time.Time { return n.now().Round(0) }
	cfg.replication.Now = n.now
	cfg.cluster.Fatal = func(err error) { s.t.Errorf("node %d: %v", i, err) }
	var out io.Writer = io.Discard
	if os.Getenv("SIM_LOG") != "" {
		out = os.Stderr
	}
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})).With("sim", i)
	var err error
	if n.node, err = assemble(cfg, log); err != nil {
		s.t.Fatal(err)
	}
	n.id = n.cluster.Self().ServerID
	for kind, r := range n.runners {
		n.runners[kind] = &auditRunner{Runner: r, audit: s.audit, n: n}
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	go func() { n.done <- n.live(ctx, n.face) }()
	s.nodes[i] = n
	return n
}

// httpPort is that of every node.
const httpPort = ":8080"

// face opens the HTTP port.
func (n *simNode) face(ctx context.Context) error {
	l, err := n.tap.listener(n.host.Listen)(ctx, "tcp", n.ip+httpPort)
	if err != nil {
		return err
	}
	return n.api.Run(ctx, l)
}

// now is what the node's wall clock shows.
func (n *simNode) now() time.Time { return time.Now().Add(time.Duration(n.wall.Load())) }

// die ends the process as SIGKILL does: its connections are reset, dials to it
// are refused, and nothing that its goroutines still do reaches anybody. Only
// its disk may get writes that a real process would not have made any more.
func (n *simNode) die() {
	if !n.dead.Swap(true) {
		n.host.Kill()
		n.stop()
	}
}

// kill ends node i, if it is not dead already.
func (s *sim) kill(i int) {
	n := s.nodes[i]
	n.die()
	delete(s.nodes, i)
	s.tombs = append(s.tombs, n)
	s.kills++
}

// bury waits for the goroutines of killed nodes, which hold their files.
func (s *sim) bury() {
	for _, n := range s.tombs {
		<-n.done
	}
	s.tombs = nil
}

// shutdown ends a node in order.
func (s *sim) shutdown(i int) {
	s.t.Helper()
	n := s.nodes[i]
	delete(s.nodes, i)
	n.stop()
	if err := <-n.done; err != nil {
		s.t.Errorf("node %d: %v", i, err)
	}
}

// end ends what is left and looks whether anything stays behind; the bubble
// itself finds goroutines.
func (s *sim) end() {
	s.load.close()
	for i := range s.nodes {
		s.shutdown(i)
	}
	s.bury()
	for i := 1; i <= trio; i++ {
		s.healAll(i)
	}
	time.Sleep(time.Minute) // libraries' last timers, and the brokers' view of closed connections
	if open := s.net.Open(); open != 0 {
		s.t.Errorf("%d connections left open", open)
	}
	s.us.Close()
	s.eu.Close()
}

// until advances the bubble's clock until a condition holds.
func (s *sim) until(what string, limit time.Duration, ok func() bool) time.Duration {
	s.t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > limit {
			s.dump()
			s.t.Fatalf("after %v still not: %s", limit, what)
		}
		s.watch(20 * time.Millisecond)
	}
	return time.Since(start)
}

// watch lets time pass and looks at the facts meanwhile.
func (s *sim) watch(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(d, 100*time.Millisecond))
		s.audit.look()
		if s.meanwhile != nil {
			s.meanwhile()
		}
	}
}

// pass lets time pass as watch does, and looks less often: for hours.
func (s *sim) pass(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(time.Until(end), 20*time.Second))
		s.audit.look()
	}
}

// leader is the node that the most nodes take for the leader, 0: none.
func (s *sim) leader() int {
	votes := map[int]int{}
	for _, n := range s.nodes {
		st := n.cluster.Status()
		for i, m := range s.nodes {
			if st.Quorum && m.id == st.Leader {
				votes[i]++
			}
		}
	}
	for i, v := range votes {
		if v > len(s.nodes)/2 {
			return i
		}
	}
	return 0
}

// voters counts the nodes that the leader knows as voters.
func (s *sim) voters() int {
	count := 0
	if l := s.leader(); l != 0 {
		for _, m := range s.nodes[l].cluster.Members() {
			if m.Voter {
				count++
			}
		}
	}
	return count
}

// any is a live node, chosen at random.
func (s *sim) any() int {
	for {
		if i := 1 + s.rand.IntN(trio); s.nodes[i] != nil {
			return i
		}
	}
}

// propose commits a command through any node that can.
func (s *sim) propose(cmd fsm.Command) {
	s.t.Helper()
	s.until(fmt.Sprintf("%T committed", cmd), time.Minute, func() bool {
		r, err := s.nodes[s.any()].cluster.Propose(s.t.Context(), cmd)
		if err == nil && r.Refused != fsm.RefusedNot {
			s.t.Fatalf("proposing %T: %+v", cmd, r)
		}
		return err == nil
	})
}

// view is a live node's View, of the highest index.
func (s *sim) view() *fsm.View {
	var v *fsm.View
	for _, n := range s.nodes {
		if w := n.cluster.View(); v == nil || w.Index > v.Index {
			v = w
		}
	}
	return v
}

// owned are the copy tasks that a node owns.
func (s *sim) owned(i int) []*fsm.Task {
	var out []*fsm.Task
	for t := range s.view().Tasks {
		if t.Kind == fsm.KindCopy && t.Owner == s.nodes[i].id {
			out = append(out, t)
		}
	}
	return out
}

func (s *sim) dump() {
	v := s.view()
	for i, n := range s.nodes {
		st := n.cluster.Status()
		s.t.Logf("node %d (%s): leader %s quorum %v index %d", i, n.id, st.Leader, st.Quorum, st.Index)
		for _, m := range st.Members {
			if m.Life != cluster.LifeAlive {
				s.t.Logf("  sees %s as %s", m.Name, m.Life)
			}
		}
	}
	for t := range v.Tasks {
		s.t.Logf("task %d %s owner %s turn %d", t.ID, t.Kind, t.Owner, t.Turn)
		if c := t.Copy; c != nil {
			s.t.Logf("  %s/%d progress %+v stop %+v; source ends at %d, target at %d", c.Stream.Topic, c.Stream.Partition,
				c.Progress, c.Stop, endOf(s.us, c.Stream.Topic, c.Stream.Partition), endOf(s.eu, c.Stream.Topic, c.Stream.Partition))
		}
	}
	for _, n := range s.nodes {
		for _, m := range n.cluster.Members() {
			if m.ServerID == n.id {
				s.t.Logf("node %d runs %+v", n.i, m.Tasks)
			}
		}
	}
	s.audit.events(func(ev *fsm.Event) { s.t.Logf("event %+v", *ev) })
}

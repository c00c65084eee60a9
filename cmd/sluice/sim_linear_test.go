package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/api"
	"sluice/manifest"
	"sluice/test/claim"
	"sluice/test/linear"
)

// operators are clients of the nodes' API that act all the time.
type operators struct {
	s     *sim
	list  []*linear.Client
	conns []*http.Transport
	stop  context.CancelFunc
	group errgroup.Group
}

const (
	// howMany clients there are; client i asks node 1 + i%trio.
	howMany = 8
	// perSecond is how much they ask together; two thirds of it are acts.
	perSecond = 75
	// actWithin is what a client waits for an answer.
	actWithin = 5 * time.Second
)

func operatorHost(i int) string { return fmt.Sprintf("127.0.3.%d", 1+i) }

// operatorHosts are where the clients are.
func operatorHosts() (out []string) {
	for i := range howMany {
		out = append(out, operatorHost(i))
	}
	return out
}

// operate declares the Kafka clusters and lets clients act.
func (s *sim) operate(h *linear.History) *operators {
	s.t.Helper()
	o := &operators{s: s}
	for i := range howMany {
		conns := &http.Transport{DialContext: s.net.Host(operatorHost(i)).Dial}
		address := ipOf(1+i%trio) + httpPort
		o.conns = append(o.conns, conns)
		o.list = append(o.list, h.Join(linear.Client{
			ID: i, Every: howMany * time.Second / perSecond, Timeout: actWithin, Rand: rand.New(rand.NewPCG(s.rand.Uint64(), uint64(i))),
			Ask: func(cfg api.ClientConfig) (*api.Client, error) {
				cfg.Addresses, cfg.Transport = []string{address}, conns
				return api.NewClient(cfg)
			},
		}))
	}
	c, err := o.list[0].Ask(api.ClientConfig{})
	if err == nil {
		_, err = c.Apply(s.t.Context(), api.ApplyRequest{Sources: []manifest.Source{{
			Name: "kafka", Text: linear.Manifest([]string{usHost + ":9001"}, []string{euHost + ":9001"}),
		}}})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	o.stop = stop
	for _, c := range o.list {
		o.group.Go(func() error { return c.Run(ctx) })
	}
	return o
}

// end lets the clients come to an end and look once more, each at its node.
func (o *operators) end() {
	o.s.t.Helper()
	o.stop()
	if err := o.group.Wait(); err != nil {
		o.s.t.Fatal(err)
	}
	for _, c := range o.list {
		if err := c.Look(); err != nil {
			o.s.t.Fatal(err)
		}
	}
	for _, c := range o.conns {
		c.CloseIdleConnections()
	}
}

// freeze stops node i as SIGSTOP does: whatever it does next on the network, it
// does when it is thawed. Its clocks go on.
func (s *sim) freeze(i int) (thaw func()) {
	n, warm := s.nodes[i], make(chan struct{})
	n.tap.set(func(step) bool {
		<-warm
		return n.dead.Load()
	})
	return func() {
		n.tap.set(nil)
		close(warm)
	}
}

// trouble makes one fault of a node, and says what ends it.
func (s *sim) trouble(i int) (what string, end func()) {
	peers := s.peers(i)
	switch s.rand.IntN(7) {
	case 0:
		s.kill(i)
		return fmt.Sprintf("node %d killed", i), func() { s.start(i) }
	case 1:
		nth := 1 + s.rand.IntN(200)
		s.killAt(i, nth, func(st *step) bool { return !st.kafka })
		return fmt.Sprintf("node %d to be killed at step %d", i, nth), func() { s.kill(i); s.start(i) }
	case 2:
		s.cut(i, peers...)
		return fmt.Sprintf("node %d cut off", i), func() { s.healSomehow(i, peers...) }
	case 3:
		for _, h := range peers {
			s.net.Cut(ipOf(i), h)
		}
		return fmt.Sprintf("node %d not heard", i), func() { s.healSomehow(i, peers...) }
	case 4:
		h := peers[s.rand.IntN(len(peers))]
		s.net.Cut(h, ipOf(i))
		return fmt.Sprintf("node %d does not hear %s", i, h), func() { s.healSomehow(i, h) }
	case 5:
		return fmt.Sprintf("node %d loses connections", i), s.shake(i)
	}
	return fmt.Sprintf("node %d frozen", i), s.freeze(i)
}

// shake resets the connections of node i to its peers again and again: what is
// under way on them was received, or was not.
func (s *sim) shake(i int) (stop func()) {
	before := s.meanwhile
	s.meanwhile = func() {
		if before != nil {
			before()
		}
		for _, h := range s.peers(i) {
			if s.rand.IntN(4) == 0 {
				s.net.Reset(ipOf(i), h)
			}
		}
	}
	return func() { s.meanwhile = nil }
}

// troubles makes faults of one node or two, of the leader every other time.
func (s *sim) troubles() (end func()) {
	var ends []func()
	first := s.any()
	if l := s.leader(); l != 0 && s.rand.IntN(2) == 0 {
		first = l
	}
	for k := range 1 + s.rand.IntN(2) {
		what, end := s.trouble(1 + (first-1+k)%trio)
		s.t.Log(what)
		ends = append(ends, end)
		s.watch(time.Duration(s.rand.IntN(1500)) * time.Millisecond)
	}
	return func() {
		for _, end := range ends {
			end()
			s.watch(time.Duration(s.rand.IntN(500)) * time.Millisecond)
		}
	}
}

// farAway gives every wire between nodes, and between them and their clients, a
// delay, so that requests are under way when something happens.
func (s *sim) farAway() {
	for i := 1; i <= trio; i++ {
		for _, h := range append(s.peers(i), operatorHosts()...) {
			d := time.Duration(1+s.rand.IntN(20)) * time.Millisecond
			s.net.Delay(ipOf(i), h, d)
			s.net.Delay(h, ipOf(i), d)
		}
	}
}

// TestSimLinear: acts of operators at all nodes, while nodes die, freeze and
// lose each other, are answered as one node would that does one thing at a
// time.
func TestSimLinear(t *testing.T) {
	topics := map[string]int32{}
	for _, name := range linear.Topics() {
		topics[name] = 1
	}
	length := time.Duration(claim.Rounds(40, 120)) * time.Second
	eachSeed(t, uint64(claim.Rounds(2, 10)), func(t *testing.T, seed uint64) {
		h := linear.NewHistory()
		inBubble(t, seed, topics, func(s *sim) {
			for i := 1; i <= trio; i++ {
				s.start(i)
			}
			s.until("there is a leader", time.Minute, func() bool { return s.leader() != 0 && s.voters() == trio && s.view().HasKafkaRevisions() })
			o := s.operate(h)
			for begun := time.Now(); time.Since(begun) < length; {
				s.farAway()
				end := s.troubles()
				s.watch(time.Duration(500+s.rand.IntN(7500)) * time.Millisecond)
				end()
				s.until("it is well again", time.Minute, func() bool { return s.leader() != 0 && s.voters() == trio })
				s.watch(actWithin + time.Duration(s.rand.IntN(3000))*time.Millisecond)
				h.Settled(time.Now())
			}
			o.end()
			s.audit.equal()
		})
		h.Check(t)
	})
}

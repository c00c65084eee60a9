package transport

import (
	"errors"
	"fmt"
	"io"
	"log"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"sluice/test/vnet"
)

// startGossip runs a memberlist on a node; it knows peers by ServerID only.
func startGossip(t *testing.T, n *node, directory map[string]string) *memberlist.Memberlist {
	t.Helper()
	g, err := n.Gossip(func(id string) (string, bool) { a, ok := directory[id]; return a, ok })
	if err != nil {
		t.Fatal(err)
	}
	cfg := memberlist.DefaultLANConfig()
	cfg.Name, cfg.Transport = n.Self().ServerID, g
	cfg.Logger = log.New(io.Discard, "", 0)
	list, err := memberlist.Create(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestMemberlistOverPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := vnet.New()
		directory := map[string]string{}
		var nodes []*node
		var lists []*memberlist.Memberlist
		for i := range 3 {
			ip, id := fmt.Sprintf("127.0.0.%d", i+1), fmt.Sprintf("server-%d", i)
			directory[id] = ip + ":7400"
			nodes = append(nodes, startNode(t, net, ip, id, "c"))
		}
		for _, n := range nodes {
			lists = append(lists, startGossip(t, n, directory))
		}
		for _, l := range lists[1:] {
			// The address is a label that nobody can dial: the name decides.
			if _, err := l.Join([]string{"server-0/127.0.0.77:9"}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second)
		for i, l := range lists {
			if got := l.NumMembers(); got != 3 {
				t.Errorf("node %d sees %d members", i, got)
			}
		}
		if nodes[1].stats.in(KindPackets).Load() == 0 {
			t.Error("no packet came over the packet stream")
		}
		net.Kill("127.0.0.3")
		if err := lists[2].Shutdown(); err != nil { // a dead process tells nobody that it lives
			t.Error(err)
		}
		time.Sleep(30 * time.Second)
		for i, l := range lists[:2] {
			if got := l.NumMembers(); got != 2 {
				t.Errorf("node %d sees %d members after a death", i, got)
			}
		}
		for _, l := range lists {
			if err := l.Shutdown(); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(5 * time.Second) // memberlist does not wait for its last probe
		for _, n := range nodes {
			n.stop()
		}
		if net.Open() != 0 {
			t.Errorf("%d connections left open", net.Open())
		}
	})
}

func TestPacketQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := vnet.New()
		a := startNode(t, n, "127.0.0.1", "a", "")
		g, err := a.Gossip(func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatal(err)
		}
		n.CutBoth("127.0.0.1", "127.0.0.2")
		for range 3 * packetQueue {
			if _, err := g.WriteTo([]byte("x"), "127.0.0.2:7400"); err != nil {
				t.Fatal(err)
			}
		}
		if got := a.stats.packetsDropped.Load(); got < packetQueue {
			t.Errorf("%d packets dropped", got)
		}
		if _, err := g.WriteTo(make([]byte, maxPacket+1), "127.0.0.2:7400"); err == nil {
			t.Error("a huge packet was taken")
		}
		n.HealBoth("127.0.0.1", "127.0.0.2") // nobody listens: the queue drains into nothing
		time.Sleep(packetQueue*packetRedial + 2*packetIdle)
		g.mu.Lock()
		if len(g.queues) != 0 {
			t.Error("an idle queue was kept")
		}
		g.mu.Unlock()
		_ = g.Shutdown()
		if _, err := g.WriteTo([]byte("x"), "127.0.0.2:7400"); !errors.Is(err, ErrClosed) {
			t.Errorf("write after shutdown: %v", err)
		}
		a.stop()
	})
}

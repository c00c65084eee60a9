package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"sluice/transport"
)

// rejoinEvery is the pace of looking for members that gossip has forgotten:
// memberlist never reconnects to a node that was cut off for long.
const rejoinEvery = 10 * time.Second

// gossip keeps a directory of nodes and hints at deaths. It never changes
// membership or assignments. memberlist's goroutines end with its loop.
type gossip struct {
	*local
	tr      *transport.Transport
	members directory
	hint    func(id string) // a node is perhaps gone
	left    func() bool     // this node has left the cluster
	wake    trigger         // there is a new leader: members may be missing here
	list    atomic.Pointer[memberlist.Memberlist]
}

// gossipMeta rides on memberlist's messages.
type gossipMeta struct {
	Address string `json:"a"`
	Name    string `json:"n"`
}

// run gossips until ctx ends. A node that left says so.
func (g *gossip) run(ctx context.Context) error {
	layer, err := g.tr.Gossip(g.resolve)
	if err != nil {
		return fmt.Errorf("opening gossip: %w", err)
	}
	list, err := memberlist.Create(g.config(layer))
	if err != nil {
		_ = layer.Shutdown()
		return fmt.Errorf("starting gossip: %w", err)
	}
	g.list.Store(list)
	tick := time.NewTicker(rejoinEvery)
	defer tick.Stop()
	for {
		g.rejoin(list)
		select {
		case <-tick.C:
		case <-g.wake:
		case <-ctx.Done():
			if g.left() {
				_ = list.Leave(time.Second)
			}
			return list.Shutdown()
		}
	}
}

func (g *gossip) config(layer *transport.Gossip) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	if g.cfg.Profile == ProfileWAN {
		c = memberlist.DefaultWANConfig()
		c.ProbeInterval, c.ProbeTimeout = time.Second, 900*time.Millisecond
	}
	c.Name = g.self.ServerID
	c.Transport = layer
	c.Logger = memberlistLog(g.log.With("part", "gossip"))
	c.Delegate, c.Events = g, g
	c.DeadNodeReclaimTime = g.t.dead // a node that has moved; the transport refuses copies of living ones
	c.UDPBufferSize = 8 << 10        // packets ride on streams
	c.EnableCompression = false      // all are small
	return c
}

// resolve finds a node's address: from Raft's members, or what gossip says of
// one that this node's log does not hold yet.
func (g *gossip) resolve(id string) (string, bool) {
	if to, err := g.members.targetOf(id); err == nil {
		return to.Address, true
	}
	list := g.list.Load()
	if list == nil {
		return "", false
	}
	for _, m := range list.Members() {
		var meta gossipMeta
		if m.Name == id && json.Unmarshal(m.Meta, &meta) == nil && meta.Address != "" {
			return meta.Address, true
		}
	}
	return "", false
}

// rejoin asks Raft's members that gossip does not hold.
func (g *gossip) rejoin(list *memberlist.Memberlist) {
	held := map[string]bool{}
	for _, m := range list.Members() {
		held[m.Name] = true
	}
	for _, s := range g.members.servers() {
		if held[string(s.ID)] {
			continue
		}
		ip, port, err := transport.GossipAddress(string(s.Address))
		if err != nil {
			continue
		}
		if _, err := list.Join([]string{string(s.ID) + "/" + net.JoinHostPort(ip.String(), strconv.Itoa(port))}); err != nil {
			g.log.Debug("gossip: rejoining", "id", s.ID, "error", err)
		}
	}
}

// NotifyLeave implements memberlist.EventDelegate: a hint.
func (g *gossip) NotifyLeave(m *memberlist.Node) { g.hint(m.Name) }

// NodeMeta implements memberlist.Delegate.
func (g *gossip) NodeMeta(limit int) []byte {
	b, err := json.Marshal(gossipMeta{g.self.Advertise, g.cfg.Name})
	if err != nil || len(b) > limit {
		return nil
	}
	return b
}

// The rest of both delegates is of no use here.

func (*gossip) NotifyJoin(*memberlist.Node)     {}
func (*gossip) NotifyUpdate(*memberlist.Node)   {}
func (*gossip) NotifyMsg([]byte)                {}
func (*gossip) GetBroadcasts(int, int) [][]byte { return nil }
func (*gossip) LocalState(bool) []byte          { return nil }
func (*gossip) MergeRemoteState([]byte, bool)   {}

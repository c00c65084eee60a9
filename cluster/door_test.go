package cluster

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"sluice/fsm"
	"sluice/transport"
)

// TestStrangerDeletesNoLink: a certificate of the authority, an invented server
// id and no cluster id were full control once.
func TestStrangerDeletesNoLink(t *testing.T) {
	inFortress(t, func(f *fortress) {
		f.link()
		deletion, err := fsm.Encode(&fsm.Objects{DeleteLinks: []string{"l"}})
		if err != nil {
			f.t.Fatal(err)
		}
		x := f.attacker("n9", transport.Identity{ServerID: "invented", Name: "n9"})
		if code := f.ask(x, f.leader(), pathPropose, proposal{deletion}); code != codeNoMember {
			f.t.Errorf("the leader answers %q", code)
		}
		if code := f.ask(x, f.follower(), pathPropose, proposal{deletion}); code != codeStranger {
			f.t.Errorf("a follower answers %q", code)
		}
		leader := slices.Index(f.nodes, f.leader())
		if told := f.logs[leader].count(`msg="refused a request" path=/propose why="the node n9 at 127.0.0.9, with the server id invented, is no member`); told != 1 {
			f.t.Errorf("it is logged %d times", told)
		}
		if l := f.leader().View().LinkNamed("l"); l == nil || l.Deleting {
			f.t.Errorf("the link: %+v", l)
		}
	})
}

// TestForgedLeave: whoever knows a member's server id does not speak for it.
func TestForgedLeave(t *testing.T) {
	inFortress(t, func(f *fortress) {
		victim, leader := f.follower(), f.leader()
		cluster := leader.View().ClusterID
		alive := victim.self.Advertise // the living one is heard there
		for want, self := range map[string]transport.Identity{
			"is alive at": {ServerID: victim.self.ServerID, Name: "n9"},
			"it is of the node n9, and the node calls itself": {ServerID: victim.self.ServerID, Name: victim.cfg.Name, ClusterID: cluster},
			codeNoMember: {ServerID: victim.self.ServerID, Name: "n9", ClusterID: cluster, Advertise: alive},
		} {
			x := f.attacker("n9", self)
			if code := f.ask(x, leader, pathRemove, removal{ID: victim.self.ServerID, Leaves: true}); !strings.Contains(code, want) {
				f.t.Errorf("as %+v: %q", self, code)
			}
			f.ends[len(f.ends)-1]()
			f.ends = f.ends[:len(f.ends)-1]
		}
		if !leader.consensus.isMember(victim.self.ServerID) || leader.View().Node(victim.self.ServerID) == nil {
			f.t.Error("the victim is no member any more")
		}
	})
}

// TestWhoMayAskForWhat walks all that nodes serve to each other.
func TestWhoMayAskForWhat(t *testing.T) {
	inFortress(t, func(f *fortress) {
		open := map[string]bool{pathWhoami: true, pathJoin: true}
		x := f.attacker("n9", transport.Identity{ServerID: "invented", Name: "n9", ClusterID: f.leader().View().ClusterID})
		paths := []string{"/leave", "/", "/invented", pathJoin + "/x", "//join", "/x/../join"}
		for path, r := range f.leader().routes() {
			paths = append(paths, path)
			if r.anyone != open[path] {
				f.t.Errorf("%s is for anyone: %v", path, r.anyone)
			}
		}
		for _, path := range paths {
			if code := f.ask(x, f.leader(), path, json.RawMessage("{}")); (code == codeNoMember) == open[path] {
				f.t.Errorf("%s answers a stranger %q", path, code)
			}
		}
		member, leader := f.follower(), f.leader()
		for path := range leader.routes() { // a member is let in, whatever is said to it there: one of them hands leadership over
			if code := f.ask(member.tr, leader, path, json.RawMessage("{}")); code == codeNoMember || code == codeStranger {
				f.t.Errorf("%s answers a member %q", path, code)
			}
		}
		f.until("one leads", func() bool {
			for _, n := range f.nodes {
				if n.consensus.leading.Load() != nil {
					return true
				}
			}
			return false
		})
		if code := f.ask(x, f.leader(), pathJoin, fsm.Node{ID: "other", Name: "n8", Addr: ipOf(8) + ":7400", Feature: fsm.FeatureLevel}); !strings.Contains(code, "a node asks for itself") {
			f.t.Errorf("joining for another: %q", code)
		}
	})
}

// TestStrangersGetNoStream: Raft and gossip are for members.
func TestStrangersGetNoStream(t *testing.T) {
	inFortress(t, func(f *fortress) {
		cluster, victim := f.leader().View().ClusterID, f.follower()
		for _, self := range []transport.Identity{
			{ServerID: "invented", Name: "n9", ClusterID: cluster},
			{ServerID: "of-a-dead-one", Name: "n9", ClusterID: cluster},
		} {
			x := f.attacker("n9", self)
			for _, kind := range []transport.Kind{transport.KindRaft, transport.KindPackets, transport.KindGossip} {
				if _, err := x.Dial(f.t.Context(), kind, transport.Target{Address: victim.self.Advertise}); !errors.Is(err, transport.ErrStranger) {
					f.t.Errorf("%s: %v", kind, err)
				}
			}
			f.ends[len(f.ends)-1]()
			f.ends = f.ends[:len(f.ends)-1]
		}
		// Nor does a member dial one that has a certificate and a member's server id.
		x := f.attacker("n9", transport.Identity{ServerID: f.leader().self.ServerID, Name: "n9", ClusterID: cluster})
		if _, err := x.Listen(transport.KindRaft); err != nil {
			f.t.Fatal(err)
		}
		_, err := victim.tr.Dial(f.t.Context(), transport.KindRaft, transport.Target{Address: ipOf(9) + ":7400", ServerID: f.leader().self.ServerID})
		if !errors.Is(err, transport.ErrStranger) || !strings.Contains(err.Error(), "that of the node "+f.leader().cfg.Name+", and the certificate is that of the node n9") {
			f.t.Errorf("dialling it: %v", err)
		}
	})
}

// TestRemovedOnesConnectionsEnd: who is a member no more keeps no stream that it
// had.
func TestRemovedOnesConnectionsEnd(t *testing.T) {
	inFortress(t, func(f *fortress) {
		x := f.attacker("n9", transport.Identity{ServerID: "x", Name: "n9", ClusterID: f.leader().View().ClusterID})
		// The leader takes out of the facts who is no server of Raft, perhaps before
		// it has dialled.
		var c *transport.Conn
		f.until("it has a stream", func() bool {
			_, err := f.leader().Propose(f.t.Context(), &fsm.NodePut{Node: fsm.Node{ID: "x", Name: "n9", Addr: x.Self().Advertise, Feature: fsm.FeatureLevel}})
			if err == nil {
				c, err = x.Dial(f.t.Context(), transport.KindRaft, transport.Target{Address: f.leader().self.Advertise})
			}
			return err == nil
		})
		f.until("it was taken out", func() bool { return f.leader().View().Node("x") == nil })
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			f.t.Errorf("it is listened to still: %v", err)
		}
	})
}

// TestRestartedNodeKnowsTheMembers, although Raft tells it of no facts before
// there is a leader.
func TestRestartedNodeKnowsTheMembers(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		other := s.nodes[2].self.ServerID
		for i := 1; i <= 3; i++ {
			s.kill(i)
		}
		n := s.start(1, 1, 2, 3)
		time.Sleep(time.Minute)
		_, is, sure := n.roster.door.member(other)
		_, stranger, _ := n.roster.door.member("x")
		if len(n.View().Nodes) != 0 || !is || stranger || !sure {
			s.t.Errorf("%d nodes in the facts; knows the other %v, a stranger %v, for sure %v", len(n.View().Nodes), is, stranger, sure)
		}
	})
}

// TestRemovedNodeStaysOut: with its data dir emptied it came back once. Its
// certificate gets nothing, until the ban is lifted.
func TestRemovedNodeStaysOut(t *testing.T) {
	inFortress(t, func(f *fortress) {
		gone := f.follower()
		i := slices.Index(f.nodes, gone)
		name, key := gone.cfg.Name, gone.tr.Certificates().Key()
		f.until("its key is known", func() bool { return f.leader().View().Node(gone.self.ServerID).Key == key })
		f.ends[i]()
		f.ends[i] = func() {}
		leader := f.leader()
		f.until("it is removed", func() bool {
			return leader.Remove(f.t.Context(), name, &fsm.Act{Who: "ops", Did: []fsm.Deed{{Text: "remove node " + name}}}) == nil
		})
		if b := leader.View().Bans.On(name, key); b == nil || b.Key != key {
			f.t.Errorf("bans %+v", leader.View().Bans)
		}
		f.event("ban the certificate of node " + name)
		back, log, end := withTLS(f.t, f.net, f.dir, name, i+1, 3)
		f.logs = append(f.logs, log)
		time.Sleep(5 * time.Second)
		f.until("it has ended", func() bool { return transport.IsRefused(leader.tr.Probe(f.t.Context(), back.self.Advertise)) })
		end()
		if err := os.RemoveAll(back.cfg.DataDir); err != nil {
			f.t.Fatal(err)
		}
		back, log, end = withTLS(f.t, f.net, f.dir, name, i+1, 3)
		f.ends[i], f.logs[i] = end, log
		time.Sleep(30 * time.Second)
		if leader.consensus.isMember(back.self.ServerID) || len(leader.View().Nodes) != 2 || back.tr.Self().ClusterID != "" {
			f.t.Errorf("it is back: %+v, bans %+v", leader.View().Nodes, leader.View().Bans)
		}
		if why := back.Status().Obstacles; len(why) == 0 || !strings.Contains(why[0], "`sluice cluster unban "+name+"`, asked of a member") {
			f.t.Errorf("it says %q", why)
		}
		x := f.attacker(name, transport.Identity{ServerID: "invented", Name: name, ClusterID: leader.View().ClusterID})
		for _, kind := range []transport.Kind{transport.KindRaft, transport.KindPackets, transport.KindGossip, transport.KindRPC} {
			if _, err := x.Dial(f.t.Context(), kind, transport.Target{Address: leader.self.Advertise}); !isBanned(err) {
				f.t.Errorf("%s: %v", kind, err)
			}
		}
		if r, err := leader.Propose(f.t.Context(), &fsm.BanLift{Name: name}); err != nil || r.Refused != "" {
			f.t.Fatal(r, err)
		}
		f.until("it is back", func() bool { return leader.consensus.isMember(back.self.ServerID) && back.Quorum() })
	})
}

// TestBanEndsConnections that are open.
func TestBanEndsConnections(t *testing.T) {
	inFortress(t, func(f *fortress) {
		x := f.attacker("n9", transport.Identity{ServerID: "x", Name: "n9"})
		c, err := x.Dial(f.t.Context(), transport.KindRPC, transport.Target{Address: f.leader().self.Advertise})
		if err != nil {
			f.t.Fatal(err)
		}
		for _, cmd := range []fsm.Command{
			&fsm.NodePut{Node: fsm.Node{ID: "y", Name: "n9", Key: x.Certificates().Key(), Feature: fsm.FeatureLevel}}, &fsm.NodeRemove{ID: "y", Ban: true, At: 1},
		} {
			if _, err := f.leader().Propose(f.t.Context(), cmd); err != nil {
				f.t.Fatal(err)
			}
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			f.t.Errorf("it is listened to still: %v", err)
		}
	})
}

// TestLeavingBansNobody: who left may ask again.
func TestLeavingBansNobody(t *testing.T) {
	inFortress(t, func(f *fortress) {
		n := f.follower()
		i := slices.Index(f.nodes, n)
		finish, err := n.Leave(f.t.Context(), nil)
		if err == nil {
			err = finish(f.t.Context())
		}
		if err != nil {
			f.t.Fatal(err)
		}
		f.ends[i]()
		f.until("it has left", func() bool { return len(f.leader().View().Nodes) == 2 })
		if v := f.leader().View(); len(v.Bans) > 0 {
			f.t.Errorf("bans %+v", v.Bans)
		}
		n, f.logs[i], f.ends[i] = withTLS(f.t, f.net, f.dir, n.cfg.Name, i+1, 3)
		f.until("it is back", func() bool { return f.leader().consensus.isMember(n.self.ServerID) && n.Quorum() })
	})
}

// TestReturnsToOthers: while a node was away another one joined and leads now.
// The one that comes back has never heard of it, and takes the word of a member
// that it knows.
func TestReturnsToOthers(t *testing.T) {
	runSim(t, func(s *sim) {
		s.cfg.DeadVoterAfter = 20 * time.Second
		s.trio()
		away := s.follower().i
		s.kill(away)
		n4 := s.start(4, 1, 2, 3)
		s.until("the fourth votes", time.Minute, func() bool {
			l := s.leader()
			if l == nil {
				return false
			}
			for _, id := range votersOf(l.consensus.servers()) {
				if string(id) == n4.self.ServerID {
					return true
				}
			}
			return false
		})
		s.until("the fourth leads", time.Minute, func() bool {
			if l := s.leader(); l != nil && l.i != 4 {
				_ = l.consensus.raft.Load().LeadershipTransferToServer(raft.ServerID(n4.self.ServerID), raft.ServerAddress(n4.self.Advertise)).Error()
			}
			l := s.leader()
			return l != nil && l.i == 4
		})
		r := s.propose(n4, &fsm.Barrier{})
		n := s.start(away, 1, 2, 3)
		if _, is, sure := n.roster.door.member(n4.self.ServerID); is || !sure {
			s.t.Errorf("the test shows nothing: it knows the fourth %v, for sure %v", is, sure)
		}
		s.until("it is up to date", time.Minute, func() bool { return n.View().Index >= r.Index })
		s.until("all vote", time.Minute, func() bool { return n.Quorum() })
	})
}

// TestBelowTheLevel: nodes that do not vouch for each other start again together
// and take in another one, as before.
func TestBelowTheLevel(t *testing.T) {
	runSim(t, func(s *sim) {
		s.cfg.hooks.level = beforeIdentity
		s.trio()
		for i := 1; i <= 3; i++ {
			s.kill(i)
		}
		s.bury()
		for i := 1; i <= 3; i++ {
			if id, err := ReadIdentity(s.dataDir(i)); err != nil || id.Members != nil {
				s.t.Errorf("node %d keeps %+v, which may be out of date by the time all vouch: %v", i, id.Members, err)
			}
			s.start(i, 1, 2, 3)
		}
		s.until("they are a cluster again", time.Minute, func() bool { l := s.leader(); return l != nil && len(l.View().Nodes) == 3 })
		n := s.start(4, 1, 2, 3)
		s.until("a fourth is in", time.Minute, func() bool { return n.Quorum() && n.View().Node(n.self.ServerID) != nil })
		if v := n.View(); v.Feature != beforeIdentity || v.Node(n.self.ServerID).Key != "" {
			s.t.Errorf("the test shows nothing, or a key is there too early: level %d, %+v", v.Feature, v.Nodes)
		}
	})
}

// TestWhoIsAMember: the newest word counts, and who is not taken in yet listens
// to nobody.
func TestWhoIsAMember(t *testing.T) {
	state := fsm.NewState()
	apply := func(index uint64, c fsm.Command) {
		data, err := fsm.Encode(c)
		if err == nil {
			_, err = state.Apply(index, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var kept []members
	d := &door{
		local: &local{}, consensus: &consensus{local: &local{}, facts: newHub(state.View())}, review: func() {},
		keep: func(m members) error { kept = append(kept, m); return nil },
	}
	admits := func(id string) string {
		err := d.admits(transport.Peer{Identity: transport.Identity{ServerID: id, Name: "n-" + id}, Key: "k"})
		switch {
		case err == nil:
			return "yes"
		case errors.Is(err, transport.ErrNotReady):
			return "later"
		}
		return "no"
	}
	see := func(when string, want map[string]string) {
		t.Helper()
		for id, w := range want {
			if got := admits(id); got != w {
				t.Errorf("%s: %s: %s, want %s", when, id, got, w)
			}
		}
	}
	see("before it is taken in", map[string]string{"a": "later"})
	if err := d.taken(nil); err != nil {
		t.Fatal(err)
	}
	see("taken in by an older version", map[string]string{"a": "yes"})
	if err := d.taken(&members{Index: 10, Names: map[string]string{"a": "n-a", "b": "another"}}); err != nil || len(kept) != 1 || kept[0].Index != 10 {
		t.Errorf("%v, kept %+v", err, kept)
	}
	see("with the word of who took it in", map[string]string{"a": "yes", "b": "no", "c": "no"})
	d.hear(&members{Index: 9, Names: map[string]string{"c": "n-c"}})
	see("an older word", map[string]string{"a": "yes", "c": "no"})
	d.hear(&members{Index: 20, Names: map[string]string{"a": "n-a", "c": "n-c"}})
	see("a newer word", map[string]string{"a": "yes", "c": "yes"})
	apply(15, &fsm.NodePut{Node: fsm.Node{ID: "d", Name: "n-d"}})
	d.consensus.facts.publish(state.View())
	see("older facts", map[string]string{"c": "yes", "d": "no"})
	apply(30, &fsm.FeatureRaise{Level: fsm.FeatureLevel})
	d.consensus.facts.publish(state.View())
	see("newer facts", map[string]string{"a": "no", "c": "no", "d": "yes"})
}

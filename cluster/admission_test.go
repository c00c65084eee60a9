package cluster

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/fsm"
)

// beforeIdentity is the last feature level at which nodes vouch for nobody.
const beforeIdentity = 4

// start starts another node, with a token.
func (f *fortress) start(i int, name, token string) *Node {
	f.t.Helper()
	n, log, end := withTLS(f.t, f.net, f.dir, name, i, 3, func(c *Config) { c.Token, c.Datacenter = token, "east" })
	f.nodes, f.logs, f.ends = append(f.nodes, n), append(f.logs, log), append(f.ends, end)
	return n
}

func (f *fortress) token(secret string) {
	f.t.Helper()
	now := time.Now().UnixMilli()
	r, err := f.leader().Propose(f.t.Context(), &fsm.TokenPut{Token: fsm.Token{Node: "n4", Datacenter: "east", Hash: HashToken(secret), By: "ops", Expires: now + 3600_000}, At: now})
	if err != nil || r.Refused != "" {
		f.t.Fatal(r, err)
	}
}

func (f *fortress) isIn(n *Node) bool {
	return f.leader().View().Node(n.self.ServerID) != nil && f.leader().consensus.isMember(n.self.ServerID) && n.Quorum()
}

// TestJoinTakesAToken: a certificate alone lets nobody in whom no configuration
// lists. Who is refused is told what to do, and the cluster of it, once.
func TestJoinTakesAToken(t *testing.T) {
	inFortress(t, func(f *fortress) {
		n4 := f.start(4, "n4", "")
		time.Sleep(20 * time.Second)
		if f.isIn(n4) {
			f.t.Fatal("it was taken in without a token")
		}
		const what = "the node n4 is not allowed to join; make it a token on a member with `sluice cluster token create n4 --datacenter east` and start it with that"
		if why := n4.Status().Obstacles; len(why) != 1 || !strings.Contains(why[0], what) {
			f.t.Errorf("it says %q", why)
		}
		refused := func() (out []*fsm.Event) {
			for _, e := range f.leader().View().LinkEvents(0).All() {
				if e.Code == fsm.CodeJoinRefused {
					out = append(out, e)
				}
			}
			return out
		}
		if e := refused(); len(e) != 1 || e[0].Count != 1 || e[0].Who != "node n4" || e[0].Client != ipOf(4) || !strings.Contains(e[0].Message, what) {
			f.t.Errorf("events %+v", e)
		}
		f.until("more of it is folded", func() bool { e := refused(); return len(e) == 1 && e[0].Count > 1 })
		f.ends[3]()
		f.nodes, f.logs, f.ends = f.nodes[:3], f.logs[:3], f.ends[:3]
		f.token("secret")
		n4 = f.start(4, "n4", "wrong")
		time.Sleep(20 * time.Second)
		if why := n4.Status().Obstacles; len(why) != 1 || !strings.Contains(why[0], "the token is none for n4: it was used, revoked or replaced") {
			f.t.Errorf("with a wrong token it says %q", why)
		}
		f.ends[3]()
		f.nodes, f.logs, f.ends = f.nodes[:3], f.logs[:3], f.ends[:3]
		n4 = f.start(4, "n4", "secret")
		f.until("it is a member", func() bool { return f.isIn(n4) })
		if v := f.leader().View(); len(v.Tokens) != 0 {
			f.t.Errorf("the token is there still: %+v", v.Tokens)
		}
		f.event("node n4 joins the cluster, with the token that ops made")
	})
}

// TestOneTokenLetsOneIn: two nodes show the same at once.
func TestOneTokenLetsOneIn(t *testing.T) {
	inFortress(t, func(f *fortress) {
		f.token("secret")
		a, b := f.start(4, "n4", "secret"), f.start(14, "n4", "secret")
		f.until("one is in", func() bool { return f.isIn(a) || f.isIn(b) })
		time.Sleep(30 * time.Second)
		if v := f.leader().View(); len(v.Nodes) != 4 || f.isIn(a) == f.isIn(b) || len(v.Tokens) != 0 {
			f.t.Errorf("%+v, tokens %+v", v.Nodes, v.Tokens)
		}
	})
}

// TestMemberComesBackWithoutAToken: one that was let in by a token and lost its
// disk has a member's certificate.
func TestMemberComesBackWithoutAToken(t *testing.T) {
	inFortress(t, func(f *fortress) {
		f.token("secret")
		n4 := f.start(4, "n4", "secret")
		f.until("it is a member", func() bool { return f.isIn(n4) })
		f.ends[3]()
		f.nodes, f.logs, f.ends = f.nodes[:3], f.logs[:3], f.ends[:3]
		if err := wipeIdentity(n4.cfg.DataDir); err != nil {
			f.t.Fatal(err)
		}
		again := f.start(4, "n4", "secret")
		f.until("it is a member again", func() bool { return f.isIn(again) && f.leader().View().Node(n4.self.ServerID) == nil })
	})
}

// TestAdmission: by what right a node is taken in.
func TestAdmission(t *testing.T) {
	token := fsm.Token{Node: "n4", Hash: HashToken("secret"), By: "ops", Expires: 2000}
	all := &fsm.View{Feature: fsm.FeatureLevel, Nodes: []fsm.Node{{ID: "a", Name: "n1"}}, Tokens: []fsm.Token{token}, Bans: []fsm.Ban{{Name: "n9", Key: "k"}}}
	old := &fsm.View{Feature: beforeIdentity}
	for _, c := range []struct {
		name        string
		v           *fsm.View
		j           joining
		right, what string // of the two one is empty
		used        bool
	}{
		{"a token", all, joining{Node: fsm.Node{ID: "x", Name: "n4"}, Token: "secret", Proven: true}, "with the token that ops made", "", true},
		{"a token, without certificates", all, joining{Node: fsm.Node{ID: "x", Name: "n4"}, Token: "secret"}, "with the token that ops made", "", true},
		{"another's token", all, joining{Node: fsm.Node{ID: "x", Name: "n5"}, Token: "secret", Proven: true}, "", "the token is none for n5", false},
		{"a used one of who is listed", all, joining{Node: fsm.Node{ID: "x", Name: "n5"}, Token: "used", Proven: true, Listed: "x"}, "listed in x", "", false},
		{"a member's name", all, joining{Node: fsm.Node{ID: "x", Name: "n1"}, Proven: true}, "again", "", false},
		{"listed", all, joining{Node: fsm.Node{ID: "x", Name: "n5"}, Proven: true, Listed: "x"}, "listed in x", "", false},
		{"listed, and taken out", all, joining{Node: fsm.Node{ID: "x", Name: "n9"}, Proven: true, Listed: "x"}, "", "sluice cluster unban n9", false},
		{"nothing", all, joining{Node: fsm.Node{ID: "x", Name: "n5"}, Proven: true}, "", "list it in `allow`", false},
		{"no certificates", all, joining{Node: fsm.Node{ID: "x", Name: "n5"}}, "without a certificate", "", false},
		{"older nodes", old, joining{Node: fsm.Node{ID: "x", Name: "n5"}, Proven: true, Token: "secret"}, "as older versions let it", "", false},
	} {
		right, hash, err := admission(c.v, c.j, 1000)
		if right != c.right || (err == nil) != (c.what == "") || err != nil && !strings.Contains(err.Error(), c.what) || (hash != "") != c.used {
			t.Errorf("%s: %q %q %v", c.name, right, hash, err)
		}
	}
}

// TestListedByName or by an address that the certificate is for.
func TestListedByName(t *testing.T) {
	inFortress(t, func(f *fortress) {
		n7 := f.start(7, "n7", "")
		f.until("it is a member", func() bool { return f.isIn(n7) })
		if !slices.ContainsFunc(f.leader().View().LinkEvents(0).All(), func(e *fsm.Event) bool {
			return strings.Contains(e.Message, "node n7 joins the cluster, listed in `allow` in the node.yaml of n")
		}) {
			f.t.Error("no event says why")
		}
		f.event("joins the cluster, listed in `join` in the node.yaml of n1") // the founders
	})
}

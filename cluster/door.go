package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"sluice/fsm"
	"sluice/transport"
)

// door says who may speak with this node, and about what: whoever has a
// certificate of the authority that is not banned may ask who this node is and
// to be taken in, all else is for members. A member is a ServerID of the facts
// whose name there is the certificate's; without certificates nothing proves a
// name.
//
// A node's facts may be old: it has just joined, begins with what its disk
// holds, or was cut off. Who belongs to the cluster is then what a member that
// it does know tells: the one that took it in, or any that answers its reports.
// The newest word counts, by the index of the facts that it rests on. docs/adr
// says why nobody is locked out by it.
type door struct {
	*local
	consensus *consensus
	liveness  *liveness
	keep      func(members) error // makes it last
	review    func()              // has open connections judged anew
	maySay    func(string) bool   // whether to log of it again

	held    atomic.Pointer[members] // the newest word of others, or of before the start; nil: none
	trusts  atomic.Bool             // a member took this node in that does not say who belongs to the cluster: an older version
	changed atomic.Uint64           // index of the facts when who belongs had changed last, as far as this process knows
}

// run keeps what the facts say of the members, and ends the connections of those
// who are none any more, until ctx ends.
func (d *door) run(ctx context.Context) error {
	last, kept := &fsm.View{}, members{}
	for {
		changed := d.consensus.facts.watch()
		v := d.consensus.facts.View()
		nodes, bans := !same(v.Nodes, last.Nodes), !same(v.Bans, last.Bans)
		if nodes {
			d.changed.Store(v.Index)
		}
		if now := membersOf(v); v.NamesMembers() && (nodes || kept.Names == nil) && !maps.Equal(now.Names, kept.Names) {
			if err := d.keep(now); err != nil {
				d.log.Warn("keeping who belongs to the cluster", "error", err)
			} else {
				kept = now
			}
		}
		if nodes || bans || v.Feature != last.Feature {
			d.review()
		}
		last = v
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// same reports that two lists of Views are one: none in between had another.
func same[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// word is what this node knows of the members by its own facts; nil: nothing.
func (d *door) word() *members {
	if v := d.consensus.facts.View(); len(v.Nodes) > 0 {
		m := membersOf(v)
		return &m
	}
	return nil
}

// news is the word for a member whose facts are of an index; nil: it knows.
func (d *door) news(index uint64) *members {
	if index >= d.changed.Load() {
		return nil
	}
	return d.word()
}

// hear takes a member's word.
func (d *door) hear(m *members) {
	for m != nil && m.Index > d.consensus.facts.View().Index {
		held := d.held.Load()
		if held != nil && held.Index >= m.Index {
			return
		}
		if d.held.CompareAndSwap(held, m) {
			d.review()
			return
		}
	}
}

// taken notes that a member has taken this node in, with its word; nil: it is of
// a version that gives none.
func (d *door) taken(m *members) error {
	if m == nil {
		d.trusts.Store(true)
		return nil
	}
	d.hear(m)
	if d.word() != nil {
		return nil // what the facts say is kept
	}
	return d.keep(*m)
}

// member finds the name of a server by the newest word. sure: whoever it does
// not find is none.
func (d *door) member(id string) (name string, is, sure bool) {
	v := d.consensus.facts.View()
	if held := d.held.Load(); held != nil && held.Index > v.Index {
		name, is = held.Names[id]
		return name, is, true
	}
	if node := v.Node(id); node != nil {
		return node.Name, true, true
	}
	return "", false, v.NamesMembers()
}

// judge is the guard of all connections.
func (d *door) judge(m transport.Meeting) error {
	if err := d.banned(m); err != nil {
		return err
	}
	if m.Inbound {
		if twin := d.liveness.twin(m.Peer.Identity, d.consensus.raft.Load() != nil); twin != nil {
			return twin
		}
	}
	if m.Kind == transport.KindRPC && !m.Named {
		return nil // who asks for what is looked at with each request
	}
	return d.admits(m.Peer)
}

// banned refuses a certificate on which a ban is, for whatever it wants.
func (d *door) banned(m transport.Meeting) error {
	if !m.Peer.Proven() {
		return nil
	}
	ban := d.consensus.facts.View().Bans.On(m.Peer.Name, m.Peer.Key)
	switch {
	case ban == nil:
		return nil
	case !m.Inbound:
		return fmt.Errorf("%w: the certificate of %s is banned", transport.ErrStranger, ban.Name)
	}
	return banned(ban)
}

// banned words a ban for the node that it is on.
func banned(b *fsm.Ban) error {
	return &transport.BannedError{Detail: fmt.Sprintf("the certificate of the node %s is banned, for it was taken out of the cluster at %s; `sluice cluster unban %s`, asked of a member, lets it ask to be taken in again",
		b.Name, time.UnixMilli(b.At).UTC().Format(time.RFC3339), b.Name)}
}

// knows reports whether a peer is a member.
func (d *door) knows(p transport.Peer) bool {
	name, is, _ := d.member(p.ServerID)
	return is && (name == p.Name || !p.Proven())
}

// admits says why a peer is not taken for a member; nil: it is.
func (d *door) admits(p transport.Peer) error {
	name, is, sure := d.member(p.ServerID)
	switch {
	case d.knows(p):
		return nil
	case is:
		return fmt.Errorf("%w: the server id %s is that of the node %s, and the certificate is that of the node %s", transport.ErrStranger, p.ServerID, name, p.Name)
	case sure:
		return fmt.Errorf("%w: %s at %s, with the server id %s", transport.ErrStranger, p.Name, p.Advertise, p.ServerID)
	}
	// Below the feature level members do not vouch for each other, and this node
	// may not hear of a new one: whoever belongs to the cluster by its own word
	// comes in, as it was before. A node that has founded alone, or was not taken
	// in yet, waits for nobody.
	switch servers := d.consensus.servers(); {
	case len(servers) > 1, len(servers) == 0 && d.trusts.Load():
		return nil
	case len(servers) == 0:
		return fmt.Errorf("%w: this node is not taken in yet", transport.ErrNotReady)
	}
	return fmt.Errorf("%w: %s at %s: this node is its only one", transport.ErrStranger, p.Name, p.Advertise)
}

// route is what other nodes may ask for at a path.
type route struct {
	handler http.Handler
	anyone  bool // not members only
}

// gate serves routes to those who may ask for them.
func (d *door) gate(routes map[string]route) http.Handler {
	mux := http.NewServeMux()
	for path, r := range routes {
		mux.Handle("POST "+path, r.handler)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !routes[r.URL.Path].anyone { // of what is no route too
			if err := d.entitled(r.Context()); err != nil {
				if d.maySay("asked by " + err.Message) {
					d.log.Warn("refused a request", "path", r.URL.Path, "why", err.Message)
				}
				transport.Refuse(w, err)
				return
			}
		}
		mux.ServeHTTP(w, r)
	})
}

// entitled refuses a request of whoever is no member.
func (d *door) entitled(ctx context.Context) *transport.RemoteError {
	peer, _ := transport.PeerFrom(ctx)
	if d.knows(peer) {
		return nil
	}
	from, _, _ := net.SplitHostPort(peer.From)
	e := &transport.RemoteError{
		Status: http.StatusForbidden, Code: codeStranger,
		Message: fmt.Sprintf("the node %s at %s, with the server id %s, is no member as far as %s knows, and only members may ask for this", peer.Name, from, peer.ServerID, d.cfg.Name),
	}
	ctx, cancel := context.WithTimeout(ctx, d.t.rpc)
	defer cancel()
	if _, err := d.consensus.confirm(ctx); err == nil && !d.knows(peer) {
		e.Code, e.Message = codeNoMember, fmt.Sprintf("the node %s at %s, with the server id %s, is no member, as the leader %s knows", peer.Name, from, peer.ServerID, d.cfg.Name)
	}
	return e
}

// Codes of refusing whoever is no member.
const (
	codeStranger = "stranger"  // as far as the node knows that was asked
	codeNoMember = "no-member" // surely: a leader says so, which has proven that it leads
)

// isBanned reports that another node bans this one's certificate.
func isBanned(err error) bool {
	_, ok := errors.AsType[*transport.BannedError](err)
	return ok
}

// isNoMember reports that a leader says so of this node.
func isNoMember(err error) bool {
	remote, ok := errors.AsType[*transport.RemoteError](err)
	return ok && remote.Code == codeNoMember
}

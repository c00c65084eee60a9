// Package gate bounds the connections to a port of which nobody knows yet who
// is at the other end.
//
// Whoever may reach a port can open connections and say nothing, or begin one
// TLS handshake after the other. Where such a port has no more room, that which
// came last is let in and the oldest goes: who means it has proven himself by
// then. An address from which somebody has proven himself lately has room of
// its own, and the rate of new connections from all others is bounded: what a
// handshake costs cannot be spent without end.
//
// It must not know what is spoken on a port, nor what proves anything.
package gate

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Config bounds connections that are not proven.
type Config struct {
	Most       int // at a time, in all
	PerAddress int // of these, from one address that is not known
	Rate       int // new ones each second, from all addresses that are not known
}

// DefaultConfig serves a port of a node.
func DefaultConfig() Config { return Config{Most: 256, PerAddress: 32, Rate: 50} }

// knownFor is how long an address is known after somebody there has proven
// himself.
const knownFor = time.Hour

// mostKnown bounds how many addresses are known.
const mostKnown = 1024

// Gate is one port's. Its methods may be used by any goroutine.
type Gate struct {
	cfg       Config
	strangers *rate.Limiter

	mu     sync.Mutex
	inside list.List // of *Pass, oldest first
	from   map[netip.Addr]int
	known  map[netip.Addr]time.Time // when somebody last proved himself
}

// Pass is one connection that was let in.
type Pass struct {
	gate *Gate
	conn net.Conn
	from netip.Addr
	at   *list.Element // nil: it is proven, or gone
}

// New makes a gate.
func New(cfg Config) *Gate {
	return &Gate{
		cfg: cfg, strangers: rate.NewLimiter(rate.Limit(cfg.Rate), cfg.Rate), from: map[netip.Addr]int{}, known: map[netip.Addr]time.Time{},
	}
}

// Enter lets a connection in, for which another may be closed; a nil Pass: it
// was closed itself. crowded: one of them was.
func (g *Gate) Enter(c net.Conn) (p *Pass, crowded bool) {
	g.mu.Lock()
	p = &Pass{gate: g, conn: c, from: addrOf(c.RemoteAddr())}
	victim := c
	if g.isKnown(p.from) || g.strangers.Allow() {
		victim = g.makeRoom(p.from)
		p.at = g.inside.PushBack(p)
		g.from[p.from]++
	}
	g.mu.Unlock()
	if victim != nil {
		victim.Close()
	}
	if victim == c {
		p = nil
	}
	return p, victim != nil
}

// makeRoom takes out one connection where there is no room for another from an
// address: the oldest of that address, of those that are not known, or of all.
func (g *Gate) makeRoom(from netip.Addr) net.Conn {
	stranger := !g.isKnown(from)
	switch {
	case stranger && g.from[from] >= g.cfg.PerAddress:
		return g.takeOut(func(p *Pass) bool { return p.from == from })
	case g.inside.Len() < g.cfg.Most:
		return nil
	}
	if c := g.takeOut(func(p *Pass) bool { return !g.isKnown(p.from) }); c != nil {
		return c
	}
	return g.takeOut(func(*Pass) bool { return true })
}

func (g *Gate) takeOut(which func(*Pass) bool) net.Conn {
	for e := g.inside.Front(); e != nil; e = e.Next() {
		if p := e.Value.(*Pass); which(p) {
			g.leave(p)
			return p.conn
		}
	}
	return nil
}

func (g *Gate) leave(p *Pass) {
	if p.at == nil {
		return
	}
	g.inside.Remove(p.at)
	p.at = nil
	if g.from[p.from]--; g.from[p.from] == 0 {
		delete(g.from, p.from)
	}
}

func (g *Gate) isKnown(a netip.Addr) bool {
	at, ok := g.known[a]
	return ok && time.Since(at) < knownFor
}

// Know notes that somebody at an address has proven himself.
func (g *Gate) Know(address net.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := addrOf(address)
	if _, ok := g.known[a]; !ok && len(g.known) >= mostKnown {
		g.forget()
	}
	g.known[a] = time.Now()
}

// forget drops the address that is known longest without a new proof.
func (g *Gate) forget() {
	var oldest netip.Addr
	at := time.Now()
	for a, when := range g.known { // in any order: the oldest is one
		if when.Before(at) {
			oldest, at = a, when
		}
	}
	delete(g.known, oldest)
}

// Proven says that the other end has proven who it is: the connection counts no
// more, and its address is known.
func (p *Pass) Proven() {
	p.Leave()
	p.gate.Know(p.conn.RemoteAddr())
}

// Leave says that the connection has ended, or ends. It may be called often.
func (p *Pass) Leave() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	p.gate.leave(p)
}

// addrOf is the IP address of an end; the zero address stands for all that have
// none.
func addrOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	to, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return to.Addr().Unmap().WithZone("")
}

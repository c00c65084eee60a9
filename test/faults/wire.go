package faults

import (
	"net"
	"sync/atomic"
	"time"
)

// Wire is a TCP proxy in front of one address.
type Wire struct {
	relay   *relay
	there   Flow
	back    Flow
	refused atomic.Bool
	target  atomic.Pointer[string]
}

// OpenWire starts a wire to target on a free port of 127.0.0.1.
func OpenWire(target string) (*Wire, error) {
	w := &Wire{}
	w.target.Store(&target)
	var err error
	w.relay, err = openRelay("", func(net.Addr) route {
		return route{target: *w.target.Load(), there: &w.there, back: &w.back, refused: w.refused.Load()}
	})
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Addr returns the address to dial.
func (w *Wire) Addr() string { return w.relay.addr() }

// There returns the direction from who dials to the target.
func (w *Wire) There() *Flow { return &w.there }

// Back returns the direction from the target to who dials.
func (w *Wire) Back() *Flow { return &w.back }

// Open returns how many connections are open.
func (w *Wire) Open() int { return w.relay.open() }

// Cut holds both directions: connections stay open, new ones are accepted, nothing arrives.
func (w *Wire) Cut() {
	w.there.Hold()
	w.back.Hold()
}

// Refuse resets all connections and every new one until Heal.
func (w *Wire) Refuse() {
	w.refused.Store(true)
	w.relay.resetIf(func(route) bool { return true })
}

// Point makes the wire lead to another target in one instant: all connections are reset.
func (w *Wire) Point(target string) {
	w.target.Store(&target)
	w.relay.resetIf(func(route) bool { return true })
}

// Heal ends Cut, Refuse and holds of single directions.
func (w *Wire) Heal(how Heal) {
	if how == Reset {
		w.relay.resetIf(func(route) bool { return true })
	}
	w.refused.Store(false)
	w.there.Release()
	w.back.Release()
}

// SetDelay makes each direction d slower: the round trip becomes 2 x d longer.
func (w *Wire) SetDelay(d time.Duration) {
	w.there.SetDelay(d)
	w.back.SetDelay(d)
}

// SetRate limits each direction to so many bytes per second; 0 for no limit.
func (w *Wire) SetRate(bytesPerSecond int64) {
	w.there.SetRate(bytesPerSecond)
	w.back.SetRate(bytesPerSecond)
}

// Close resets all connections and stops.
func (w *Wire) Close() { w.relay.close() }

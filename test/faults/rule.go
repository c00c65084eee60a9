package faults

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Side says whether a rule is about requests or about responses.
type Side int

const (
	OnRequest  Side = iota // what a client sends
	OnResponse             // what a broker answers
)

// Action is what a rule does to a frame that it chose.
type Action int

const (
	// Hold keeps the frame, and all behind it on that side of the connection, until Fault.Release or
	// Fault.CloseClient.
	// What comes in meanwhile is read and kept, so a request goes out after Release even when its
	// sender has died.
	Hold Action = iota
	// Drop swallows the frame; the connection goes on.
	Drop
	// Delay keeps the frame, and all behind it, for Rule.Delay.
	Delay
	// CloseClient swallows the frame and ends the client's connection as Rule.How says: a response that
	// is lost, or a request that does not arrive, nor what follows it. Requests delivered before it
	// stay with the broker, whose connection ends in order.
	CloseClient
	// CloseBoth swallows the frame and ends both connections as Rule.How says.
	CloseBoth
)

// Api keys that rules are often about; any other works as well.
const (
	Produce int16 = 0
	Fetch   int16 = 1
)

// Rule chooses frames and says what happens to them. A response is chosen by its request. The zero
// value of each choice is "any".
type Rule struct {
	Side         Side
	Brokers      []int   // numbers of brokers
	APIs         []int16 // api keys
	ClientPrefix string  // of the client id
	// BodyContains must stand in the request's body: a topic's name or, as Produce and Fetch carry
	// from version 13 on, the 16 bytes of its id. A response rule with it is not asked for requests
	// that were forwarded before the rule was added.
	BodyContains string

	First int // number of the first match that is chosen, from 1; 0 is 1
	Count int // how many matches in a row are chosen; 0 is all from First on

	Do    Action
	Delay time.Duration // for Delay
	How   Close         // for CloseClient and CloseBoth
}

// Fault is a rule at work.
type Fault struct {
	rule Rule

	mu       sync.Mutex
	matched  int
	chosen   int
	held     int           // frames that wait now because of this rule
	changed  chan struct{} // closed and replaced when a number above changes
	released chan struct{} // closed when the rule ends
	over     bool
	closeHow *Close // set before released is closed when held frames' clients are to be closed
}

func newFault(r Rule) *Fault {
	return &Fault{rule: r, changed: make(chan struct{}), released: make(chan struct{})}
}

// matches reports whether the rule is about this request (body nil: not known any more).
func (f *Fault) matches(broker int, req Request, body []byte) bool {
	r := f.rule
	return (len(r.Brokers) == 0 || slices.Contains(r.Brokers, broker)) &&
		(len(r.APIs) == 0 || slices.Contains(r.APIs, req.APIKey)) &&
		strings.HasPrefix(req.ClientID, r.ClientPrefix) &&
		(r.BodyContains == "" || bytes.Contains(body, []byte(r.BodyContains)))
}

// choose counts a match and reports whether it is one to act on.
func (f *Fault) choose() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return false
	}
	f.matched++
	first := max(f.rule.First, 1)
	if f.matched < first || f.rule.Count > 0 && f.matched >= first+f.rule.Count {
		return false
	}
	f.chosen++
	f.notify()
	return true
}

func (f *Fault) hold(by int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held += by
	f.notify()
}

func (f *Fault) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// Release ends the rule: held frames go on, later ones pass.
func (f *Fault) Release() { f.end(nil) }

// CloseClient ends the rule and does to the held frames what the action CloseClient does: for an
// acknowledgement that gets lost once a known number of requests has reached the broker.
func (f *Fault) CloseClient(how Close) { f.end(&how) }

func (f *Fault) end(how *Close) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.over, f.closeHow = true, how
		close(f.released)
	}
}

// Matched returns how many frames the rule has matched, Chosen how many it acted on.
func (f *Fault) Matched() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.matched
}

// Chosen returns how many frames the rule acted on, those that are still held included.
func (f *Fault) Chosen() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.chosen
}

// Held returns how many frames wait because of this rule: at most one per connection and side,
// others queue up behind it.
func (f *Fault) Held() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held
}

// WaitChosen waits until the rule has acted on n frames.
func (f *Fault) WaitChosen(ctx context.Context, n int) error {
	for {
		f.mu.Lock()
		chosen, changed := f.chosen, f.changed
		f.mu.Unlock()
		if chosen >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for a fault: acted on %d of %d: %w", chosen, n, context.Cause(ctx))
		case <-changed:
		}
	}
}

package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// peers is Raft's network transport with three things added.
//
// It remembers when the last acknowledged request to each server was sent.
// raft.VerifyLeader counts an answer to a heartbeat that was sent before the
// question, which a process that was stopped for a minute finds in its socket
// buffer; what rests on leadership must compare the moment of sending.
//
// And it holds a failed append back until the server's heartbeats get through
// again. Raft waits up to ten seconds between appends after a long outage, and
// a returning node would stand idle for that long.
//
// Closing it waits for the heartbeat that is being taken in. Raft does that on
// the connection's goroutine and does not wait for it, so a new term could
// still be written to a store that is closed, which panics.
type peers struct {
	*raft.NetworkTransport
	beat  sync.RWMutex // held while a heartbeat is taken in
	ended bool         // guarded by beat

	mu      sync.Mutex
	acked   map[raft.ServerID]time.Time     // when the last acknowledged request was sent
	back    map[raft.ServerID]chan struct{} // closed when a request gets through
	release chan struct{}                   // closed and replaced to let all held appends go
	news    signal                          // an acknowledgement came
	closed  bool
}

func newPeers(t *raft.NetworkTransport) *peers {
	return &peers{
		NetworkTransport: t, acked: map[raft.ServerID]time.Time{},
		back: map[raft.ServerID]chan struct{}{}, release: make(chan struct{}),
	}
}

// isHeartbeat reports what raft's heartbeat goroutine sends: no entries, no
// previous entry, no commit index.
func isHeartbeat(a *raft.AppendEntriesRequest) bool {
	return len(a.Entries) == 0 && a.PrevLogEntry == 0 && a.PrevLogTerm == 0 && a.LeaderCommitIndex == 0
}

// AppendEntries implements raft.Transport.
func (p *peers) AppendEntries(id raft.ServerID, target raft.ServerAddress, a *raft.AppendEntriesRequest, r *raft.AppendEntriesResponse) error {
	sent := time.Now()
	err := p.NetworkTransport.AppendEntries(id, target, a, r)
	switch {
	case err == nil:
		p.heard(id, sent, r.Term == a.Term)
	case !isHeartbeat(a):
		p.hold(id)
	}
	return err
}

// heard notes a request that got through; acknowledged: the server takes this
// node for its leader. (It may still miss entries before those sent.)
func (p *peers) heard(id raft.ServerID, sent time.Time, acknowledged bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if acknowledged {
		p.acked[id] = sent
		p.news.fire()
	}
	if ch := p.back[id]; ch != nil {
		close(ch)
		delete(p.back, id)
	}
}

// hold waits for the next heartbeat to id, or for letGo.
func (p *peers) hold(id raft.ServerID) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	back := p.back[id]
	if back == nil {
		back = make(chan struct{})
		p.back[id] = back
	}
	release := p.release
	p.mu.Unlock()
	select {
	case <-back:
	case <-release:
	}
}

// letGo ends all holding, at the end of a term or when the membership changes.
func (p *peers) letGo() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.release)
	p.release = make(chan struct{})
}

// SetHeartbeatHandler implements raft.Transport.
func (p *peers) SetHeartbeatHandler(take func(raft.RPC)) {
	p.NetworkTransport.SetHeartbeatHandler(p.untilClosed(take))
}

// untilClosed wraps take so that it never runs, and does not run any more, when
// endHeartbeats has returned.
func (p *peers) untilClosed(take func(raft.RPC)) func(raft.RPC) {
	return func(rpc raft.RPC) {
		p.beat.RLock()
		defer p.beat.RUnlock()
		if p.ended {
			rpc.Respond(nil, raft.ErrTransportShutdown)
			return
		}
		take(rpc)
	}
}

func (p *peers) endHeartbeats() {
	p.beat.Lock()
	defer p.beat.Unlock()
	p.ended = true
}

// Close implements raft.WithClose.
func (p *peers) Close() error {
	p.endHeartbeats()
	p.letGo()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	return p.NetworkTransport.Close()
}

// acknowledged waits, no longer than verifyAgain and ctx, until so many of the
// servers listed have acknowledged a request sent at or after t.
func (p *peers) acknowledged(ctx context.Context, t time.Time, voters []raft.ServerID, want int) bool {
	again := time.NewTimer(verifyAgain)
	defer again.Stop()
	for {
		heard := p.news.watch()
		if p.ackedSince(t, voters) >= want {
			return true
		}
		select {
		case <-heard:
		case <-again.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// ackedSince counts the servers, of those listed, that acknowledged a request
// sent at or after t.
func (p *peers) ackedSince(t time.Time, voters []raft.ServerID) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, id := range voters {
		if at, ok := p.acked[id]; ok && !at.Before(t) {
			n++
		}
	}
	return n
}

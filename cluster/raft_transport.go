package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// raftTransport is Raft's network transport with some things added.
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
// A heartbeat of a term that cannot be kept is refused: Raft takes heartbeats
// beside its own loop, and one that waited for room on a disk would come back to
// an old term later.
//
// Closing it waits for the heartbeat that is being taken in. Raft does that on
// the connection's goroutine and does not wait for it, so a new term could
// still be written to a store that is closed, which panics.
//
// beat and mu are never held together.
type raftTransport struct {
	*raft.NetworkTransport
	keep  func(term uint64) error // writes Raft's term
	beat  sync.RWMutex            // held while a heartbeat is taken in
	ended bool                    // guarded by beat

	mu      sync.Mutex
	acked   map[raft.ServerID]time.Time     // when the last acknowledged request was sent
	back    map[raft.ServerID]chan struct{} // closed when a request gets through
	release chan struct{}                   // closed and replaced by releaseAppends
	news    signal                          // an acknowledgement came
	closed  bool
}

func newRaftTransport(t *raft.NetworkTransport, keep func(term uint64) error) *raftTransport {
	return &raftTransport{
		NetworkTransport: t, keep: keep, acked: map[raft.ServerID]time.Time{},
		back: map[raft.ServerID]chan struct{}{}, release: make(chan struct{}),
	}
}

// isHeartbeat reports what raft's heartbeat goroutine sends: no entries, no
// previous entry, no commit index.
func isHeartbeat(a *raft.AppendEntriesRequest) bool {
	return len(a.Entries) == 0 && a.PrevLogEntry == 0 && a.PrevLogTerm == 0 && a.LeaderCommitIndex == 0
}

// AppendEntries implements raft.Transport.
func (t *raftTransport) AppendEntries(id raft.ServerID, target raft.ServerAddress, a *raft.AppendEntriesRequest, r *raft.AppendEntriesResponse) error {
	sent := time.Now()
	err := t.NetworkTransport.AppendEntries(id, target, a, r)
	switch {
	case err == nil:
		t.heard(id, sent, r.Term == a.Term)
	case !isHeartbeat(a):
		t.awaitHeartbeat(id)
	}
	return err
}

// heard notes a request that got through; acknowledged: the server takes this
// node for its leader. (It may still miss entries before those sent.)
func (t *raftTransport) heard(id raft.ServerID, sent time.Time, acknowledged bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if acknowledged {
		t.acked[id] = sent
		t.news.fire()
	}
	if ch := t.back[id]; ch != nil {
		close(ch)
		delete(t.back, id)
	}
}

// awaitHeartbeat waits for the next heartbeat that reaches id, or for
// releaseAppends.
func (t *raftTransport) awaitHeartbeat(id raft.ServerID) {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return
	}
	back := t.back[id]
	if back == nil {
		back = make(chan struct{})
		t.back[id] = back
	}
	release := t.release
	t.mu.Unlock()
	select {
	case <-back:
	case <-release:
	}
}

// releaseAppends lets all appends go that are held back, at the end of a term
// or when the membership changes.
func (t *raftTransport) releaseAppends() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.release)
	t.release = make(chan struct{})
}

// SetHeartbeatHandler implements raft.Transport.
func (t *raftTransport) SetHeartbeatHandler(take func(raft.RPC)) {
	t.NetworkTransport.SetHeartbeatHandler(t.untilClosed(take))
}

// untilClosed wraps take so that it never runs, and does not run any more, when
// endHeartbeats has returned.
func (t *raftTransport) untilClosed(take func(raft.RPC)) func(raft.RPC) {
	return func(rpc raft.RPC) {
		t.beat.RLock()
		defer t.beat.RUnlock()
		if t.ended {
			rpc.Respond(nil, raft.ErrTransportShutdown)
			return
		}
		if a, ok := rpc.Command.(*raft.AppendEntriesRequest); ok {
			if err := t.keep(a.Term); err != nil {
				rpc.Respond(nil, err)
				return
			}
		}
		take(rpc)
	}
}

func (t *raftTransport) endHeartbeats() {
	t.beat.Lock()
	defer t.beat.Unlock()
	t.ended = true
}

// Close implements raft.WithClose.
func (t *raftTransport) Close() error {
	t.endHeartbeats()
	t.releaseAppends()
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	return t.NetworkTransport.Close()
}

// verifyAgain is the pace of asking Raft again whether it leads, while the
// answers that count are under way.
const verifyAgain = 50 * time.Millisecond

// acknowledged waits, no longer than verifyAgain and ctx, until so many of the
// servers listed have acknowledged a request sent at or after since.
func (t *raftTransport) acknowledged(ctx context.Context, since time.Time, voters []raft.ServerID, want int) bool {
	again := time.NewTimer(verifyAgain)
	defer again.Stop()
	for {
		heard := t.news.watch()
		if t.ackedSince(since, voters) >= want {
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
// sent at or after since.
func (t *raftTransport) ackedSince(since time.Time, voters []raft.ServerID) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, id := range voters {
		if at, ok := t.acked[id]; ok && !at.Before(since) {
			n++
		}
	}
	return n
}

package cluster

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// TestClosingWaitsForTheHeartbeatUnderWay: its term may still be written to a
// store that is closed next.
func TestClosingWaitsForTheHeartbeatUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newRaftTransport(nil, nil)
		taken := 0
		handle := p.untilClosed(func(raft.RPC) {
			time.Sleep(time.Second) // a slow disk
			taken++
		})
		go handle(raft.RPC{})
		synctest.Wait()
		// A lock is no wait that a bubble knows, so the end is asked for when the
		// heartbeat is done.
		time.Sleep(time.Second)
		p.endHeartbeats()
		if taken != 1 {
			t.Errorf("%d heartbeats were taken", taken)
		}
		answer := make(chan raft.RPCResponse, 1)
		handle(raft.RPC{RespChan: answer})
		if r := <-answer; taken != 1 || !errors.Is(r.Error, raft.ErrTransportShutdown) {
			t.Errorf("a heartbeat after the end: %d taken, %v", taken, r.Error)
		}
	})
}

// TestHeartbeatOfATermThatIsNotKept is refused: taken, it would wait for the disk
// beside Raft's own loop.
func TestHeartbeatOfATermThatIsNotKept(t *testing.T) {
	full, taken := errors.New("disk full"), 0
	p := newRaftTransport(nil, func(term uint64) error {
		if term > 7 {
			return full
		}
		return nil
	})
	handle := p.untilClosed(func(rpc raft.RPC) { taken++; rpc.Respond(nil, nil) })
	for term, want := range map[uint64]error{7: nil, 8: full} {
		answer := make(chan raft.RPCResponse, 1)
		handle(raft.RPC{Command: &raft.AppendEntriesRequest{Term: term}, RespChan: answer})
		if r := <-answer; !errors.Is(r.Error, want) {
			t.Errorf("term %d: %v", term, r.Error)
		}
	}
	if taken != 1 {
		t.Errorf("%d heartbeats were taken", taken)
	}
}

// TestTermsAreKeptInOrder: a late write of an earlier term changes nothing.
func TestTermsAreKeptInOrder(t *testing.T) {
	store := raft.NewInmemStore()
	d := &disk{ending: make(chan struct{})}
	s := &watchedStable{StableStore: store, disk: d}
	for _, term := range []uint64{3, 5, 4} {
		if err := s.SetUint64([]byte(keyTerm), term); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := store.GetUint64([]byte(keyTerm)); err != nil || got != 5 {
		t.Errorf("term %d is kept, %v", got, err)
	}
	d.giveUp()
	if err := s.Set([]byte("k"), nil); !errors.Is(err, errOver) {
		t.Errorf("written after the end: %v", err)
	}
}

func TestHeldAppendsEnd(t *testing.T) {
	for name, end := range map[string]func(*raftTransport){
		"the server is heard again": func(p *raftTransport) { p.heard("a", time.Now(), true) },
		"the term ends":             func(p *raftTransport) { p.releaseAppends() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newRaftTransport(nil, nil)
				done := make(chan struct{})
				go func() { p.awaitHeartbeat("a"); close(done) }()
				p.heard("b", time.Now(), true)
				synctest.Wait()
				select {
				case <-done:
					t.Fatal("it was not held")
				default:
				}
				end(p)
				<-done
			})
		})
	}
}

func TestAcknowledgementsCountFromSending(t *testing.T) {
	p := newRaftTransport(nil, nil)
	asked := time.Now()
	p.heard("b", asked.Add(-time.Millisecond), true)
	p.heard("c", asked.Add(time.Millisecond), false) // another term
	if got := p.ackedSince(asked, []raft.ServerID{"b", "c"}); got != 0 {
		t.Errorf("%d acknowledgements", got)
	}
	p.heard("b", asked, true)
	if got := p.ackedSince(asked, []raft.ServerID{"b", "c"}); got != 1 {
		t.Errorf("%d acknowledgements", got)
	}
}

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
		p := newRaftTransport(nil)
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

func TestHeldAppendsEnd(t *testing.T) {
	for name, end := range map[string]func(*raftTransport){
		"the server is heard again": func(p *raftTransport) { p.heard("a", time.Now(), true) },
		"the term ends":             func(p *raftTransport) { p.releaseAppends() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newRaftTransport(nil)
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
	p := newRaftTransport(nil)
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

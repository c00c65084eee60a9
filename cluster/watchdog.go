package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"sluice/fsm"
)

// canaryEvery is the pace of canary writes.
const canaryEvery = 5 * time.Second

// watchdog ends the process when its disk hangs. A leader in that state stays
// leader (heartbeats touch no disk) and its futures never return, so nothing
// can be ended cleanly. A leader appends a command to the log; any other node
// writes to the store that holds the log.
//
// Patience is counted in beats of a ticker, which drops those that nobody
// took: a process that was stopped or suspended has not waited meanwhile. A
// write that hangs is left behind at the end: nothing can end it.
type watchdog struct {
	*local
	raft *raftNode
}

func (w *watchdog) run(ctx context.Context) error {
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	var done chan error
	for waited, rest := 0, 0; ; {
		if done == nil && rest == 0 {
			done = make(chan error, 1)
			go func(done chan<- error) { done <- w.canary() }(done)
		}
		select {
		case err := <-done:
			if err != nil {
				w.log.Debug("canary write", "error", err)
			}
			done, waited, rest = nil, 0, int(canaryEvery/time.Second)
		case <-beat.C:
			if done == nil {
				rest = max(0, rest-1)
				continue
			}
			if waited++; time.Duration(waited)*time.Second > w.t.disk {
				w.cfg.Fatal(fmt.Errorf("a write to %s takes longer than %v: the disk hangs", w.cfg.DataDir, w.t.disk))
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// canary returns when a write has reached the disk or surely will not: a
// leader that loses its quorum fails it by stepping down. It waits for room in
// Raft's queue without end, because a hung leader takes nothing from it.
func (w *watchdog) canary() error {
	if w.raft.State() != raft.Leader {
		return w.raft.stable.Set([]byte(canaryKey), []byte(time.Now().UTC().Format(time.RFC3339)))
	}
	data, err := fsm.Encode(&fsm.Barrier{})
	if err != nil {
		return err
	}
	return <-w.raft.ask(func() raft.Future { return w.raft.Apply(data, 0) }) // Raft answers all at the end, unless its disk hangs
}

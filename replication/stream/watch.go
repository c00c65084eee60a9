package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/filler"
	"sluice/replication/offsets"
	"sluice/replication/pipe"
	"sluice/replication/recovery"
	"sluice/replication/wire"
)

// watcher looks after an open pipe: it ends one that is idle where deriving its
// position anew may show something else.
type watcher struct {
	assigned  *assignment
	every     time.Duration
	logs      *logs
	filler    *filler.Filler // nil: no gap is filled
	progress  *progress
	pause     func(time.Duration)
	partition *wire.Partition
	mapping   *fsm.Mapping   // that the pipe began with
	skip      map[int64]bool // producer ids that it does not copy
	filter    *fsm.Filter    // by which it copies; nil: none
	held      heldBack
	ticks     int
	facts     uint64 // fsm.View.Changed of when nothing was otherwise than when the pipe began; 0: not looked yet
}

// turns is how many times within LookupEvery streams look around: those of a
// turn at the same instant, so that a node with thousands at rest wakes up a few
// times a second.
const turns = 20

// restLooks is how many ticks pass between two looks at where both partitions
// are, while the catalog tells of no change: often enough for it to keep their
// topics in use.
const restLooks = 3

// turn is how long the stream waits before it looks around.
func (w *watcher) turn() time.Duration {
	return w.every - time.Duration(time.Now().UnixNano())%max(w.every/turns, 1)
}

// wait waits for the end of the pipe; false: it was stopped because ctx or
// drain has ended.
func (w *watcher) wait(ctx context.Context, drain <-chan struct{}) (ended bool) {
	tick := time.NewTimer(w.turn())
	defer tick.Stop()
	for {
		source, target := w.logs.source.Changes(), w.logs.target.Changes()
		select {
		case <-w.partition.Over():
			return true
		case <-drain:
			w.stop("drained")
			w.settle(ctx)
			return false
		case <-ctx.Done():
			w.stop("stopped")
			return false
		case due := <-w.partition.Due():
			if due == pipe.Fill {
				w.partition.Filled(w.fill(ctx, drain))
			} else {
				w.partition.Looked(w.look(ctx))
			}
			continue
		case <-source:
		case <-target:
		case <-tick.C:
			tick.Reset(w.turn())
			w.openTransaction(ctx) // what has not moved since the tick before stands still
			w.lookAround(ctx, w.ticks%restLooks == 0)
			w.ticks++
			continue
		}
		w.lookAround(ctx, true)
	}
}

// settle waits until nothing of the ended pipe is in flight. Offsets that it was
// about to have filled are left to the next owner.
func (w *watcher) settle(ctx context.Context) {
	for {
		select {
		case <-w.partition.Over():
			return
		case due := <-w.partition.Due():
			if due == pipe.Fill {
				w.partition.Filled(fault(recovery.Unsure, fsm.CodeHandover, "drained"))
			}
		case <-ctx.Done():
			return
		}
	}
}

func (w *watcher) stop(why string) {
	w.partition.Stop(recovery.Faulty(recovery.Unsure, fsm.CodeHandover, why))
}

// look reads the target for a pipe that is to go on although no leader has
// confirmed its turn lately. Where anything has changed, the pipe ends and the
// position is derived anew.
func (w *watcher) look(ctx context.Context) *recovery.Fault {
	at := w.partition.Status().Progress
	log, err := w.logs.readTarget(ctx, w.mapping, w.pause)
	if err != nil {
		f := wire.FaultOf(err, false)
		return &f
	}
	last, same := recovery.Unmoved(w.mapping, at, log.Observed)
	expiration := w.logs.target.ProducerExpiry(ctx, w.logs.target.place.Leader)
	if same && offsets.Guarded(last, w.assigned.now(), expiration) {
		return nil
	}
	f := recovery.Faulty(recovery.Retry, fsm.CodeStarting, "the target's log does not end where this node left it: where the stream stands is worked out anew")
	return &f
}

// fill lets the filler take offsets of the target.
func (w *watcher) fill(ctx context.Context, drain <-chan struct{}) *recovery.Fault {
	ctx, cancel := untilDrained(ctx, drain)
	defer cancel()
	_, err := w.filler.Fill(ctx, filler.Gap(w.partition.ToFill()))
	if err == nil {
		return nil
	}
	f := unfilled(err)
	return &f
}

// lookAround ends a pipe that is another node's by now, or whose partition
// moved: a new leader may have lost what the old one acknowledged, and only
// deriving anew shows it.
//
// Thousands of streams do this every few seconds on stacks of their own: steps
// one after another keep them small. Where nothing tells of a change, places
// says whether to ask all the same where both partitions are.
func (w *watcher) lookAround(ctx context.Context, places bool) {
	looks := [...]func(*watcher, context.Context) *recovery.Fault{(*watcher).changedHands, (*watcher).targetMoved, (*watcher).sourceMoved}
	for i, moved := range looks {
		if i > 0 && !places {
			break
		}
		if f := moved(w, ctx); f != nil {
			w.partition.Stop(*f)
			if f.Kind == recovery.TopicChanged && !f.Source { // the connection is that of other streams too
				w.partition.HangUp(w.every)
			}
			return
		}
	}
	w.replicated(ctx)
}

func fault(kind recovery.Kind, code fsm.Code, message string) *recovery.Fault {
	f := recovery.Faulty(kind, code, message)
	return &f
}

// changedHands finds what the facts say otherwise than when the pipe began.
func (w *watcher) changedHands(context.Context) *recovery.Fault {
	facts := w.assigned.ctl.View().Changed()
	switch {
	case facts == w.facts && facts > 0: // thousands at rest look again and again
	case w.assigned.task() == nil:
		return fault(recovery.Retry, fsm.CodeHandover, "another node owns the stream now")
	case !maps.Equal(w.skip, w.assigned.loopIDs()):
		return fault(recovery.Retry, fsm.CodeStarting, "other links write into the source now")
	case !reflect.DeepEqual(w.filter, w.assigned.spec().Filter):
		return fault(recovery.Retry, fsm.CodeStarting, "the link's filter says otherwise now")
	}
	w.facts = facts
	return nil
}

// targetMoved finds a target that is gone or led by another, and brings the
// pipe what its brokers say.
func (w *watcher) targetMoved(ctx context.Context) *recovery.Fault {
	dst := &w.logs.target
	w.partition.Expires(dst.ProducerExpiry(ctx, dst.place.Leader))
	now, err := dst.Find(ctx, dst.topic, dst.partition, false)
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return fault(recovery.TopicChanged, fsm.CodeUnreachable, "the target topic is gone")
	case err == nil && (now.LeaderEpoch != dst.place.LeaderEpoch || now.TopicID != dst.place.TopicID):
		return fault(recovery.TopicChanged, fsm.CodeStarting, "the target's leader changed")
	}
	return nil
}

// sourceMoved finds a source that is another one or led by another.
func (w *watcher) sourceMoved(ctx context.Context) *recovery.Fault {
	src := &w.logs.source
	now, err := src.Find(ctx, src.topic, src.partition, false)
	if err == nil && (now.Leader != src.place.Leader || now.TopicID != src.place.TopicID) {
		f := fault(recovery.TopicChanged, fsm.CodeStarting, "the source's leader changed")
		f.Source = true
		return f
	}
	return nil
}

// replicated notes when a derived position has passed the high watermark.
func (w *watcher) replicated(ctx context.Context) {
	target, wait := w.progress.unreplicated()
	if !wait {
		return
	}
	t := &w.logs.target
	err := t.call(ctx, func(ctx context.Context, b kafka.Broker) error {
		high, err := t.offset(ctx, b, kafka.ReadUncommitted, kafka.Latest, -1)
		wait = high < target
		return err
	})
	if err == nil && !wait {
		w.progress.replicated()
	}
}

// heldBack is what is known about records that an open transaction keeps from
// being copied: those between the source's last stable offset and its high
// watermark.
type heldBack struct {
	looked bool
	stable int64 // where the last stable offset stood when it was looked at before
	told   bool
}

// openTransaction tells which producer holds the source's last stable offset
// back, once that stood still between two looks while there is more behind it.
// It is no fault of the stream, and changes nothing in it.
func (w *watcher) openTransaction(ctx context.Context) {
	st := w.partition.Status()
	h := &w.held
	switch {
	case st.Stable < 0 || st.High <= st.Stable || st.Progress.Source < st.Stable || !h.looked || st.Stable != h.stable:
		if h.told {
			w.progress.show(fsm.CodeCopying, "")
		}
		*h = heldBack{looked: true, stable: st.Stable}
		return
	case h.told:
		return
	}
	holder, err := w.logs.holder(ctx)
	if err != nil || holder == nil || holder.TxnStartOffset > st.Stable {
		return // looked at again, if it is still so
	}
	h.told = true
	msg := fmt.Sprintf("an open transaction of producer id %d holds back source offsets from %d on; it last wrote at %s",
		holder.ID, st.Stable, time.UnixMilli(holder.LastTimestamp).UTC().Format(time.RFC3339))
	w.progress.show(fsm.CodeOpenTransaction, msg)
	w.assigned.record(&fsm.Event{Code: fsm.CodeOpenTransaction, From: st.Stable, To: -1, Message: msg})
}

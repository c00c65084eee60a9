package stream

import (
	"context"
	"errors"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/filler"
	"sluice/replication/recovery"
	"sluice/replication/wire"
)

// openFiller fences whoever filled gaps of the stream before; nothing of theirs is
// under way then.
func (l *logs) openFiller(ctx context.Context, spec *fsm.LinkSpec) (*filler.Filler, error) {
	t := &l.target
	at := filler.Partition{Topic: t.topic, Partition: t.partition, Leader: t.place.Leader, LeaderEpoch: t.place.LeaderEpoch}
	f, err := l.fillers.of(t.Cluster).Open(ctx, at, filler.IDOf(spec.Name, t.topic, t.partition))
	if err != nil {
		return nil, unfilled(err)
	}
	return f, nil
}

// unfilled makes an error of a filler a fault.
func unfilled(err error) recovery.Fault {
	switch ended := (*filler.EndError)(nil); {
	case errors.As(err, &ended), errors.Is(err, filler.ErrFenced):
		return recovery.Faulty(recovery.Unsure, fsm.CodeStarting, err.Error())
	case errors.Is(err, filler.ErrMoved):
		return recovery.Faulty(recovery.TopicChanged, fsm.CodeStarting, err.Error())
	case errors.Is(err, filler.ErrCoordinator):
		return recovery.Faulty(recovery.Retry, fsm.CodeUnreachable, err.Error())
	}
	f := wire.FaultOf(err, false)
	f.Perhaps = false // no batch of the stream's
	return f
}

// lastData looks back from the target's log end for our last batch, in steps that
// become larger, and for what is neither ours nor a filler's.
func (l *logs) lastData(ctx context.Context, m *fsm.Mapping, g recovery.Gather, log *recovery.TargetLog, told tell) (*recovery.LastData, error) {
	out := new(recovery.LastData)
	for to, step := log.LogEnd, int64(1_000); to > g.From && (to > g.All || out.Ours == nil); step *= 4 {
		from := max(g.From, to-step)
		var ours, other *recovery.Tail
		err := l.target.scan(ctx, span{from: from, to: to}, func(b record.Batch) error {
			h := b.Header()
			strange := func() bool { return (h.BaseOffset >= g.All || g.All == log.LogEnd) && !filler.Wrote(b) }
			told("looking for this link's last records in the target", log.LogEnd-to, log.LogEnd-g.From)
			switch {
			case h.ProducerID == m.ProducerID && !h.OfTransaction():
				if ours = tailOf(&h); g.All == log.LogEnd {
					other = nil // not behind it
				}
			case other == nil && strange():
				other = tailOf(&h)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if other != nil {
			out.Other = other // of several the first
		}
		if out.Ours == nil {
			out.Ours = ours
		}
		to = from
	}
	return out, nil
}

// ahead is the source's first record to copy from an offset on, or up to where
// there is none.
func (l *logs) ahead(ctx context.Context, from int64, skip map[int64]bool, told tell) (*recovery.Ahead, error) {
	end, err := l.source.stableEnd(ctx)
	if err != nil {
		return nil, err
	}
	out := &recovery.Ahead{Offset: max(from, end)}
	log, err := l.readSource(ctx)
	if err != nil {
		return nil, err
	}
	err = l.source.scan(ctx, span{from: max(from, log.First), to: end, committed: true}, func(b record.Batch) error {
		h, err := record.ParseHeader(b)
		if err != nil {
			return err
		}
		told("looking for the source's next record", h.BaseOffset-from, end-from)
		if h.Attributes&record.AttrControl != 0 || h.Count == 0 || skip[h.ProducerID] {
			return nil
		}
		if b.Wrapper() { // it tells its first offset only when it is opened
			err = l.conns.Open(ctx, b, l.maxOpened, func(rs record.Records) error { h = rs.Header; return nil })
		}
		if err != nil {
			return err
		}
		out.Data, out.Offset = true, max(from, h.BaseOffset)
		return errEnough
	})
	return out, err
}

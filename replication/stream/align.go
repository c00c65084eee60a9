package stream

import (
	"context"
	"strconv"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/filler"
	"sluice/replication/recovery"
)

// mostAligned bounds the records of either side that are held in memory while
// they are aligned: 40 bytes each, the last ones.
const mostAligned = 1_000_000

// align finds how much of what the source holds behind a known place stands in
// the target up to its log end. The source's records are those that the stream
// would copy: committed, and not written by the producers to skip. Where one
// cannot be read, all of them are in doubt.
func (l *logs) align(ctx context.Context, known fsm.Progress, sit *recovery.Situation, skip map[int64]bool, told tell) (*recovery.Alignment, error) {
	var err error
	end := sit.Log.LogEnd
	a := aligning{
		hashes: l.newHashes(), told: told, sums: map[uint64]bool{},
		Logs: recovery.Logs{TargetStart: max(known.Target, sit.Log.LogStart, end-mostAligned), TargetEnd: end, Shared: sit.Spec.Writers == fsm.WritersShared},
	}
	ours := func(producer int64) bool { return sit.Task.Unsure || producer == sit.Task.Mapping.ProducerID } // a lost cluster may have taken another
	if err := a.ofTarget(func() error { return a.readTarget(ctx, &l.target, ours) }); err != nil {
		return nil, err
	}
	if a.filter, err = l.filters.get(l.link, sit.Spec.Filter); err != nil {
		return nil, err
	}
	source := func() (list []recovery.Seen, to int64, err error) {
		if to, err = l.source.stableEnd(ctx); err == nil {
			list, err = a.readSource(ctx, &l.source, span{from: max(known.Source, sit.Source.First), to: to, committed: true}, skip, end-known.Target)
		}
		return list, to, err
	}
	if a.Source, a.SourceEnd, err = source(); err != nil {
		return nil, err
	}
	found := recovery.Align(a.Logs, known)
	if found.Again {
		if a.Again, _, err = source(); err != nil {
			return nil, err
		}
		a.Recent = known == sit.Task.Progress && l.target.keepsDeletions(ctx, sit.Now-known.At)
		found = recovery.Align(a.Logs, known)
	}
	if a.unreadable {
		found = recovery.Alignment{Source: known.Source, Repeats: end - known.Target}
	}
	return &found, nil
}

// aligning is what was read of both sides.
type aligning struct {
	*hashes
	recovery.Logs
	told       tell
	sums       map[uint64]bool // of the target's records, where more stand before them than are held
	unreadable bool            // a batch could not be opened
}

// open hands over the records of a batch from an offset on.
func (a *aligning) open(ctx context.Context, b record.Batch, from int64, each func(recovery.Seen)) error {
	err := a.batch(ctx, b, func(r recovery.Seen) {
		if r.Offset >= from {
			each(r)
		}
	})
	if err != nil && ctx.Err() == nil {
		a.unreadable = true
		return errEnough
	}
	return err
}

// readTarget reads the records up to the log end: ours, and that there are
// others, or filler where nobody else may write.
func (a *aligning) readTarget(ctx context.Context, target *side, ours func(producer int64) bool) error {
	a.Target = nil
	clear(a.sums)
	return target.scan(ctx, span{from: a.TargetStart, to: a.TargetEnd}, func(b record.Batch) error {
		h, err := record.ParseHeader(b)
		if err != nil {
			return err
		}
		a.told("reading this link's last records in the target", h.BaseOffset-a.TargetStart, a.TargetEnd-a.TargetStart)
		if !ours(h.ProducerID) {
			fills := !a.Shared && filler.Wrote(b)
			for at := max(h.BaseOffset, a.TargetStart); at <= h.LastOffset(); at++ {
				a.Target = append(a.Target, recovery.Seen{Offset: at, Other: !fills, Filler: fills})
			}
			return nil
		}
		a.atTarget(b)
		return a.open(ctx, b, a.TargetStart, func(r recovery.Seen) {
			a.Target = append(a.Target, r)
			a.sums[r.Sum] = true
		})
	})
}

// readSource reads as many records as the target has offsets for. Where the head
// of the target's is not held, neither is that of the source's.
func (a *aligning) readSource(ctx context.Context, source *side, r span, skip map[int64]bool, most int64) (list []recovery.Seen, err error) {
	list = []recovery.Seen{}
	n, whole := int64(0), most <= mostAligned
	err = source.scan(ctx, r, func(b record.Batch) error {
		a.told("finding the target's last records in the source", n, most)
		h, err := record.ParseHeader(b)
		if err != nil || h.Attributes&record.AttrControl != 0 || skip[h.ProducerID] {
			return err
		}
		err = a.open(ctx, b, r.from, func(s recovery.Seen) {
			if n++; whole || len(list) > 0 || a.sums[s.Sum] {
				list = append(list, s)
			}
		})
		if err == nil && (n >= most || len(list) >= mostAligned) {
			return errEnough
		}
		return err
	})
	return list, err
}

// keepsDeletions reports whether the topic surely still has each record without a
// value that was written in the last ms.
func (s *side) keepsDeletions(ctx context.Context, ms int64) bool {
	c, err := s.Client(ctx)
	if err != nil {
		return false
	}
	all, err := c.TopicConfigs(ctx, s.topic)
	if err != nil {
		return false
	}
	for _, e := range all {
		if e.Name == "delete.retention.ms" {
			kept, err := strconv.ParseInt(e.Value, 10, 64)
			return err == nil && ms < kept
		}
	}
	return false
}

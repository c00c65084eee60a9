package stream

import (
	"context"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/filler"
	"sluice/replication/recovery"
)

// mostAligned bounds the records of either side that are held in memory while
// they are aligned.
const mostAligned = 1_000_000

// align finds how much of what the source holds behind a known place stands in
// the target up to its log end. The source's records are those that the stream
// would copy: committed, and not written by the producers to skip. Where too
// many would have to be held, or one cannot be read, all of them are in doubt.
func (l *logs) align(ctx context.Context, known fsm.Progress, sit *recovery.Situation, skip map[int64]bool, told tell) (*recovery.Alignment, error) {
	end := sit.Log.LogEnd
	doubt := &recovery.Alignment{Source: known.Source, Repeats: end - known.Target}
	if end-known.Target > mostAligned {
		return doubt, nil
	}
	committed, err := l.source.stableEnd(ctx)
	if err != nil {
		return nil, err
	}
	a := aligning{hashes: l.newHashes(), told: told, from: max(known.Target, sit.Log.LogStart), most: end - known.Target}
	ours := func(producer int64) bool { return sit.Task.Unsure || producer == sit.Task.Mapping.ProducerID } // a lost cluster may have taken another
	err = a.readTarget(ctx, &l.target, ours, sit.Spec.Writers != fsm.WritersShared, end)
	if err == nil && !a.unreadable {
		err = a.readSource(ctx, &l.source, span{from: max(known.Source, sit.Source.First), to: committed, committed: true}, skip)
	}
	switch {
	case err != nil:
		return nil, err
	case a.unreadable:
		return doubt, nil
	}
	found := recovery.Align(a.source, a.target, known, committed, end)
	return &found, nil
}

// aligning is what was read of both sides.
type aligning struct {
	*hashes
	told           tell
	from, most     int64 // of the target: the first offset, and how many there are
	source, target []recovery.Seen
	unreadable     bool // a batch could not be opened
}

// open adds the records of a batch from an offset on.
func (a *aligning) open(ctx context.Context, b record.Batch, from int64, to *[]recovery.Seen) error {
	err := a.batch(ctx, b, func(offset int64, sum uint64) {
		if offset >= from {
			*to = append(*to, recovery.Seen{Offset: offset, Sum: sum})
		}
	})
	if a.unreadable = err != nil; a.unreadable {
		return errEnough
	}
	return nil
}

// readTarget reads the records up to the log end: ours, and that there are
// others, or filler where nobody else may write.
func (a *aligning) readTarget(ctx context.Context, target *side, ours func(producer int64) bool, exclusive bool, end int64) error {
	return target.scan(ctx, span{from: a.from, to: end}, func(b record.Batch) error {
		h, err := record.ParseHeader(b)
		if err != nil {
			return err
		}
		a.told("reading this link's last records in the target", h.BaseOffset-a.from, a.most)
		if !ours(h.ProducerID) {
			fills := exclusive && filler.Wrote(b)
			for at := max(h.BaseOffset, a.from); at <= h.LastOffset(); at++ {
				a.target = append(a.target, recovery.Seen{Offset: at, Other: !fills, Filler: fills})
			}
			return nil
		}
		return a.open(ctx, b, a.from, &a.target)
	})
}

// readSource reads as many records as the target has offsets for.
func (a *aligning) readSource(ctx context.Context, source *side, r span, skip map[int64]bool) error {
	return source.scan(ctx, r, func(b record.Batch) error {
		a.told("finding the target's last records in the source", int64(len(a.source)), a.most)
		h, err := record.ParseHeader(b)
		if err != nil || h.Attributes&record.AttrControl != 0 || skip[h.ProducerID] {
			return err
		}
		err = a.open(ctx, b, r.from, &a.source)
		if err == nil && int64(len(a.source)) >= a.most {
			return errEnough
		}
		return err
	})
}

package stream

import (
	"context"
	"fmt"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/offsets"
	"sluice/replication/recovery"
)

func (l *logs) reading(m *fsm.Mapping, from, to int64) reading {
	return reading{m.Version, l.source.place.LeaderEpoch, l.target.place.LeaderEpoch, from, to}
}

const (
	// compareAtOnce is of how many offsets the hashes are held in memory.
	compareAtOnce = 10_000
	// mostListed bounds the batches of a listing.
	mostListed = 500_000
)

// firstDifference is the first source offset from from on whose record does
// not stand where the mapping has it at the target, whose log ends at pos; -1:
// none. Both sides show only what their high watermarks have passed.
func (l *logs) firstDifference(ctx context.Context, m *fsm.Mapping, from int64, pos recovery.Position, told tell) (int64, error) {
	if end, err := l.replicatedTo(ctx, pos.Source); err != nil || end < pos.Source {
		return max(end, from), err
	}
	c := &l.compared
	if r := l.reading(m, from, pos.Source); c.reading != r {
		*c = comparison{r, from}
	}
	for c.next < pos.Source {
		told("comparing what was copied with the source", c.next-from, pos.Source-from)
		to := min(c.next+compareAtOnce, pos.Source)
		diff, err := l.differenceIn(ctx, m, c.next, to, pos)
		if err != nil || diff >= 0 {
			return diff, err
		}
		c.next = to
	}
	return -1, nil
}

// differenceIn is firstDifference among the source offsets [from, to).
func (l *logs) differenceIn(ctx context.Context, m *fsm.Mapping, from, to int64, pos recovery.Position) (int64, error) {
	first, _ := offsets.Target(m, from)
	end, _ := offsets.Target(m, to)
	if end = min(end, pos.Target); to == pos.Source {
		end = pos.Target
	}
	theirs := map[int64]uint64{}
	h := l.newHashes()
	err := h.ofTarget(func() error {
		return h.records(ctx, &l.target, span{first, end, m.Filled}, func(r recovery.Seen) { theirs[r.Offset] = r.Sum })
	})
	if err != nil {
		return -1, err
	}
	diff := int64(-1)
	err = h.records(ctx, &l.source, span{from, to, m.Filled}, func(r recovery.Seen) {
		at, ok := offsets.Target(m, r.Offset)
		if other, there := theirs[at]; ok && diff < 0 && (!there || other != r.Sum) {
			diff = r.Offset
		}
		if ok {
			delete(theirs, at)
		}
	})
	if err != nil {
		return -1, err
	}
	for at := range theirs { // copied, and at the source no more
		if source := offsets.Source(m, at); diff < 0 || source < diff {
			diff = source
		}
	}
	return diff, nil
}

// ours lists our batches of the mapping's epoch in the target's log.
func (l *logs) ours(ctx context.Context, m *fsm.Mapping, from, to int64, told tell) ([]recovery.Batch, error) {
	c := &l.listed
	if r := l.reading(m, from, to); c.reading != r {
		*c = listing{reading: r, next: from}
	}
	err := l.target.scan(ctx, span{from: c.next, to: to}, func(b record.Batch) error {
		h := b.Header()
		if h.ProducerID == m.ProducerID && h.ProducerEpoch == m.ProducerEpoch {
			if len(c.batches) == mostListed {
				return recovery.Faulty(recovery.Retry, fsm.CodeOverBudget, fmt.Sprintf("more than %d batches of this link stand in [%d, %d) of the target among others'; recopy", mostListed, from, to))
			}
			c.batches = append(c.batches, recovery.Batch{Sequence: h.BaseSequence, Target: h.BaseOffset, Count: h.Count})
		}
		c.next = h.LastOffset() + 1
		told("looking for this link's records in the target", c.next-from, to-from)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := append([]recovery.Batch{}, c.batches...)
	*c = listing{}
	return out, nil
}

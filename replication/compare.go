package replication

import (
	"bytes"
	"context"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/position"
	"sluice/replication/rewrite"
)

// compareSource checks a position that was derived beyond the checkpoint, and
// returns the source's leader epoch of the record before it, -1: not known. If
// the checkpoint's leader epoch ended before the position, an unclean election
// may have replaced what was copied since: those records are compared, and a
// difference stops the stream.
func (s *Stream) compareSource(t *fsm.Task, src, dst place, pos position.Position) (epoch int32, err error) {
	p := s.progress()
	switch {
	case pos.Source == p.Source:
		return p.SourceEpoch, nil
	case p.SourceEpoch < 0 || pos.Source < p.Source || t.Mapping.Phase != fsm.PhaseDense:
		return -1, nil
	}
	ended := int64(-1)
	err = s.src.call(s.ctx, src.leader, func(ctx context.Context, b kafka.Broker) (err error) {
		_, ended, err = b.OffsetForLeaderEpoch(ctx, s.key.Topic, s.key.Partition, src.epoch, p.SourceEpoch)
		return err
	})
	switch {
	case err != nil:
		return -1, fail(troubleIn(err, true))
	case ended >= pos.Source:
		return p.SourceEpoch, nil
	case ended < 0:
		return -1, nil
	}
	from := max(ended, p.Source)
	to := pos.Source
	target, ok := position.Target(t.Mapping, from)
	if !ok {
		return -1, nil
	}
	diff, err := s.firstDifference(src, dst, from, to, target)
	if err != nil {
		return -1, fail(troubleIn(err, true))
	}
	if diff < 0 {
		return -1, nil
	}
	return -1, fail(trouble{remedy: halt, code: fsm.CodeSourceTruncated, source: true, from: diff, to: to,
		msg: "the source replaced records that were already copied (unclean leader election)"})
}

// record is what is compared of one.
type record struct {
	offset     int64
	timestamp  int64
	key, value []byte
}

// compareStep is how many offsets are held at once to be compared.
const compareStep = 256

// firstDifference is the first source offset in [from, to) whose record does
// not stand at the target, where the source's from stands at target; -1: none.
func (s *Stream) firstDifference(src, dst place, from, to, target int64) (int64, error) {
	for ; from < to; from, target = from+compareStep, target+compareStep {
		end := min(to, from+compareStep)
		ours, err := s.records(s.src, src, s.key.Topic, from, end)
		if err != nil {
			return 0, err
		}
		theirs, err := s.records(s.dst, dst, s.key.TargetTopic, target, target+end-from)
		if err != nil {
			return 0, err
		}
		if at := differ(ours, theirs, from, target); at >= 0 {
			return at, nil
		}
	}
	return -1, nil
}

// differ is the source offset of the first of our records that does not stand
// at the target, where from stands at target; -1: none.
func differ(ours, theirs []record, from, target int64) int64 {
	for i, o := range ours {
		if i >= len(theirs) {
			return o.offset
		}
		t := theirs[i]
		if t.offset-target != o.offset-from || t.timestamp != o.timestamp || !bytes.Equal(t.key, o.key) || !bytes.Equal(t.value, o.value) {
			return o.offset
		}
	}
	if len(theirs) > len(ours) {
		return from + int64(len(ours))
	}
	return -1
}

// records reads the records with offsets in [from, to).
func (s *Stream) records(at *site, p place, topic string, from, to int64) ([]record, error) {
	var out []record
	codec := rewrite.NewCodec()
	err := s.scan(s.ctx, at, p, topic, from, to, func(b kafka.Batch) error {
		if b.Attributes()&kafka.AttrControl != 0 {
			return nil
		}
		rs, err := codec.Open(b, nil, int(s.r.cfg.Memory/4))
		if err != nil {
			return err
		}
		var r rewrite.Record
		for {
			more, err := rs.Next(&r)
			if err != nil || !more {
				return err
			}
			if r.Offset >= from && r.Offset < to {
				out = append(out, record{r.Offset, r.Timestamp, bytes.Clone(r.Key), bytes.Clone(r.Value)})
			}
		}
	})
	return out, err
}

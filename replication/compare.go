package replication

import (
	"bytes"
	"context"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/position"
	"sluice/replication/rewrite"
)

// compareSource checks a position that was derived beyond the checkpoint. If
// the source's leader epoch of the checkpoint ended before it, an unclean
// election may have replaced what was copied since: those records are
// compared, and a difference stops the stream.
func (s *Stream) compareSource(t *fsm.Task, src, dst place, pos position.Position) error {
	p := s.progress()
	if p.SourceEpoch < 0 || pos.Source <= p.Source || t.Mapping.Phase != fsm.PhaseDense {
		return nil
	}
	ended := int64(-1)
	err := s.src.call(s.ctx, src.leader, func(ctx context.Context, b kafka.Broker) (err error) {
		_, ended, err = b.OffsetForLeaderEpoch(ctx, s.key.Topic, s.key.Partition, src.epoch, p.SourceEpoch)
		return err
	})
	if err != nil {
		return fail(troubleIn(err, true))
	}
	if ended < 0 || ended >= pos.Source {
		return nil
	}
	from := max(ended, p.Source)
	to := pos.Source
	target, ok := position.Target(t.Mapping, from)
	if !ok {
		return nil
	}
	diff, err := s.firstDifference(src, dst, from, to, target)
	if err != nil {
		return fail(troubleIn(err, true))
	}
	if diff < 0 {
		return nil
	}
	return fail(trouble{remedy: halt, code: fsm.CodeSourceTruncated, source: true, from: diff, to: to,
		msg: "the source replaced records that were already copied (unclean leader election)"})
}

// record is what is compared of one.
type record struct {
	offset     int64
	timestamp  int64
	key, value []byte
}

// firstDifference is the first source offset in [from, to) whose record does
// not stand at the target, where the source's from stands at target; -1: none.
func (s *Stream) firstDifference(src, dst place, from, to, target int64) (int64, error) {
	ours, err := s.records(s.src, src, s.key.Topic, from, to)
	if err != nil {
		return 0, err
	}
	theirs, err := s.records(s.dst, dst, s.key.TargetTopic, target, target+to-from)
	if err != nil {
		return 0, err
	}
	for i, o := range ours {
		if i >= len(theirs) {
			return o.offset, nil
		}
		t := theirs[i]
		if t.offset-target != o.offset-from || t.timestamp != o.timestamp || !bytes.Equal(t.key, o.key) || !bytes.Equal(t.value, o.value) {
			return o.offset, nil
		}
	}
	if len(theirs) > len(ours) {
		return from + int64(len(ours)), nil
	}
	return -1, nil
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

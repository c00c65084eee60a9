package replication

import (
	"context"
	"encoding/binary"
	"hash/maphash"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/replication/position"
)

// compareSource checks a position that was derived beyond the checkpoint, and
// returns the source's leader epoch of the record before it, -1: not known. If
// the checkpoint's leader epoch ended before the position, an unclean election
// may have replaced what was copied since: those records are compared, and a
// difference stops the stream.
func (s *Stream) compareSource(t *fsm.Task, src, dst place, pos position.Position, high int64) (epoch int32, err error) {
	p := s.progress()
	switch {
	case pos.Source == p.Source:
		return p.SourceEpoch, nil
	case p.SourceEpoch < 0 || pos.Source < p.Source || t.Copy.Mapping.Phase != fsm.PhaseDense:
		return -1, nil
	}
	ended, err := s.epochEnd(src, p.SourceEpoch)
	switch {
	case err != nil:
		return -1, err
	case ended >= pos.Source:
		return p.SourceEpoch, nil
	case ended < 0:
		return -1, nil
	case high < pos.Target:
		return -1, notReplicated(false, high, pos.Target)
	}
	diff, err := s.firstDifference(t.Copy.Mapping, src, dst, max(ended, t.Copy.Mapping.Segments[0].Source), pos)
	if err != nil {
		return -1, err
	}
	if diff < 0 {
		return -1, nil
	}
	return -1, fail(trouble{remedy: halt, code: fsm.CodeSourceTruncated, source: true, from: diff, to: pos.Source,
		msg: "the source replaced records that were already copied (unclean leader election)"})
}

// firstDifference is the first source offset from from on whose record does
// not stand where the mapping has it at the target, whose log ends at pos; -1:
// none. Both sides show only what their high watermarks have passed.
func (s *Stream) firstDifference(m *fsm.Mapping, src, dst place, from int64, pos position.Position) (int64, error) {
	if end, err := s.replicatedTo(src, pos.Source); err != nil || end < pos.Source {
		return max(end, from), err
	}
	target, _ := position.Target(m, from)
	theirs := map[int64]uint64{}
	seed := maphash.MakeSeed()
	if err := s.records(s.dst, dst, s.key.TargetTopic, target, pos.Target, seed, func(offset int64, sum uint64) { theirs[offset] = sum }); err != nil {
		return 0, fail(troubleIn(err, false))
	}
	diff := int64(-1)
	err := s.records(s.src, src, s.key.Topic, from, pos.Source, seed, func(offset int64, sum uint64) {
		at, ok := position.Target(m, offset)
		if other, there := theirs[at]; ok && diff < 0 && (!there || other != sum) {
			diff = offset
		}
		if ok {
			delete(theirs, at)
		}
	})
	if err != nil {
		return 0, fail(troubleIn(err, true))
	}
	for at := range theirs { // copied, and at the source no more
		if source := position.Source(m, at); diff < 0 || source < diff {
			diff = source
		}
	}
	return diff, nil
}

// replicatedTo is where the source's log ends, at most at to. That part of it
// can be read: where the high watermark is behind, it is to be asked later.
func (s *Stream) replicatedTo(src place, to int64) (int64, error) {
	_, high, err := s.sourceRange(src)
	if err != nil || high >= to {
		return to, err
	}
	end, err := s.epochEnd(src, src.epoch)
	if err == nil && end > high {
		err = notReplicated(true, high, end)
	}
	return high, err
}

// epochEnd is where a leader epoch of the source ended, or its log ends; -1:
// the source does not know the epoch.
func (s *Stream) epochEnd(src place, epoch int32) (end int64, err error) {
	err = s.src.call(s.ctx, src.leader, func(ctx context.Context, b kafka.Broker) (err error) {
		_, end, err = b.OffsetForLeaderEpoch(ctx, s.key.Topic, s.key.Partition, src.epoch, epoch)
		return err
	})
	if err != nil {
		return -1, fail(troubleIn(err, true))
	}
	return end, nil
}

// records reads the records with offsets in [from, to), and hands over each
// one's offset and a hash of its timestamp, key and value.
func (s *Stream) records(at *site, p place, topic string, from, to int64, seed maphash.Seed, each func(offset int64, sum uint64)) error {
	codec := record.NewCodec()
	var h maphash.Hash
	h.SetSeed(seed)
	return s.scan(s.ctx, at, p, topic, from, to, func(b record.Batch) error {
		if b.Attributes()&record.AttrControl != 0 {
			return nil
		}
		rs, err := codec.Open(b, nil, int(s.r.cfg.Memory/4))
		if err != nil {
			return err
		}
		var r record.Record
		for {
			more, err := rs.Next(&r)
			if err != nil || !more {
				return err
			}
			if r.Offset < from || r.Offset >= to {
				continue
			}
			h.Reset()
			for _, n := range []int64{r.Timestamp, int64(len(r.Key)), int64(len(r.Value))} {
				_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
			}
			_, _ = h.Write(r.Key)
			_, _ = h.Write(r.Value)
			each(r.Offset, h.Sum64())
		}
	})
}

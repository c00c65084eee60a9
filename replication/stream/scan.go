package stream

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/replication/offsets"
	"sluice/replication/recovery"
)

const (
	scanTimeout = 30 * time.Second
	scanBytes   = 1 << 20 // of one fetch
	scanWait    = 500 * time.Millisecond
)

// scan reads the batches that hold the offsets [from, to) of the partition, in
// order, over a connection of its own.
func (s *side) scan(ctx context.Context, from, to int64, f func(record.Batch) error) error {
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	conn, err := s.Dial(ctx, s.place.Leader)
	if err != nil {
		return s.fault(err)
	}
	defer func() { conn.Close(); <-conn.Done() }()
	for from < to {
		next, err := s.scanOnce(ctx, conn, from, to, f)
		if err != nil {
			return s.fault(fmt.Errorf("scanning %s/%d from %d: %w", s.topic, s.partition, from, err))
		}
		if next == from {
			return nil // nothing more there
		}
		from = next
	}
	return nil
}

func (s *side) scanOnce(ctx context.Context, conn *kafka.Conn, from, to int64, f func(record.Batch) error) (int64, error) {
	resp, err := conn.FetchOne(ctx, kafka.FetchPartition{
		Topic: s.topic, TopicID: s.place.TopicID, Partition: s.partition, Offset: from, LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: scanBytes,
	}, kafka.FetchOptions{MaxWait: scanWait})
	if err != nil {
		return from, err
	}
	defer resp.Buf.Release()
	p, err := resp.Only()
	if err == nil {
		err = kerr.ErrorForCode(p.ErrorCode)
	}
	for rest := p.Records; err == nil; {
		var b record.Batch
		if b, rest, err = record.NextBatch(rest); err != nil || b == nil || b.BaseOffset() >= to {
			break
		}
		if b.LastOffset() < from {
			continue
		}
		if err = f(b); err == nil {
			from = b.LastOffset() + 1
		}
	}
	return from, err
}

// firstDifference is the first source offset from from on whose record does
// not stand where the mapping has it at the target, whose log ends at pos; -1:
// none. Both sides show only what their high watermarks have passed.
func (l *logs) firstDifference(ctx context.Context, m *fsm.Mapping, from int64, pos recovery.Position) (int64, error) {
	if end, err := l.replicatedTo(ctx, pos.Source); err != nil || end < pos.Source {
		return max(end, from), err
	}
	target, _ := offsets.Target(m, from)
	theirs := map[int64]uint64{}
	seed := maphash.MakeSeed()
	if err := l.target.records(ctx, target, pos.Target, l.maxOpened, seed, func(offset int64, sum uint64) { theirs[offset] = sum }); err != nil {
		return 0, err
	}
	diff := int64(-1)
	err := l.source.records(ctx, from, pos.Source, l.maxOpened, seed, func(offset int64, sum uint64) {
		at, ok := offsets.Target(m, offset)
		if other, there := theirs[at]; ok && diff < 0 && (!there || other != sum) {
			diff = offset
		}
		if ok {
			delete(theirs, at)
		}
	})
	for at := range theirs { // copied, and at the source no more
		if source := offsets.Source(m, at); diff < 0 || source < diff {
			diff = source
		}
	}
	return diff, err
}

// replicatedTo is where the source's log ends, at most at to. That part of it
// can be read: where the high watermark is behind, it is to be asked later.
func (l *logs) replicatedTo(ctx context.Context, to int64) (int64, error) {
	log, err := l.readSource(ctx)
	if err != nil || log.End >= to {
		return to, err
	}
	end, err := l.epochEnd(ctx, l.source.place.LeaderEpoch)
	if err == nil && end > log.End {
		err = recovery.NotReplicated(true, log.End, end)
	}
	return log.End, err
}

// records reads the records with offsets in [from, to), and hands over each
// one's offset and a hash of its timestamp, key and value.
func (s *side) records(ctx context.Context, from, to int64, maxOpened int, seed maphash.Seed, each func(offset int64, sum uint64)) error {
	codec := record.NewCodec()
	var h maphash.Hash
	h.SetSeed(seed)
	return s.scan(ctx, from, to, func(b record.Batch) error {
		if b.Attributes()&record.AttrControl != 0 {
			return nil
		}
		rs, err := codec.Open(b, nil, maxOpened)
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

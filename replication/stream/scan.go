package stream

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/kafka"
	"sluice/kafka/record"
)

const (
	scanTimeout = 30 * time.Second // of one fetch, however many a scan takes
	scanBytes   = 1 << 20          // of one fetch
	scanWait    = 500 * time.Millisecond
)

// scan reads the batches that hold the offsets [from, to) of the partition, in
// order, over a connection of its own.
func (s *side) scan(ctx context.Context, from, to int64, f func(record.Batch) error) error {
	conn, err := s.dialToScan(ctx)
	if err != nil {
		return s.fault(err)
	}
	defer func() { conn.Close(); <-conn.Done() }()
	return s.scanOver(ctx, conn, from, to, f)
}

func (s *side) dialToScan(ctx context.Context) (*kafka.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	return s.Dial(ctx, s.place.Leader)
}

func (s *side) scanOver(ctx context.Context, conn *kafka.Conn, from, to int64, f func(record.Batch) error) error {
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
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	resp, err := conn.FetchOne(ctx, kafka.FetchPartition{
		Topic: s.topic, TopicID: s.place.TopicID, Partition: s.partition, Offset: from, LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: scanBytes,
	}, kafka.FetchOptions{MaxWait: scanWait})
	if err != nil {
		return from, err
	}
	defer resp.Buf.Release()
	p, err := resp.Only()
	if err == nil {
		err = kafka.Needs(kerr.ErrorForCode(p.ErrorCode), "READ", s.topic)
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

package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/replication/filter"
	"sluice/replication/recovery"
	"sluice/replication/wire"
)

const (
	scanTimeout = 30 * time.Second // of one fetch, however many a scan takes
	scanBytes   = 1 << 20          // of one fetch
	scanWait    = 500 * time.Millisecond
)

// span is which offsets a scan reads, and what of them.
type span struct {
	from, to  int64
	committed bool // no batch of an aborted transaction, and nothing behind the last stable offset
}

// errEnough ends a scan from within.
var errEnough = errors.New("no more is needed")

// scan reads the batches that hold the offsets of the span in the partition, in
// order, over a connection of its own.
func (s *side) scan(ctx context.Context, r span, f func(record.Batch) error) error {
	conn, err := s.dialToScan(ctx)
	if err != nil {
		return s.fault(err)
	}
	defer func() { conn.Close(); <-conn.Done() }()
	return s.scanOver(ctx, conn, r, f)
}

func (s *side) dialToScan(ctx context.Context) (*kafka.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	return s.Dial(ctx, s.place.Leader)
}

func (s *side) scanOver(ctx context.Context, conn *kafka.Conn, r span, f func(record.Batch) error) error {
	for r.from < r.to {
		next, err := s.scanOnce(ctx, conn, r, f)
		switch {
		case errors.Is(err, errEnough):
			return nil
		case err != nil:
			return s.fault(fmt.Errorf("scanning %s/%d from %d: %w", s.topic, s.partition, r.from, err))
		case next == r.from:
			return nil // nothing more there
		}
		r.from = next
	}
	return nil
}

func (s *side) scanOnce(ctx context.Context, conn *kafka.Conn, r span, f func(record.Batch) error) (int64, error) {
	from := r.from
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	resp, err := conn.FetchOne(ctx, kafka.FetchPartition{
		Topic: s.topic, TopicID: s.place.TopicID, Partition: s.partition, Offset: from, LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: scanBytes,
	}, r.options(s.share))
	if err != nil {
		return from, err
	}
	defer resp.Buf.Release()
	p, err := resp.Only()
	if err == nil {
		err = kafka.Needs(kerr.ErrorForCode(p.ErrorCode), "READ", s.topic)
	}
	aborted, codec := record.NewAborted(p.Aborted), record.NewCodec()
	for rest := p.Records; err == nil; {
		var b record.Batch
		if b, rest, err = record.NextBatch(rest); err != nil || b == nil || !b.BeginsBefore(r.to) {
			break
		}
		var drop bool
		if drop, err = aborted.Skip(codec, b); err != nil {
			break
		}
		if b.LastOffset() < from {
			continue
		}
		if !drop {
			err = f(b)
		}
		if err == nil {
			from = b.LastOffset() + 1
		}
	}
	return from, err
}

func (r span) options(share *wire.Share) kafka.FetchOptions {
	o := kafka.FetchOptions{MaxWait: scanWait, Budget: share}
	if r.committed {
		o.Isolation = kafka.ReadCommitted
	}
	return o
}

// hashes turns the records of batches into hashes of all that they hold.
type hashes struct {
	filter    *filter.Filter // source records are hashed as the target holds them; nil: as they are
	judging   filter.Scratch
	conns     *wire.Conns // whose memory batches are opened in
	maxOpened int         // bytes that a batch may decompress to
	untimed   bool        // timestamps are left out
	hash      maphash.Hash
}

// ofTarget has the target's records read, and read anew where its broker turns out
// to have stamped them with times of its own: timestamps of both sides are left
// out then.
func (h *hashes) ofTarget(read func() error) error {
	before := h.untimed
	err := read()
	if err == nil && h.untimed != before {
		err = read()
	}
	return err
}

// atTarget looks whether the broker has stamped a batch that was copied there.
func (h *hashes) atTarget(b record.Batch) {
	h.untimed = h.untimed || b.Attributes()&record.AttrLogAppendTime != 0
}

// records reads the records with offsets in the span, and hands each one over.
// Transaction markers are none.
func (h *hashes) records(ctx context.Context, s *side, r span, each func(recovery.Seen)) error {
	return s.scan(ctx, r, func(b record.Batch) error {
		if b.Attributes()&record.AttrControl != 0 {
			return nil
		}
		if !s.isSource {
			h.atTarget(b)
		}
		return h.batch(ctx, b, func(seen recovery.Seen) {
			if seen.Offset >= r.from && seen.Offset < r.to {
				each(seen)
			}
		})
	})
}

// batch hands over the records of a batch.
func (h *hashes) batch(ctx context.Context, b record.Batch, each func(recovery.Seen)) error {
	return h.conns.Open(ctx, b, h.maxOpened, func(rs record.Records) error { return h.opened(&rs, each) })
}

func (h *hashes) opened(rs *record.Records, each func(recovery.Seen)) error {
	var r record.Record
	for {
		more, err := rs.Next(&r)
		if err != nil || !more {
			return err
		}
		if h.filter != nil && !h.filter.Holds(&r, &h.judging) {
			continue
		}
		h.hash.Reset()
		_, _ = h.hash.Write(r.Key)
		if h.untimed {
			r.Timestamp = 0
		}
		seen := recovery.Seen{Offset: r.Offset, Key: h.hash.Sum64(), Deletes: r.Value == nil}
		for _, n := range []int64{r.Timestamp, int64(len(r.Key)), int64(len(r.Value)), int64(r.HeaderCount)} {
			_, _ = h.hash.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
		}
		_, _ = h.hash.Write(r.Value)
		_, _ = h.hash.Write(r.RawHeaders)
		seen.Sum = h.hash.Sum64()
		each(seen)
	}
}

// tailOf is what recovery wants to know of a batch.
func tailOf(h *record.Header) *recovery.Tail {
	return &recovery.Tail{
		ProducerID: h.ProducerID, Epoch: h.ProducerEpoch, BaseOffset: h.BaseOffset, BaseSequence: h.BaseSequence,
		Count: h.Count, MaxTimestamp: h.MaxTimestamp, LastOffset: h.LastOffset(), Transactional: h.OfTransaction(),
	}
}

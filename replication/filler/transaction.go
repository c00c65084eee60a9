package filler

import (
	"context"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/kafka/record"
)

const (
	// maxRecords are what a batch holds at most: 0.2 MB. Where the topic takes
	// less (max.message.bytes), it is halved until it fits.
	maxRecords = 10_000
	// maxOffsets are what a transaction takes at most, so that it is over in a
	// fraction of Timeout.
	maxOffsets = 100_000
	// key is that of each record: a compacted topic takes none without, and who
	// reads uncommitted data sees what wrote it.
	key = "sluice-filler"
)

// transaction takes offsets from at on, where the log ends: left of them, or
// fewer, and returns how many. A batch that comes to stand elsewhere is its
// last; the log's end will tell.
func (f *Filler) transaction(ctx context.Context, at, left, timestamp int64) (took int64, err error) {
	verified, err := f.verifies(ctx)
	if err != nil {
		return 0, err
	}
	if left = min(left, maxOffsets); !verified {
		left = 1
	}
	if err := f.add(ctx); err != nil {
		return 0, err
	}
	var last forged
	for took < left-1 { // the marker takes one
		n := min(left-1-took, f.records)
		base, err := f.write(ctx, &last, n, timestamp)
		if n > 1 && isOne(err, kerr.MessageTooLarge, kerr.RecordListTooLarge) {
			f.records = n / 2
			continue
		}
		if err != nil {
			return 0, err
		}
		took += n
		if base != at+took-n {
			break
		}
	}
	return took + 1, f.abort(ctx)
}

// forged is a batch of a number of records.
type forged struct {
	batch record.Batch
	count int64
}

// write appends a batch of n records, which is the last one again where that
// had as many.
func (f *Filler) write(ctx context.Context, last *forged, n, timestamp int64) (base int64, err error) {
	if last.count != n {
		if last.batch, err = forge(n, timestamp); err != nil {
			return -1, err
		}
		last.count = n
	}
	last.batch.SetProducer(f.producer, f.epoch, f.sequence)
	last.batch.UpdateCRC()
	if base, err = f.append(ctx, last.batch); err == nil {
		f.sequence = int32((int64(f.sequence) + n) & math.MaxInt32)
	}
	return base, err
}

// mostOpened is more than a batch of a filler's has, in bytes.
const mostOpened = 1 << 20

// Wrote reports whether a batch of a transaction may be a filler's: a marker, or
// records with its key. Others' transactions have none such.
func Wrote(b record.Batch) bool {
	h, err := record.ParseHeader(b)
	switch {
	case err != nil || !h.OfTransaction():
		return false
	case h.Attributes&record.AttrControl != 0 || h.Count == 0: // a cleaner has emptied it
		return true
	}
	records, err := record.NewCodec().Open(b, nil, mostOpened) // the topic may have it compressed
	if err != nil {
		return false
	}
	var first record.Record
	more, err := records.Next(&first)
	return err == nil && more && string(first.Key) == key
}

// forge makes a transactional batch of n records, complete but for its producer.
func forge(n, timestamp int64) (record.Batch, error) {
	var records record.Builder
	for range n {
		records.Add(&record.Record{Timestamp: timestamp, Key: []byte(key)})
	}
	b, err := record.NewCodec().Build(nil, record.CodecNone, &records)
	if err != nil {
		return nil, fmt.Errorf("making %d records of a filler: %w", n, err)
	}
	b.SetAttributes(record.CodecNone | record.AttrTransactional)
	return b, nil
}

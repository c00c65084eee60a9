package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Transactions says what ProduceTransactions makes.
type Transactions struct {
	Client     []kgo.Opt
	Topic      Topic
	ID         string // transactional id
	Count      int
	Records    int // in each transaction, over the partitions in turn
	AbortEvery int // every so manieth transaction is aborted; 0 for none
	Size       int // bytes of each value, 100 by default
	Seed       uint64
	Start      time.Time // timestamp of each partition's first record, now by default
}

// ProduceTransactions produces transactions one after another and returns how many records were
// committed. Records are numbered through, aborted ones too.
func ProduceTransactions(ctx context.Context, cfg Transactions) (committed int64, err error) {
	if cfg.Size == 0 {
		cfg.Size = 100
	}
	if cfg.Start.IsZero() {
		cfg.Start = time.Now()
	}
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.TransactionalID(cfg.ID), kgo.ProducerLinger(0),
		kgo.RecordPartitioner(kgo.ManualPartitioner())}, cfg.Client...)...)
	if err != nil {
		return 0, fmt.Errorf("making a transactional producer: %w", err)
	}
	defer cl.Close()
	m := newMaker(cfg.Topic.Name, cfg.Seed, cfg.Size, cfg.Start, 10*time.Microsecond)
	var n int64
	for i := 1; i <= cfg.Count; i++ {
		if err := cl.BeginTransaction(); err != nil {
			return committed, fmt.Errorf("beginning transaction %d: %w", i, err)
		}
		var recs []*kgo.Record
		for range cfg.Records {
			parts := int64(cfg.Topic.Partitions)
			recs = append(recs, m.record(int32(n%parts), n/parts, time.Now()))
			n++
		}
		if err := cl.ProduceSync(ctx, recs...).FirstErr(); err != nil {
			return committed, fmt.Errorf("producing in transaction %d: %w", i, err)
		}
		commit := kgo.TryCommit
		if cfg.AbortEvery > 0 && i%cfg.AbortEvery == 0 {
			commit = kgo.TryAbort
		}
		if err := cl.EndTransaction(ctx, commit); err != nil {
			return committed, fmt.Errorf("ending transaction %d: %w", i, err)
		}
		if commit == kgo.TryCommit {
			committed += int64(cfg.Records)
		}
	}
	return committed, nil
}

// Keyed says what ProduceKeyed makes.
type Keyed struct {
	Client         []kgo.Opt
	Topic          Topic
	Records        int // over the partitions in turn
	Keys           int // of each partition, in turn; every record has one
	TombstoneEvery int // every so manieth record of a partition has no value; 0 for none
	Size           int // bytes of each value, 100 by default
	Seed           uint64
	Start          time.Time // timestamp of each partition's first record, now by default
}

// ProduceKeyed produces what a compacted topic holds: few keys again and again, and tombstones.
func ProduceKeyed(ctx context.Context, cfg Keyed) error {
	if cfg.Size == 0 {
		cfg.Size = 100
	}
	if cfg.Start.IsZero() {
		cfg.Start = time.Now()
	}
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner())}, cfg.Client...)...)
	if err != nil {
		return fmt.Errorf("making a producer: %w", err)
	}
	defer cl.Close()
	m := newMaker(cfg.Topic.Name, cfg.Seed, cfg.Size, cfg.Start, 10*time.Microsecond)
	recs := make([]*kgo.Record, cfg.Records)
	for i := range recs {
		n := int64(i) / int64(cfg.Topic.Partitions)
		r := m.record(int32(i)%cfg.Topic.Partitions, n, time.Now())
		r.Key = fmt.Appendf(nil, "key-%d", n%int64(max(cfg.Keys, 1)))
		if cfg.TombstoneEvery > 0 && n%int64(cfg.TombstoneEvery) == 0 {
			r.Value = nil
		}
		recs[i] = r
	}
	if err := cl.ProduceSync(ctx, recs...).FirstErr(); err != nil {
		return fmt.Errorf("producing keyed records: %w", err)
	}
	return nil
}

// CompactedConfigs returns topic settings with which a real cleaner works at once. The brokers need
// log.cleaner.backoff.ms=100 as well.
func CompactedConfigs() map[string]string {
	return map[string]string{
		"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.001", "min.compaction.lag.ms": "0",
		"segment.ms": "100", "delete.retention.ms": "60000",
	}
}

// WaitCompacted waits until the cleaner has left gaps in every partition of a topic. The open segment
// is never cleaned and closed only by an append: it appends a last record with the key "closer" to
// each partition now and then.
func WaitCompacted(ctx context.Context, client []kgo.Opt, topic Topic) error {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner())}, client...)...)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	defer cl.Close()
	var asked time.Time
	return poll(ctx, func() error {
		if time.Since(asked) < 200*time.Millisecond {
			return errors.New("not compacted yet")
		}
		for p := range topic.Partitions {
			r := &kgo.Record{Topic: topic.Name, Partition: p, Key: []byte("closer"), Value: []byte("x")}
			if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
				return err
			}
		}
		asked = time.Now()
		for p := range topic.Partitions {
			records, offsets, err := Density(ctx, cl, topic.Name, p)
			if err != nil {
				return err
			}
			if records == offsets {
				return fmt.Errorf("%s/%d has no gaps yet in %d offsets", topic.Name, p, offsets)
			}
		}
		return nil
	})
}

// Density returns how many committed records a partition holds in how many offsets: fewer records
// than offsets where it has been compacted or holds transactions.
func Density(ctx context.Context, cl *kgo.Client, topic string, partition int32) (records, offsets int64, err error) {
	starts, ends, err := listOffsets(ctx, cl, topic)
	if err != nil {
		return 0, 0, err
	}
	r := newReader(cl, topic, partition, starts[partition], ends[partition])
	for !r.done() {
		got, err := r.read(ctx)
		if err != nil {
			return 0, 0, err
		}
		records += int64(len(got))
	}
	return records, ends[partition] - starts[partition], nil
}

// DeleteRecords moves a partition's log start on, as retention does.
func DeleteRecords(ctx context.Context, client []kgo.Opt, topic string, partition int32, before int64) error {
	cl, err := kgo.NewClient(client...)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	defer cl.Close()
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, partition, before, -1)
	resp, err := kadm.NewClient(cl).DeleteRecords(ctx, offsets)
	if err == nil {
		err = resp.Error()
	}
	if err != nil {
		return fmt.Errorf("deleting records of %s/%d: %w", topic, partition, err)
	}
	return nil
}

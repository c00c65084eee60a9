package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/test/wait"
)

// Topic is a topic and how many of its partitions, from 0, are meant.
type Topic struct {
	Name       string
	Partitions int32
}

// Config says what load to make.
type Config struct {
	Client []kgo.Opt // how to reach the cluster; any producer option too
	Topics []Topic

	// Rate is in records/s over all partitions, evenly spread; 0 for as fast as it goes. Gaps can be
	// measured to within 50 ms when it is at least 20 per partition.
	Rate    int
	Burst   int       // records handed over at a time, 1 by default: brokers have less to do with many
	Size    int       // bytes of each value, 1024 by default, at least 24
	Records int64     // stop after so many in all; 0 for no limit
	Seed    uint64    // of all that records hold but the time of sending
	Start   time.Time // timestamp of each partition's first record, now by default

	Codec      kgo.CompressionCodec // none by default
	BatchBytes int32                // largest batch before compression, 1 MB by default
	Linger     time.Duration        // wait for fuller batches; 0 sends at once
}

// LargeBatches makes a load of lz4 batches of 256 KiB, compressible 1.6:1, as fast as it goes.
func (c Config) LargeBatches() Config {
	c.Rate, c.Codec, c.BatchBytes, c.Linger = 0, kgo.Lz4Compression(), 256<<10, 20*time.Millisecond
	return c
}

// Old makes every record's timestamp older by age.
func (c Config) Old(age time.Duration) Config {
	if c.Start.IsZero() {
		c.Start = time.Now()
	}
	c.Start = c.Start.Add(-age)
	return c
}

// Producer is a load on one cluster: acks=all, idempotent, each record to an explicit partition.
type Producer struct {
	cfg   Config
	parts []*produced

	mu  sync.Mutex
	err error // first that a record met
}

// produced is what happened to the records of one partition.
type produced struct {
	maker     *maker
	topic     string
	partition int32

	mu      sync.Mutex
	offsets []int64 // by number; -1 while not acknowledged
	acked   int64
}

// NewProducer prepares a load; Run makes it.
func NewProducer(cfg Config) (*Producer, error) {
	if cfg.Size == 0 {
		cfg.Size = 1024
	}
	if cfg.Size < minValueSize {
		return nil, fmt.Errorf("values of %d bytes: want at least %d", cfg.Size, minValueSize)
	}
	if cfg.Start.IsZero() {
		cfg.Start = time.Now()
	}
	cfg.Burst = max(cfg.Burst, 1)
	p := &Producer{cfg: cfg}
	var count int32
	for _, t := range cfg.Topics {
		count += t.Partitions
	}
	if count < 1 {
		return nil, errors.New("no partitions to produce to")
	}
	step := 10 * time.Microsecond // so that a million records are 10 s: no timestamp far in the future
	if cfg.Rate > 0 {
		step = time.Second * time.Duration(count) / time.Duration(cfg.Rate)
	}
	for _, t := range cfg.Topics {
		m := newMaker(t.Name, cfg.Seed, cfg.Size, cfg.Start, step)
		for i := range t.Partitions {
			p.parts = append(p.parts, &produced{maker: m, topic: t.Name, partition: i})
		}
	}
	return p, nil
}

// Run produces until ctx ends or all records are made, then waits up to two minutes for the last
// acknowledgements. It returns an error if any record was refused or not acknowledged in that time.
func (p *Producer) Run(ctx context.Context) error {
	opts := []kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(p.cfg.Linger),
		kgo.MaxBufferedRecords(20_000), kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.AlwaysRetryEOF(), // a broker on its way down takes a connection and closes it
	}
	if p.cfg.BatchBytes > 0 {
		opts = append(opts, kgo.ProducerBatchMaxBytes(p.cfg.BatchBytes))
	}
	opts = append(opts, kgo.ProducerBatchCompression(p.cfg.Codec))
	cl, err := kgo.NewClient(append(opts, p.cfg.Client...)...)
	if err != nil {
		return fmt.Errorf("making a producer: %w", err)
	}
	defer cl.Close()
	p.produce(ctx, cl)
	// The records already handed over must be known to be written or not: not under ctx, which ended.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), wait.Patience)
	defer cancel()
	if err := cl.Flush(last); err != nil {
		return fmt.Errorf("waiting for the last acknowledgements: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// produce hands records over at their time, each partition in turn.
func (p *Producer) produce(ctx context.Context, cl *kgo.Client) {
	sending := context.WithoutCancel(ctx) // a record that was handed over is never taken back
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := int64(0); p.cfg.Records == 0 || i < p.cfg.Records; i++ {
		if p.cfg.Rate > 0 {
			turn := i - i%int64(p.cfg.Burst)
			due := began.Add(time.Duration(turn) * time.Second / time.Duration(p.cfg.Rate))
			if wait := time.Until(due); wait > 0 {
				timer.Reset(wait)
				select {
				case <-ctx.Done():
				case <-timer.C:
				}
			}
		}
		if ctx.Err() != nil {
			return
		}
		part := p.parts[i%int64(len(p.parts))]
		n := part.add()
		cl.Produce(sending, part.maker.record(part.partition, n, time.Now()), func(r *kgo.Record, err error) {
			if err != nil {
				p.fail(fmt.Errorf("producing record %d of %s/%d: %w", n, part.topic, part.partition, err))
				return
			}
			part.ack(n, r.Offset)
		})
	}
}

func (p *Producer) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

func (p *produced) add() (n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offsets = append(p.offsets, -1)
	return int64(len(p.offsets) - 1)
}

func (p *produced) ack(n, offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offsets[n] = offset
	p.acked++
}

// Acked returns how many records were acknowledged, over all partitions.
func (p *Producer) Acked() int64 {
	var n int64
	for _, part := range p.parts {
		part.mu.Lock()
		n += part.acked
		part.mu.Unlock()
	}
	return n
}

// Offsets returns the offset of each record of a partition by its number, -1 where it was not
// acknowledged; nil for a partition without load.
func (p *Producer) Offsets(topic string, partition int32) []int64 {
	for _, part := range p.parts {
		if part.topic == topic && part.partition == partition {
			part.mu.Lock()
			defer part.mu.Unlock()
			return append([]int64(nil), part.offsets...)
		}
	}
	return nil
}

// WaitAcked waits until so many records in all were acknowledged.
func (p *Producer) WaitAcked(ctx context.Context, n int64) error {
	return poll(ctx, func() error {
		if got := p.Acked(); got < n {
			return fmt.Errorf("%d of %d records acknowledged", got, n)
		}
		return nil
	})
}

// poll calls f every 10 ms until it returns nil, until ctx ends, or until nothing has moved for long.
func poll(ctx context.Context, f func() error) error {
	return wait.Until(ctx, 10*time.Millisecond, wait.Patience, func(context.Context) error { return f() })
}

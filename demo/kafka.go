package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// topics of the demo and their partitions.
var topics = [...]struct {
	name       string
	partitions int32
}{{"orders", 6}, {"pay-card", 3}, {"pay-cash", 3}}

// partitions is how many there are in all.
const partitions = 12

// kafkas are the two embedded clusters.
type kafkas struct{ east, west *embedded }

type embedded struct {
	cluster *kfake.Cluster
	addr    string
	client  *kgo.Client
}

func startKafkas() (*kafkas, error) {
	k := &kafkas{}
	var err error
	if k.east, err = startKafka("east"); err != nil {
		return nil, err
	}
	if k.west, err = startKafka("west"); err != nil {
		k.close()
		return nil, err
	}
	for _, t := range topics {
		if _, err := kadm.NewClient(k.east.client).CreateTopic(context.Background(), t.partitions, 1, nil, t.name); err != nil {
			k.close()
			return nil, fmt.Errorf("creating topic %s: %w", t.name, err)
		}
	}
	return k, nil
}

func startKafka(name string) (*embedded, error) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("demo-"+name))
	if err != nil {
		return nil, fmt.Errorf("starting the embedded Kafka cluster %s: %w", name, err)
	}
	e := &embedded{cluster: c, addr: c.ListenAddrs()[0]}
	e.client, err = kgo.NewClient(kgo.SeedBrokers(e.addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("connecting to the embedded Kafka cluster %s: %w", name, err)
	}
	return e, nil
}

func (k *kafkas) close() {
	for _, e := range []*embedded{k.east, k.west} {
		if e != nil {
			e.client.Close()
			e.cluster.Close()
		}
	}
}

// each calls f for every partition of the demo.
func each(f func(topic string, partition int32)) {
	for _, t := range topics {
		for p := range t.partitions {
			f(t.name, p)
		}
	}
}

// load produces until stopped.
type load struct {
	cancel context.CancelFunc
	done   chan struct{}
	once   sync.Once
}

func startLoad(ctx context.Context, cl *kgo.Client, rate int) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		tick := time.NewTicker(time.Second * partitions / time.Duration(rate))
		defer tick.Stop()
		for n := 0; ; n++ {
			each(func(topic string, p int32) {
				cl.Produce(ctx, &kgo.Record{Topic: topic, Partition: p, Key: fmt.Appendf(nil, "customer-%d", n%997),
					Value: fmt.Appendf(nil, `{"number":%d,"amount":%d}`, n, n*37%10_000)}, nil)
			})
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return l
}

// stop ends the load; what was taken is written.
func (l *load) stop() {
	l.once.Do(func() { l.cancel(); <-l.done })
}

// compare reads both sides to the end of the source and counts differences.
func compare(ctx context.Context, k *kafkas) (Summary, error) {
	sum := Summary{Partitions: partitions, OffsetsIdentical: true}
	if err := k.east.client.Flush(ctx); err != nil {
		return sum, fmt.Errorf("finishing the load: %w", err)
	}
	ends, err := kadm.NewClient(k.east.client).ListEndOffsets(ctx, "orders", "pay-card", "pay-cash")
	if err != nil {
		return sum, fmt.Errorf("asking for the source's ends: %w", err)
	}
	var errs error
	each(func(topic string, p int32) {
		end, _ := ends.Lookup(topic, p)
		east, err := read(ctx, k.east.addr, topic, p, end.Offset)
		errs = errors.Join(errs, err)
		west, err := read(ctx, k.west.addr, topic, p, end.Offset)
		errs = errors.Join(errs, err)
		sum.add(east, west)
	})
	sum.Equal = sum.Missing+sum.Duplicates+sum.OutOfOrder+sum.Differing == 0 && sum.OffsetsIdentical
	return sum, errs
}

// Summary is what the check found, as JSON on standard output.
type Summary struct {
	Equal            bool    `json:"equal"`
	Records          int64   `json:"records"`
	Partitions       int     `json:"partitions"`
	Missing          int64   `json:"missing"`
	Duplicates       int64   `json:"duplicates"`
	OutOfOrder       int64   `json:"outOfOrder"`
	Differing        int64   `json:"differing"`
	OffsetsIdentical bool    `json:"offsetsIdentical"`
	Killed           string  `json:"killed"`
	Owned            int     `json:"ownedByKilled"`
	GapSeconds       float64 `json:"longestGapSeconds"`
	Seconds          float64 `json:"seconds"`
	Note             string  `json:"note"`
}

// read reads a partition up to the offset end.
func read(ctx context.Context, addr, topic string, p int32, end int64) ([]*kgo.Record, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {p: kgo.NewOffset().AtStart()}}))
	if err != nil {
		return nil, fmt.Errorf("reading %s/%d: %w", topic, p, err)
	}
	defer cl.Close()
	var out []*kgo.Record
	for int64(len(out)) < end && (len(out) == 0 || out[len(out)-1].Offset+1 < end) {
		fs := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return out, fmt.Errorf("reading %s/%d at %s: %d of %d records: %w", topic, p, addr, len(out), end, ctx.Err())
		}
		out = append(out, fs.Records()...)
	}
	return out, nil
}

// add compares one partition.
func (s *Summary) add(east, west []*kgo.Record) {
	s.Records += int64(len(east))
	seen := map[string]int{}
	last := int64(-1)
	for i, r := range west {
		seen[string(r.Value)]++
		if seen[string(r.Value)] > 1 {
			s.Duplicates++
		}
		if i >= len(east) {
			continue
		}
		e := east[i]
		s.OffsetsIdentical = s.OffsetsIdentical && e.Offset == r.Offset
		if !bytes.Equal(e.Key, r.Key) || !bytes.Equal(e.Value, r.Value) || !e.Timestamp.Equal(r.Timestamp) {
			s.Differing++
		}
		if r.Offset <= last {
			s.OutOfOrder++
		}
		last = r.Offset
	}
	for _, e := range east {
		if seen[string(e.Value)] == 0 {
			s.Missing++
		}
	}
}

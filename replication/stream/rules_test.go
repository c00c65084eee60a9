package stream_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/pipe"
	"sluice/replication/stream"
	"sluice/test/load"
	"sluice/test/rig"
)

// counted counts the requests of a kind that a Kafka cluster has got.
func counted(c *kfake.Cluster, key kmsg.Key) *atomic.Int64 {
	n := new(atomic.Int64)
	c.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		n.Add(1)
		return nil, nil, false
	})
	return n
}

// logEnds answers where the leader epoch of orders/0 ends, which is where its
// log does, with what next gives; false: the embedded cluster answers itself.
func logEnds(c *kfake.Cluster, next func() (int64, bool)) {
	c.ControlKey(int16(kmsg.OffsetForLeaderEpoch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		end, ok := next()
		resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
		topic.Topic = "orders"
		part := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
		part.EndOffset = end
		topic.Partitions = append(topic.Partitions, part)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, ok
	})
}

// describe answers for the producer of the link as a broker does that knows
// it; embedded clusters describe no plain producers.
func describe(c *kfake.Cluster, p *rig.Pair, last int32) {
	c.ControlKey(int16(kmsg.DescribeProducers), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.DescribeProducersResponse)
		topic := kmsg.NewDescribeProducersResponseTopic()
		topic.Topic = "orders"
		part := kmsg.NewDescribeProducersResponseTopicPartition()
		ours := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		ours.ProducerID, ours.LastSequence, ours.LastTimestamp = p.View().Link(1).ProducerID, last, time.Now().UnixMilli()
		part.ActiveProducers = append(part.ActiveProducers, ours)
		topic.Partitions = append(topic.Partitions, part)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
}

// highWatermark answers that it is at, as long as the value returned is true.
func highWatermark(c *kfake.Cluster, at int64) *atomic.Bool {
	lags := new(atomic.Bool)
	lags.Store(true)
	c.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		asked := req.(*kmsg.ListOffsetsRequest).Topics[0]
		if !lags.Load() || asked.Partitions[0].Timestamp != -1 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = asked.Topic
		part := kmsg.NewListOffsetsResponseTopicPartition()
		part.Offset = at
		topic.Partitions = append(topic.Partitions, part)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	return lags
}

// TestMappingComesBeforeData: while no mapping can be committed, neither the
// first one nor one that a gap asks for, nothing is sent that rests on it.
func TestMappingComesBeforeData(t *testing.T) {
	src, dst := rig.Kfake(t, "source", 1), rig.Kfake(t, "target", 1)
	p := rig.NewPair(t, src.ListenAddrs(), dst.ListenAddrs(), fsm.LinkSpec{}, map[string]int32{"orders": 1}, "n1")
	var served []byte // offsets 0 to 2, and 5 to 7
	for _, base := range []int64{0, 5} {
		b := record.Batch(load.Batch([]*kgo.Record{
			{Value: []byte("a"), Timestamp: time.Now()}, {Value: []byte("b"), Timestamp: time.Now()}, {Value: []byte("c"), Timestamp: time.Now()},
		}))
		b.SetBaseOffset(base)
		served = append(served, b...)
	}
	src.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		src.KeepControl()
		records := served
		for _, asked := range req.(*kmsg.FetchRequest).Topics {
			if len(asked.Partitions) > 0 && asked.Partitions[0].FetchOffset >= 8 {
				records = nil
			}
		}
		return fetched(src, req, 8, records), nil, true
	})
	requests := counted(dst, kmsg.Produce)
	var allowed uint32 // the last version that is let through
	var refused atomic.Int64
	var mu sync.Mutex
	allow := func(version uint32) {
		mu.Lock()
		defer mu.Unlock()
		allowed = version
		refused.Store(0)
	}
	p.Before(func(c fsm.Command) error {
		mu.Lock()
		defer mu.Unlock()
		if put, ok := c.(*fsm.MappingPut); ok && put.Mapping.Version > allowed {
			refused.Add(1)
			return errors.New("no quorum")
		}
		return nil
	})
	r, _ := p.Runner(t, "n1", nil)
	p.Own(t, r, "n1")
	rig.Until(t, 30*time.Second, "the first mapping is tried three times", func() bool { return refused.Load() >= 3 })
	if n := requests.Load(); n > 0 {
		t.Errorf("%d requests before there is a mapping", n)
	}
	allow(1)
	rig.Until(t, 30*time.Second, "the second mapping is tried three times", func() bool { return refused.Load() >= 3 })
	if n, end := requests.Load(), p.End(t, "orders", 0); n != 1 || end != 3 {
		t.Errorf("%d requests, and the target ends at %d, before the gap's mapping is committed", n, end)
	}
	allow(2)
	rig.Until(t, 30*time.Second, "the rest", func() bool { return p.End(t, "orders", 0) == 6 })
	if m := first(p).Copy.Mapping; m.Phase != fsm.PhaseTranslated || m.ProducerEpoch != 1 {
		t.Errorf("mapping %+v", m)
	}
}

// TestCheckpointsWhatIsReplicated: a derived position is no checkpoint before
// the target's high watermark has passed it: an election may take it back.
func TestCheckpointsWhatIsReplicated(t *testing.T) {
	_, src := rig.Embedded(t)
	dst := rig.Kfake(t, "target", 1)
	p := beyondTheCheckpoint(t, src, dst.ListenAddrs())
	describe(dst, p, 9)
	lags := highWatermark(dst, 8)
	r2, n2 := p.Runner(t, "n2", func(c *stream.Config) { c.LookupEvery = 20 * time.Millisecond })
	s := p.Own(t, r2, "n2")[0]
	rig.Until(t, 30*time.Second, "a pipe is open", func() bool { m := s.Measure(); return m.Target == 10 && m.State == fsm.CodeIdle })
	n2.Checkpoint(t, r2)
	if at := first(p).Copy.Progress; at.Target != 5 {
		t.Errorf("checkpoint at %d, and the high watermark is 8", at.Target)
	}
	lags.Store(false)
	rig.Until(t, 30*time.Second, "the checkpoint", func() bool { n2.Checkpoint(t, r2); return first(p).Copy.Progress.Target == 10 })
}

// TestWaitsForOldRequests: a successor writes old records only once two log
// ends in a row, asked on connections of their own, are equal, and no request
// of its predecessor can live any more. The high watermark says nothing about
// what is appended.
func TestWaitsForOldRequests(t *testing.T) {
	_, src := rig.Embedded(t)
	dst := rig.Kfake(t, "target", 1)
	p := rig.NewPair(t, src, dst.ListenAddrs(), fsm.LinkSpec{}, map[string]int32{"orders": 1}, "n1", "n2")
	old := time.Now().Add(-10 * 24 * time.Hour) // embedded clusters forget a producer after seven days
	r1, n1 := p.Runner(t, "n1", nil)
	p.Own(t, r1, "n1")
	p.ProduceAt(t, "orders", 0, 0, 5, old)
	p.Copied(t, "orders", 0, 5, 0)
	n1.Checkpoint(t, r1)
	r1.Close()
	p.ProduceAt(t, "orders", 0, 5, 10, old)
	// Asked by a reading of the log twice, then by the wait: the log seems to
	// grow still, and stands.
	asks := append([]int64{5, 5}, 6, 7, 5, 5)
	var asked atomic.Int64
	logEnds(dst, func() (int64, bool) {
		n := int(asked.Add(1)) - 1
		if n >= len(asks) {
			return 0, false
		}
		return asks[n], true
	})
	before := int64(-1) // log ends that were asked for before the first write
	var once sync.Once
	dst.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		dst.KeepControl()
		once.Do(func() { before = asked.Load() })
		return nil, nil, false
	})
	const life = 2 * time.Second
	r2, _ := p.Runner(t, "n2", func(c *stream.Config) { c.Lease, c.Lifetime = life/2, life/2 })
	began := time.Now()
	p.Own(t, r2, "n2")
	p.Copied(t, "orders", 0, 10, 0)
	if took := time.Since(began); took < life {
		t.Errorf("it wrote after %v, and a request may live for %v", took, life)
	}
	if least := int64(len(asks)) + 2; before < least { // and the reading of the log afterwards
		t.Errorf("%d log ends were asked for before it wrote, want %d", before, least)
	}
	if m := first(p).Copy; m.Stop != nil {
		t.Errorf("stopped by %+v", m.Stop)
	}
}

// TestLooksBeforeItWrites: an owner that no leader confirms, and that has heard
// nothing of its target for a while, writes nothing before it has seen that
// the target ends where it left it.
func TestLooksBeforeItWrites(t *testing.T) {
	_, src := rig.Embedded(t)
	dst := rig.Kfake(t, "target", 1)
	p := rig.NewPair(t, src, dst.ListenAddrs(), fsm.LinkSpec{}, map[string]int32{"orders": 1}, "n1")
	requests := counted(dst, kmsg.Produce)
	r, n1 := p.Runner(t, "n1", func(c *stream.Config) { c.LookupEvery = time.Hour }) // nothing else may find it
	s := p.Own(t, r, "n1")[0]
	p.Produce(t, "orders", 0, 0, 5)
	p.Copied(t, "orders", 0, 5, 0)
	n1.Cut(true)
	if err := p.Target.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("somebody else's")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	before := requests.Load()
	silent := time.Now()
	rig.Until(t, 30*time.Second, "silence", func() bool { return time.Since(silent) > 2*pipe.LookAfter })
	p.Produce(t, "orders", 0, 5, 10)
	rig.Until(t, 30*time.Second, "the pipe has ended", func() bool {
		m := s.Measure()
		return m.State != fsm.CodeCopying && m.State != fsm.CodeIdle
	})
	if n := requests.Load() - before; n > 0 {
		t.Errorf("%d requests behind a record that it had not seen", n)
	}
}

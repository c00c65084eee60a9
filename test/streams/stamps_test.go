package streams

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/kafka/record"
	copying "sluice/replication/stream"
	"sluice/test/claim"
	"sluice/test/kafkalab"
	"sluice/test/load"
	"sluice/test/oracle"
	"sluice/test/rig"
)

// stamps are what programs take for a timestamp in milliseconds, by partition.
var stamps = [...]struct {
	name string
	of   func(time.Time) int64
}{
	{"milliseconds", time.Time.UnixMilli},
	{"seconds", time.Time.Unix},
	{"microseconds", time.Time.UnixMicro},
	{"none", func(time.Time) int64 { return -1 }},
	{"mixed", func(now time.Time) int64 {
		return [...]int64{now.UnixMilli(), now.Unix(), now.UnixMicro(), -1, 1<<63 - 1, 0}[now.UnixNano()/1e6%6]
	}},
}

// sound is how many of them are held to the pace of the first. A stream whose
// batches are young and old by turns waits after each death until a whole window
// of the former owner's requests is surely dead.
const sound = 4

// stamped is a link of one topic with a partition for each kind of timestamp.
type stamped struct {
	*rig.Pair
	lab   *lab
	topic string

	mu   sync.Mutex
	made [len(stamps)][]int64 // timestamps of the records produced
}

func (l *lab) stamped(t *testing.T) *stamped {
	t.Helper()
	s := &stamped{lab: l, topic: newTopic()}
	l.create(t, s.topic, len(stamps), nil)
	s.Pair = rig.NewPair(t, l.src.Bootstrap(), l.dst.Bootstrap(), fsm.LinkSpec{Offsets: fsm.OffsetsIdentical}, map[string]int32{s.topic: int32(len(stamps))}, "n1", "n2", "n3")
	return s
}

// create makes a topic on both sides that takes any timestamp, and keeps it; more
// is set at the target.
func (l *lab) create(t *testing.T, topic string, partitions int, more map[string]string) {
	t.Helper()
	const widest = "9223372036854775807" // ms
	for _, c := range []*kafkalab.Cluster{l.src, l.dst} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		configs := map[string]string{"message.timestamp.before.max.ms": widest, "message.timestamp.after.max.ms": widest, "retention.ms": "-1"}
		if c == l.dst {
			maps.Copy(configs, more)
		}
		err := c.CreateTopic(ctx, kafkalab.Topic{Name: topic, Partitions: int32(partitions), Configs: configs})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// produce appends a batch of n records to each partition, in bytes: franz-go reckons
// timestamps in nanoseconds, which do not reach far.
func (s *stamped) produce(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n == 0 {
		return nil
	}
	batches := map[int32][]byte{}
	for p := range s.made {
		var rs []*kgo.Record
		for range n {
			i, at := len(s.made[p]), stamps[p].of(time.Now())
			s.made[p] = append(s.made[p], at)
			rs = append(rs, &kgo.Record{Timestamp: time.UnixMilli(at), Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "value %d", i)})
		}
		batches[int32(p)] = load.Batch(rs)
	}
	_, err := load.Append(context.Background(), s.Source, s.topic, batches)
	return err
}

// load produces a thousand records a second to each partition until stop is
// called, which waits.
func (s *stamped) load(t *testing.T) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for began, n := time.Now(), 0; ; {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			due := int(time.Since(began).Milliseconds())
			if err := s.produce(min(due-n, 500)); err != nil {
				t.Error(err)
				return
			}
			n = due
		}
	}()
	return func() { close(quit); <-done }
}

// count is how many records of a partition were produced.
func (s *stamped) count(p int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.made[p])
}

// ends are where the target's partitions end.
func (s *stamped) ends(t *testing.T) (ends [len(stamps)]int) {
	t.Helper()
	for p := range ends {
		ends[p] = int(s.End(t, s.topic, int32(p)))
	}
	return ends
}

// exact waits until all is copied, and checks that every record is at the target,
// once, in order, at its offset and with its timestamp.
func (s *stamped) exact(t *testing.T) {
	t.Helper()
	rig.Wait(t, "all is copied", func() error {
		left := 0
		for p, end := range s.ends(t) {
			left += s.count(p) - end
		}
		if left > 0 {
			return fmt.Errorf("%d records are left", left)
		}
		return nil
	})
	for p := range stamps {
		for i, e := range s.read(t, int32(p)) {
			if want := s.made[p][i]; e.Offset != int64(i) || e.Timestamp != want || string(e.Value) != fmt.Sprintf("value %d", i) {
				t.Fatalf("%s: record %d is %q at %d with timestamp %d, want %d", stamps[p].name, i, e.Value, e.Offset, e.Timestamp, want)
			}
		}
	}
	for task := range s.View().Tasks {
		if task.Kind == fsm.KindCopy && (task.Copy.Stop != nil || task.Copy.Mapping.Phase != fsm.PhaseDense) {
			t.Errorf("%+v", task.Copy)
		}
	}
}

// read reads all that the target holds of a partition.
func (s *stamped) read(t *testing.T, p int32) (all []oracle.Entry) {
	t.Helper()
	meta, err := kadm.NewClient(s.Target).Metadata(t.Context(), s.topic)
	if err != nil {
		t.Fatal(err)
	}
	codec := record.NewCodec()
	for len(all) < s.count(int(p)) {
		req := kmsg.NewPtrFetchRequest()
		req.MinBytes, req.MaxBytes, req.MaxWaitMillis = 1, 8<<20, 500
		topic, part := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
		topic.Topic, topic.TopicID = s.topic, meta.Topics[s.topic].ID
		part.Partition, part.FetchOffset, part.PartitionMaxBytes = p, int64(len(all)), 8<<20
		topic.Partitions = append(topic.Partitions, part)
		req.Topics = append(req.Topics, topic)
		got, err := s.Target.Broker(int(meta.Topics[s.topic].Partitions[p].Leader)).Request(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for b, err := range record.Batches(got.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches) {
			if err != nil {
				t.Fatal(err)
			}
			es, err := oracle.Read(codec, b, 8<<20)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, es...)
		}
	}
	if len(all) != s.count(int(p)) {
		t.Fatalf("%s: %d records, want %d", stamps[p].name, len(all), s.count(int(p)))
	}
	return all
}

// TestTimestamps: partitions whose producers take seconds, microseconds or
// nothing for milliseconds are copied exactly, and none at less than half the
// speed of one with sound timestamps: a thousand records a second each, while the
// owner dies again and again, and what has gathered before there is an owner.
// Brokers forget the producer of timestamps in seconds at once.
func TestTimestamps(t *testing.T) {
	t.Parallel()
	l := start(t, kafkalab.Config{}, kafkalab.Config{Overrides: map[string]string{"producer.id.expiration.check.interval.ms": "1000"}})
	own := func(s *stamped, i int) *copying.Runner {
		name := fmt.Sprintf("n%d", 1+i%3)
		r, n := s.Runner(t, name, func(c *copying.Config) {
			c.LookupEvery = 500 * time.Millisecond
			if claim.Full() { // as nodes have it
				whole := copying.DefaultConfig()
				c.Lease, c.Lifetime, c.Timeout = whole.Lease, whole.Lifetime, whole.Timeout
			}
		})
		s.Own(t, r, name)
		if i%2 == 1 { // it is cut off when it dies
			t.Cleanup(func() { n.Cut(true) })
		}
		return r
	}
	t.Run("target that stamps", func(t *testing.T) { t.Parallel(); targetStamps(t, l) })
	t.Run("steady", func(t *testing.T) {
		claim.NeedsLong(t)
		s := l.stamped(t)
		r := own(s, 0)
		stop, began := s.load(t), time.Now()
		for i := range claim.Rounds(3, 6) {
			target := s.ends(t)[0] + claim.Rounds(4_000, 25_000)
			rig.Wait(t, "the first partition goes on", func() error {
				if end := s.ends(t)[0]; end < target {
					return fmt.Errorf("at %d", end)
				}
				return nil
			})
			t.Logf("the owner dies at %v", s.ends(t))
			r.Close()
			r = own(s, i+1)
		}
		rig.Wait(t, "the first partition has caught up", func() error {
			if end, made := s.ends(t)[0], s.count(0); end < made-2_000 {
				return fmt.Errorf("%d of %d", end, made)
			}
			return nil
		})
		ends, took := s.ends(t), time.Since(began)
		stop()
		for p, end := range ends {
			t.Logf("%-12s %6d of %6d records in %v: %d/s", stamps[p].name, end, s.count(p), took.Round(time.Second), int(float64(end)/took.Seconds()))
			if claim.Full() && p < sound && end < ends[0]/2 { // else a few waits of takeovers are all of it
				t.Errorf("%s: %d records, less than half of %d", stamps[p].name, end, ends[0])
			}
		}
		s.exact(t)
	})
	t.Run("gathered", func(t *testing.T) {
		s := l.stamped(t)
		for range claim.Rounds(10, 50) {
			if err := s.produce(2_000); err != nil {
				t.Fatal(err)
			}
		}
		own(s, 0)
		began := time.Now()
		var took [len(stamps)]time.Duration
		rig.Wait(t, "all is copied", func() error {
			ends, left := s.ends(t), 0
			for p, end := range ends {
				if end == s.count(p) && took[p] == 0 {
					took[p] = time.Since(began)
				}
				left += s.count(p) - end
			}
			if left > 0 {
				return fmt.Errorf("%d records are left", left)
			}
			return nil
		})
		for p := range stamps {
			t.Logf("%-12s %d records in %v", stamps[p].name, s.count(p), took[p].Round(time.Millisecond))
		}
		s.exact(t)
	})
}

// targetStamps: a target topic of somebody's own gives each record the time when
// it was appended. A new owner still finds which of the source's it holds.
func targetStamps(t *testing.T, l *lab) {
	s := &stream{lab: l, topic: newTopic(), time: time.Now().Add(-threeDays)}
	l.create(t, s.topic, 1, map[string]string{"message.timestamp.type": "LogAppendTime"})
	s.Pair = rig.NewPair(t, l.src.Bootstrap(), l.dst.Bootstrap(), fsm.LinkSpec{Offsets: fsm.OffsetsTranslated}, map[string]int32{s.topic: 1}, s.node(1), s.node(2), s.node(3))
	for i := range 3 {
		r := s.own(t, 1+i)
		s.produce(t, 20)
		s.acked(t, r) // which stands in no checkpoint
		r.Close()
	}
	s.own(t, 1)
	s.produce(t, 5)
	s.copied(t)
	if stop := s.task().Copy.Stop; stop != nil {
		t.Errorf("stopped by %+v", stop)
	}
}

// Package streams breaks the write path of streams on real brokers: each test
// makes a fault and ends in the same invariants, none missing, none twice, in
// order, at the offsets that were promised.
package streams

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	copying "sluice/replication/stream"
	"sluice/test/faults"
	"sluice/test/kafkalab"
	"sluice/test/rig"
	"sluice/test/scratch"
	"sluice/test/wait"
)

func TestMain(m *testing.M) { os.Exit(scratch.Together(m, 20).Run()) }

// lab is two clusters, each behind a proxy of its own.
type lab struct {
	src, dst           *kafkalab.Cluster
	srcProxy, dstProxy *faults.KafkaProxy
}

// start starts both clusters at once.
func start(t *testing.T, src, dst kafkalab.Config) *lab {
	t.Helper()
	kafkalab.Require(t)
	l := &lab{srcProxy: faults.NewKafkaProxy(), dstProxy: faults.NewKafkaProxy()}
	t.Cleanup(l.srcProxy.Close)
	t.Cleanup(l.dstProxy.Close)
	src.AdvertisedVia, dst.AdvertisedVia = l.srcProxy.Via, l.dstProxy.Via
	l.src, l.dst = kafkalab.StartPair(t, src, dst)
	return l
}

// stream is one topic of one partition on its way, under a name of its own,
// so that tests may share brokers and run at once.
type stream struct {
	*rig.Pair
	lab   *lab
	topic string
	made  int // records produced
	time  time.Time
}

var topics atomic.Int32 // counts names

// stream makes a topic on both sides and links it. The nodes are called by
// the topic's name, so that proxies can tell them apart: node(1), node(2).
func (l *lab) stream(t *testing.T) *stream { return l.streamAt(t, -1) }

// streamAt is stream with a start that was resolved with the link; -1: none.
func (l *lab) streamAt(t *testing.T, first int64) *stream {
	t.Helper()
	return l.streamOn(t, first, nil)
}

// streamOn is streamAt with the target's replicas, the leader first.
func (l *lab) streamOn(t *testing.T, first int64, replicas []int32) *stream {
	t.Helper()
	s := &stream{lab: l, topic: newTopic(), time: time.Now()}
	var starts []fsm.StartAt
	if first >= 0 {
		starts = []fsm.StartAt{{Topic: s.topic, Offsets: []int64{first}}}
	}
	if replicas != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*wait.Patience)
		defer cancel()
		if err := l.dst.CreateTopic(ctx, kafkalab.Topic{Name: s.topic, Assignment: [][]int32{replicas}}); err != nil {
			t.Fatal(err)
		}
	}
	s.Pair = rig.NewPairAt(t, l.src.Bootstrap(), l.dst.Bootstrap(), fsm.LinkSpec{}, starts,
		map[string]int32{s.topic: 1}, s.node(1), s.node(2), s.node(3))
	return s
}

// newTopic is a name that no topic has.
func newTopic() string { return fmt.Sprintf("t%d", topics.Add(1)) }

// linked links a topic of one partition, which is made where it is not there, in a
// Sluice cluster whose nodes are all of this build.
func (l *lab) linked(t *testing.T, topic string, spec fsm.LinkSpec) *stream {
	t.Helper()
	s := &stream{lab: l, topic: topic, time: time.Now()}
	s.Pair = rig.NewPair(t, l.src.Bootstrap(), l.dst.Bootstrap(), spec, map[string]int32{topic: 1}, s.node(1), s.node(2), s.node(3))
	s.Do(t, &fsm.FeatureRaise{Level: fsm.FeatureLevel})
	return s
}

// task is the stream's task as it stands in the facts.
func (s *stream) task() *fsm.Task {
	for t := range s.View().Tasks {
		if t.Kind == fsm.KindCopy {
			return t
		}
	}
	return nil
}

// node names the i-th node of this stream.
func (s *stream) node(i int) string { return fmt.Sprintf("%s-n%d-", s.topic, i) }

// runner is one node with the stream.
type runner struct {
	*copying.Runner
	*rig.Node
	stream *copying.Stream
	name   string
}

// own starts node i and gives it the stream, whoever had it.
func (s *stream) own(t *testing.T, i int) *runner { return s.ownWith(t, i, nil) }

func (s *stream) ownWith(t *testing.T, i int, tweak func(*copying.Config)) *runner {
	t.Helper()
	r, n := s.Runner(t, s.node(i), func(c *copying.Config) {
		c.LookupEvery = 500 * time.Millisecond
		if tweak != nil {
			tweak(c)
		}
	})
	return &runner{Runner: r, Node: n, stream: s.Own(t, r, s.node(i))[0], name: s.node(i)}
}

// produce appends n batches of one record each to the source.
func (s *stream) produce(t *testing.T, n int) {
	t.Helper()
	for range n {
		s.ProduceAt(t, s.topic, 0, s.made, s.made+1, s.time)
		s.made++
	}
}

// apart is produce of records that are too large to go to the target in one batch
// with others.
func (s *stream) apart(t *testing.T, n int) {
	t.Helper()
	noise := make([]byte, 8<<10)
	rand.NewChaCha8([32]byte{}).Read(noise)
	for range n {
		r := s.record()
		r.Headers = []kgo.RecordHeader{{Key: "noise", Value: noise}}
		if err := s.Source.ProduceSync(context.Background(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// transaction appends n records in one committed transaction. Its marker
// takes a source offset, which no record has.
func (s *stream) transaction(t *testing.T, n int) {
	t.Helper()
	cl, err := s.lab.src.DirectClient(kgo.TransactionalID(s.topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	before := s.sourceEnd(t)
	for range n {
		if err := cl.ProduceSync(context.Background(), s.record()).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cl.EndTransaction(context.Background(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	// The marker is written after the answer.
	rig.Until(t, 10*time.Second, "the marker", func() bool { return s.sourceEnd(t) == before+int64(n)+1 })
}

func (s *stream) sourceEnd(t *testing.T) int64 {
	t.Helper()
	return rig.EndOf(t, s.Source, s.topic, 0)
}

// record is the next one to be produced.
func (s *stream) record() *kgo.Record {
	s.made++
	i := s.made - 1
	return &kgo.Record{Topic: s.topic, Timestamp: s.time, Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "value %d", i)}
}

// copied waits until all that was produced is at the target, and checks it:
// nothing missing, nothing twice, the order, the offsets.
func (s *stream) copied(t *testing.T) { s.copiedAt(t, 0) }

func (s *stream) copiedAt(t *testing.T, shift int64) {
	t.Helper()
	s.Copied(t, s.topic, 0, s.made, shift)
	if end := s.End(t, s.topic, 0); end != int64(s.made)+shift {
		t.Fatalf("the target ends at %d, want %d", end, int64(s.made)+shift)
	}
}

// holds waits until the target's log ends with the record made last, and
// checks that it holds, from its offset at on, the records of the ranges in
// order, each once. A transaction marker at the source counts as none.
func (s *stream) holds(t *testing.T, at int64, ranges ...[2]int) {
	t.Helper()
	n := 0
	for _, r := range ranges {
		n += r[1] - r[0]
	}
	got := s.Read(t, s.lab.dst.Direct(), s.topic, 0, n, 60*time.Second)
	for _, r := range ranges {
		for i := r[0]; i < r[1]; i++ {
			if want := fmt.Sprintf("value %d", i); string(got[0].Value) != want || got[0].Offset != at {
				t.Fatalf("%q at target offset %d, want %q at %d", got[0].Value, got[0].Offset, want, at)
			}
			got, at = got[1:], at+1
		}
	}
	if end := s.End(t, s.topic, 0); end != at {
		t.Fatalf("the target ends at %d, want %d", end, at)
	}
}

// trim deletes the records before an offset on one side.
func trim(t *testing.T, c *kafkalab.Cluster, topic string, before int64) {
	t.Helper()
	err := c.Admin(func(adm *kadm.Client) error {
		var to kadm.Offsets
		to.Add(kadm.Offset{Topic: topic, At: before})
		rs, err := adm.DeleteRecords(context.Background(), to)
		if err == nil {
			err = rs.Error()
		}
		return err
	})
	if err != nil {
		t.Fatalf("trimming %s: %v", topic, err)
	}
}

// warm copies a few records, so that the stream is guarded and may have five
// in flight: the first batch goes unguarded, the second alone.
func (s *stream) warm(t *testing.T, r *runner) {
	t.Helper()
	s.produce(t, 3)
	s.acked(t, r)
}

// acked waits until all that was produced is acknowledged to the runner.
func (s *stream) acked(t *testing.T, r *runner) {
	t.Helper()
	rig.Wait(t, "acknowledged", func() error {
		if m := r.stream.Measure(); m.Source != int64(s.made) {
			return fmt.Errorf("%d of %d, %s: %s", m.Source, s.made, m.State, m.Message)
		}
		return nil
	})
}

// forgotten waits until the target's leader has no state of our producer id.
func (s *stream) forgotten(t *testing.T) {
	t.Helper()
	rig.Until(t, 30*time.Second, "the producer state expires", func() bool {
		var at kadm.TopicsSet
		at.Add(s.topic, 0)
		ps, err := kadm.NewClient(s.Target).DescribeProducers(context.Background(), at)
		if err != nil || ps[s.topic].Partitions[0].Err != nil {
			return false
		}
		known := false
		ps.EachProducer(func(p kadm.DescribedProducer) { known = known || p.ProducerID == s.View().Link(1).ProducerID })
		return !known
	})
}

// state waits until the runner's stream is in the state.
func (r *runner) state(t *testing.T, code fsm.Code) {
	t.Helper()
	rig.Wait(t, "state "+string(code), func() error {
		if m := r.stream.Measure(); m.State != code {
			return fmt.Errorf("%s at %d: %s", m.State, m.Source, m.Message)
		}
		return nil
	})
}

// goesOn waits until the runner's stream copies, or has nothing left to copy.
func (r *runner) goesOn(t *testing.T) {
	t.Helper()
	rig.Wait(t, "it goes on", func() error {
		if m := r.stream.Measure(); m.State != fsm.CodeCopying && m.State != fsm.CodeCatchingUp && m.State != fsm.CodeIdle {
			return fmt.Errorf("%s at %d: %s", m.State, m.Source, m.Message)
		}
		return nil
	})
}

// over waits until the runner's stream has ended by itself.
func (r *runner) over(t *testing.T) {
	t.Helper()
	rig.Until(t, 30*time.Second, "end of the stream", func() bool {
		select {
		case <-r.stream.Done():
			return true
		default:
			return false
		}
	})
}

// chosen waits until a fault has acted n times.
func chosen(t *testing.T, f *faults.Fault, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait.Patience)
	defer cancel()
	if err := f.WaitChosen(ctx, n); err != nil {
		t.Fatal(err)
	}
}

// load produces to the stream until stop is called, which waits.
func (s *stream) load(t *testing.T, every time.Duration) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			if err := s.Source.ProduceSync(context.Background(), s.record()).FirstErr(); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

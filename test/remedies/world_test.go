package remedies

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/replication/stream"
	"sluice/test/kafkalab"
	"sluice/test/load"
	"sluice/test/rig"
)

// world is a link of two streams: one that gets into trouble, and another,
// which must not notice.
type world struct {
	*rig.Pair
	lab   *lab
	topic string // of the stream in trouble; the other's is topic + "-other"
	made  int    // records produced to it
	other int
}

// link says what a world's link is like.
type link struct {
	spec           fsm.LinkSpec
	start          int64             // resolved with the link, 0: none
	source, target map[string]string // settings of the topic
}

func (l *lab) world(t *testing.T, k link) *world {
	t.Helper()
	w := &world{lab: l, topic: l.name()}
	create(t, l.src, w.topic, 1, k.source)
	create(t, l.dst, w.topic, 1, k.target)
	w.Pair = l.pair(t, k, map[string]int32{w.topic: 1, w.topic + "-other": 1}, w.topic)
	return w
}

// pair links topics; nodes are called by name, so that the proxy can tell
// them apart.
func (l *lab) pair(t *testing.T, k link, topics map[string]int32, name string) *rig.Pair {
	t.Helper()
	var starts []fsm.StartAt
	if k.start > 0 {
		starts = []fsm.StartAt{{Topic: name, Offsets: []int64{k.start}}}
	}
	return rig.NewPairAt(t, l.src.Bootstrap(), l.dst.Bootstrap(), k.spec, starts, topics, node(name, 1), node(name, 2), node(name, 3))
}

func node(name string, i int) string { return fmt.Sprintf("%s-n%d-", name, i) }

// runner is one node with the link's streams.
type runner struct {
	*stream.Runner
	*rig.Node
	name    string
	streams map[string]*stream.Stream // by topic, those of partition 0
	all     []*stream.Stream
}

// own starts node i and gives it the streams, whoever had them.
func (w *world) own(t *testing.T, i int) *runner { return own(t, w.Pair, node(w.topic, i), nil) }

func own(t *testing.T, p *rig.Pair, name string, tweak func(*stream.Config)) *runner {
	t.Helper()
	r, n := p.Runner(t, name, func(c *stream.Config) {
		c.LookupEvery = 500 * time.Millisecond
		if tweak != nil {
			tweak(c)
		}
	})
	out := &runner{Runner: r, Node: n, name: name, streams: map[string]*stream.Stream{}}
	out.all = p.Own(t, r, name)
	for _, s := range out.all {
		if k := p.View().Task(s.Task()).Copy.Stream; k.Partition == 0 {
			out.streams[k.Topic] = s
		}
	}
	return out
}

// task is the troubled stream's, as it stands in the facts.
func (w *world) task() *fsm.Task { return taskOf(w.Pair, w.topic, 0) }

func taskOf(p *rig.Pair, topic string, partition int32) *fsm.Task {
	for t := range p.View().Tasks {
		if t.Kind == fsm.KindCopy && t.Link == 1 && t.Copy.Stream.Topic == topic && t.Copy.Stream.Partition == partition {
			return t
		}
	}
	return nil
}

// produce appends n batches of one record each.
func (w *world) produce(t *testing.T, n int) {
	t.Helper()
	for range n {
		w.send(t, w.record(time.Now(), 0))
	}
}

// apart is produce of records that are too large to go to the target in one batch
// with others.
func (w *world) apart(t *testing.T, n int) {
	t.Helper()
	for range n {
		w.send(t, w.record(time.Now(), 8<<10))
	}
}

// record is the next one to be produced, its value at least size bytes that
// hardly compress.
func (w *world) record(at time.Time, size int) *kgo.Record {
	r := numbered(w.topic, w.made, at)
	if size > len(r.Value) {
		noise := make([]byte, size-len(r.Value))
		rand.NewChaCha8([32]byte{}).Read(noise)
		r.Value = append(r.Value, noise...)
	}
	w.made++
	return r
}

func numbered(topic string, i int, at time.Time) *kgo.Record {
	return &kgo.Record{Topic: topic, Timestamp: at, Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "value %d.", i)}
}

// send appends records to the source in one batch, if they go together.
func (w *world) send(t *testing.T, rs ...*kgo.Record) {
	t.Helper()
	if err := w.Source.ProduceSync(within(t, time.Minute), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// foreign appends n records to the target that are nobody's copy.
func (w *world) foreign(t *testing.T, n int) {
	t.Helper()
	for range n {
		if err := w.Target.ProduceSync(within(t, time.Minute), &kgo.Record{Topic: w.topic, Value: []byte("foreign")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// acked waits until the runner's stream has copied up to the source offset.
func (w *world) acked(t *testing.T, r *runner, source int64) {
	t.Helper()
	rig.Wait(t, fmt.Sprintf("copied up to %d", source), func() error {
		if m := r.streams[w.topic].Measure(); m.Source != source {
			return fmt.Errorf("up to %d, %s: %s", m.Source, m.State, m.Message)
		}
		return nil
	})
}

// state waits until the runner's stream is in the state, without having
// stopped.
func (w *world) state(t *testing.T, r *runner, code fsm.Code) {
	t.Helper()
	rig.Wait(t, "state "+string(code), func() error {
		if m := r.streams[w.topic].Measure(); m.State != code {
			return fmt.Errorf("%s at %d: %s", m.State, m.Source, m.Message)
		}
		return nil
	})
	if stop := w.task().Copy.Stop; stop != nil {
		t.Fatalf("stopped: %+v", stop)
	}
}

// stopped waits until the stream has stopped, and checks why, the range, the
// event, and that the other stream goes on.
func (w *world) stopped(t *testing.T, want fsm.Stop) {
	t.Helper()
	rig.Until(t, timeout, "stopped by "+string(want.Code), func() bool { // one for a missing topic gives way to what it is then
		stop := w.task().Copy.Stop
		return stop != nil && (stop.Code == want.Code || stop.Code != fsm.CodeSourceDeleted && stop.Code != fsm.CodeTargetDeleted)
	})
	got := *w.task().Copy.Stop
	if got.Code != want.Code || got.From != want.From || got.To != want.To || got.Target != want.Target || got.Message == "" || got.At == 0 {
		t.Fatalf("stopped by %+v, want %+v", got, want)
	}
	w.event(t, want.Code, want.From, want.To)
	w.othersGoOn(t)
}

// event waits for the latest event of the code and checks its range and whom
// it names.
func (w *world) event(t *testing.T, code fsm.Code, from, to int64) fsm.Event {
	t.Helper()
	rig.Until(t, timeout, "event "+string(code), func() bool { return len(w.Events(code)) > 0 })
	evs := w.Events(code)
	e := evs[len(evs)-1]
	if e.From != from || e.To != to || e.Topic != w.topic || e.Part != 0 || e.Message == "" || e.Node == "" {
		t.Errorf("event %+v, want range [%d, %d)", e, from, to)
	}
	return e
}

// none checks that no event of the code was recorded.
func (w *world) none(t *testing.T, codes ...fsm.Code) {
	t.Helper()
	for _, c := range codes {
		if evs := w.Events(c); len(evs) > 0 {
			t.Errorf("events: %+v", evs)
		}
	}
}

// told counts how often the code was told.
func (w *world) told(code fsm.Code) (n int) {
	for _, e := range w.Events(code) {
		n += int(e.Count)
	}
	return n
}

// order gives an operator's order.
func (w *world) order(t *testing.T, o fsm.Order) {
	t.Helper()
	w.Do(t, &fsm.TaskOrder{Link: 1, Topic: w.topic, Order: o})
}

// retryStops orders a retry whose cause stands: the stream stops again for
// the same reason.
func (w *world) retryStops(t *testing.T, want fsm.Stop) {
	t.Helper()
	before := w.told(want.Code)
	w.order(t, fsm.OrderRetry)
	rig.Until(t, timeout, "stopped again by "+string(want.Code), func() bool { return w.told(want.Code) > before })
	w.stopped(t, want)
}

// waits checks that the stopped stream cannot carry out its order yet.
func (w *world) waits(t *testing.T, r *runner) {
	t.Helper()
	rig.Until(t, timeout, "says what it waits for", func() bool { return w.says(r, "cannot go on yet") })
	if w.task().Copy.Stop == nil {
		t.Fatal("it went on")
	}
}

// says reports whether the stream's message contains the words.
func (w *world) says(r *runner, words string) bool {
	return strings.Contains(r.streams[w.topic].Measure().Message, words)
}

// othersGoOn checks that the other stream copies.
func (w *world) othersGoOn(t *testing.T) {
	t.Helper()
	w.other++
	rig.Until(t, timeout, "the other stream's record is produced", func() bool {
		return w.Source.ProduceSync(context.Background(), numbered(w.topic+"-other", w.other, time.Now())).FirstErr() == nil
	})
	rig.Until(t, timeout, "the other stream goes on", func() bool { return w.End(t, w.topic+"-other", 0) == int64(w.other) })
	if stop := taskOf(w.Pair, w.topic+"-other", 0).Copy.Stop; stop != nil {
		t.Errorf("the other stream stopped: %+v", stop)
	}
}

// holds waits until the target's log ends with the last of the ranges, and
// checks that it holds, from its offset at on, the records of the ranges in
// order, each once. A range of -n stands for n foreign records.
func (w *world) holds(t *testing.T, at int64, ranges ...[2]int) {
	t.Helper()
	var want []string
	for _, r := range ranges {
		for i := r[0]; i < r[1]; i++ {
			if i < 0 {
				want = append(want, "foreign")
				continue
			}
			want = append(want, fmt.Sprintf("value %d.", i))
		}
	}
	got := w.Read(t, w.lab.dst.Direct(), w.topic, 0, len(want), timeout)
	for i, r := range got {
		v := string(r.Value[:min(len(r.Value), len(want[i]))])
		if v != want[i] || r.Offset != at+int64(i) {
			t.Fatalf("%q at target offset %d, want %q at %d", v, r.Offset, want[i], at+int64(i))
		}
	}
	if end := w.End(t, w.topic, 0); end != at+int64(len(want)) {
		t.Fatalf("the target ends at %d, want %d", end, at+int64(len(want)))
	}
	w.running(t)
}

func (w *world) running(t *testing.T) {
	t.Helper()
	rig.Until(t, timeout, "goes on", func() bool { return w.task().Copy.Stop == nil })
}

// same waits until all is copied and compares both sides record by record.
func (w *world) same(t *testing.T, o load.Options) {
	t.Helper()
	same(t, w.lab.src, w.lab.dst, o, w.topic)
	w.running(t)
}

func same(t *testing.T, src, dst *kafkalab.Cluster, o load.Options, topics ...string) {
	t.Helper()
	ctx := within(t, 2*time.Minute)
	if !o.IgnoreOffsets && !o.Compacted {
		if err := load.WaitCopied(ctx, opts(src), opts(dst), topics, o); err != nil {
			t.Fatal(err)
		}
	}
	rep, err := load.Compare(ctx, opts(src), opts(dst), topics, o)
	if err == nil {
		err = rep.Err()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// identical wants every record at its source offset.
func identical() load.Options { return load.Options{} }

// shifted wants target offset = source offset + by.
func shifted(by int64) load.Options { return shiftedFrom(by, 0) }

// shiftedFrom is shifted for source offsets at or behind from.
func shiftedFrom(by, from int64) load.Options {
	return load.Options{
		Shift: func(string, int32) int64 { return by },
		From:  func(string, int32) int64 { return from },
	}
}

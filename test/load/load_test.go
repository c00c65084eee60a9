package load

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"sluice/test/scratch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(scratch.In(m)) }

// testContext is for hangs that no step notices.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// fake starts a fake cluster with a topic "t" and returns how to reach it.
func fake(t testing.TB, partitions int32) []kgo.Opt {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return []kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...)}
}

func TestRecordsFollowFromTheSeed(t *testing.T) {
	start := time.UnixMilli(1700000000000)
	a, b := newMaker("t", 1, 200, start, time.Millisecond), newMaker("t", 1, 200, start, time.Millisecond)
	other := newMaker("t", 2, 200, start, time.Millisecond)
	sent := time.Unix(5, 7)
	shapes := map[string]bool{}
	for n := range int64(200) {
		x, y, z := a.record(3, n, sent), b.record(3, n, sent), other.record(3, n, sent)
		if !reflect.DeepEqual(x, y) {
			t.Fatalf("record %d differs between two makers of one seed", n)
		}
		if reflect.DeepEqual(x, z) {
			t.Fatalf("record %d is the same for another seed", n)
		}
		got, err := ReadStamp(x.Value)
		if err != nil || got.N != n || got.Partition != 3 || !got.Sent.Equal(sent) {
			t.Fatalf("stamp %+v, %v", got, err)
		}
		if want := start.Add(time.Duration(n) * time.Millisecond); !x.Timestamp.Equal(want) {
			t.Fatalf("timestamp %v, want %v", x.Timestamp, want)
		}
		switch {
		case x.Key == nil:
			shapes["no key"] = true
		case len(x.Key) == 0:
			shapes["empty key"] = true
		default:
			shapes["key"] = true
		}
		if len(x.Headers) == 2 && x.Headers[1].Value == nil {
			shapes["header without value"] = true
		}
		x.Value[len(x.Value)/2]++
		if _, err := ReadStamp(x.Value); !errors.Is(err, errValue) {
			t.Fatalf("a broken value is read: %v", err)
		}
	}
	if len(shapes) != 4 {
		t.Errorf("shapes of records: %v", shapes)
	}
}

func TestFillingIsCompressible(t *testing.T) {
	m := newMaker("t", 1, 1024, time.Now(), 0)
	var plain []byte
	for n := range int64(256) {
		plain = append(plain, m.record(0, n, time.Now()).Value...)
	}
	c, err := kgo.DefaultCompressor(kgo.Lz4Compression())
	if err != nil {
		t.Fatal(err)
	}
	buf, _ := c.Compress(new(bytes.Buffer), plain)
	if ratio := float64(len(plain)) / float64(len(buf)); ratio < 1.5 || ratio > 1.7 {
		t.Errorf("lz4 makes it %.2f times smaller, want 1.6", ratio)
	}
}

// run starts a load and returns a function that ends it.
func run(t testing.TB, ctx context.Context, runs ...func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	var g errgroup.Group
	for _, r := range runs {
		g.Go(func() error { return r(ctx) })
	}
	return func() {
		t.Helper()
		cancel()
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
	}
}

func TestProducerKnowsWhatWasAcknowledged(t *testing.T) {
	client := fake(t, 3)
	p, err := NewProducer(Config{Client: client, Topics: []Topic{{"t", 3}}, Records: 3000, Size: 100, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if p.Acked() != 3000 {
		t.Errorf("acknowledged %d", p.Acked())
	}
	for part := range int32(3) {
		offsets := p.Offsets("t", part)
		if len(offsets) != 1000 {
			t.Fatalf("partition %d: %d records", part, len(offsets))
		}
		for n, o := range offsets {
			if o != int64(n) {
				t.Fatalf("partition %d: record %d at offset %d", part, n, o)
			}
		}
	}
	if p.Offsets("t", 3) != nil {
		t.Error("offsets of a partition without load")
	}
}

func TestProducerRefusesNonsense(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no partitions": {}, "small": {Topics: []Topic{{"t", 1}}, Size: 10},
	} {
		if _, err := NewProducer(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestWatcherMeasuresGapsAndLatency(t *testing.T) {
	client := fake(t, 2)
	ctx := testContext(t)
	w := NewWatcher(client, Topic{"t", 2})
	both := Config{Client: client, Topics: []Topic{{"t", 2}}, Rate: 500, Size: 100}
	one := Config{Client: client, Topics: []Topic{{"t", 1}}, Rate: 500, Size: 100}
	pBoth, err := NewProducer(both)
	if err != nil {
		t.Fatal(err)
	}
	pOne, err := NewProducer(one)
	if err != nil {
		t.Fatal(err)
	}
	stopWatcher := run(t, ctx, w.Run)
	defer stopWatcher()
	stop := run(t, ctx, pBoth.Run)
	if _, err := w.WaitNew(ctx); err != nil {
		t.Fatal(err)
	}
	if err := pBoth.WaitAcked(ctx, 50); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := w.WaitRecords(ctx, pBoth.Acked()); err != nil {
		t.Fatal(err)
	}
	if l := w.Latency(); l.Records == 0 || l.P50 <= 0 || l.P50 > l.P99 || l.P99 > l.Max {
		t.Errorf("latency %+v", l)
	}

	w.Mark()
	stop = run(t, ctx, pOne.Run) // partition 1 stays silent
	if err := poll(ctx, func() error {
		if gaps := w.Gaps(); !gaps[1].Seen || gaps[0].New < 100*time.Millisecond {
			return errors.New("not yet")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	gaps := w.Gaps()
	if g := gaps[0]; g.Partition != 1 || g.Seen || g.Pause < 100*time.Millisecond {
		t.Errorf("silent partition: %+v", g)
	}
	if g := gaps[1]; g.Partition != 0 || !g.Seen || g.New <= 0 || g.New >= gaps[0].New {
		t.Errorf("lively partition: %+v", g)
	}
	short, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
	defer cancel()
	if _, err := w.WaitNew(short); err == nil || !strings.Contains(err.Error(), "t/1") {
		t.Errorf("waiting for a silent partition: %v", err)
	}
	stop()
}

// A record that was sent before the mark and arrives after it does not end the gap.
func TestWatcherCountsOnlyRecordsSentAfterTheMark(t *testing.T) {
	w := NewWatcher(nil, Topic{"t", 1})
	m := newMaker("t", 1, 100, time.Now(), 0)
	before := m.record(0, 0, time.Now())
	w.Mark()
	after := m.record(0, 1, time.Now())
	w.arrived(before, time.Now())
	if g := w.Gaps()[0]; g.Seen || g.Records != 1 {
		t.Errorf("after an old record: %+v", g)
	}
	w.arrived(after, time.Now())
	if g := w.Gaps()[0]; !g.Seen || g.Records != 2 {
		t.Errorf("after a new record: %+v", g)
	}
	after.Value[30]++
	w.arrived(after, time.Now())
	if w.Foreign() != 1 {
		t.Errorf("foreign: %d", w.Foreign())
	}
}

func TestWatcherKeepsTheLongestPause(t *testing.T) {
	w := NewWatcher(nil, Topic{"t", 1})
	m := newMaker("t", 1, 100, time.Now(), 0)
	w.Mark()
	const first, second = time.Hour, time.Hour + time.Minute // after the mark; no real time matters
	w.arrived(m.record(0, 0, time.Now()), w.mark.Add(first))
	w.arrived(m.record(0, 1, time.Now()), w.mark.Add(second))
	if g := w.Gaps()[0]; g.Pause != first || g.New != first {
		t.Errorf("after two arrivals: %+v", g)
	}
	w.Mark()
	if g := w.Gaps()[0]; g.Seen || g.Pause > time.Minute {
		t.Errorf("after a new mark: %+v", g)
	}
}

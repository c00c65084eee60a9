package streams

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/replication/filter"
	"sluice/replication/verify"
	"sluice/test/kafkalab"
	"sluice/test/rig"
)

// TestFiltered: a filter leaves out and changes each record once, whoever owns
// the stream, and what it cannot judge is never passed over in silence.
func TestFiltered(t *testing.T) {
	l := start(t, kafkalab.Config{}, kafkalab.Config{})
	for _, c := range []struct {
		name string
		run  func(*testing.T, *lab)
	}{
		{"handed over while records come", filteredHandovers},
		{"taken over from one that is gone", filteredTakeover},
		{"taken over behind the checkpoint", filteredBehindCheckpoint},
		{"stops at what it cannot judge", filteredStops},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.run(t, l) })
	}
}

// filterOfAll does all that a filter can do.
func filterOfAll() *fsm.Filter {
	return &fsm.Filter{
		Keep: `value.n % 3 != 0 || key == "k0"`, Mask: []string{"name"}, Hash: []string{"id"}, Secret: "${env:SECRET}",
		DropHeaders: []string{"trace"}, RenameHeaders: []fsm.Rename{{From: "src", To: "origin"}},
	}
}

func (l *lab) filtered(t *testing.T, f *fsm.Filter) *stream {
	t.Helper()
	return l.filling(t, fsm.LinkSpec{Filter: f})
}

// object is record i at the source.
func (s *stream) object(i int) *kgo.Record {
	return &kgo.Record{
		Topic: s.topic, Timestamp: s.time, Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, `{"n": %d, "name": "name %d",  "id": "id%d"}`, i, i, i%5),
		Headers: []kgo.RecordHeader{{Key: "src", Value: []byte("a")}, {Key: "trace", Value: []byte("b")}},
	}
}

// objects appends n records in batches of up to ten.
func (s *stream) objects(t *testing.T, n int) {
	t.Helper()
	for n > 0 {
		var list []*kgo.Record
		for range min(n, 10) {
			list = append(list, s.object(s.made))
			s.made++
		}
		n -= len(list)
		if err := s.Source.ProduceSync(context.Background(), list...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// filteredAs checks that the target holds the records of a number that are kept,
// changed as they should be, each once and in order, and nothing else; and that
// comparing both sides says so.
func (s *stream) filteredAs(t *testing.T, r *runner, left ...int) {
	t.Helper()
	s.acked(t, r)
	r.Checkpoint(t, r.Runner)
	out := map[int]bool{}
	for _, i := range left {
		out[i] = true
	}
	var want []string
	for i := range s.made {
		if i%3 == 0 && i > 0 || out[i] {
			continue
		}
		m := hmac.New(sha256.New, []byte(rig.Secret))
		fmt.Fprintf(m, "id%d", i%5)
		want = append(want, fmt.Sprintf(`k%d {"n": %d, "name": "***",  "id": "%s"} [{origin a}]`, i, i, hex.EncodeToString(m.Sum(nil))))
	}
	got := s.Read(t, s.lab.dst.Direct(), s.topic, 0, len(want), 2*time.Minute)
	for i, r := range got {
		var headers []string
		for _, h := range r.Headers {
			headers = append(headers, fmt.Sprintf("{%s %s}", h.Key, h.Value))
		}
		if have := fmt.Sprintf("%s %s %v", r.Key, r.Value, headers); have != want[i] || r.Offset != int64(i) {
			t.Fatalf("offset %d: %s, want %s", r.Offset, have, want[i])
		}
	}
	if end := s.End(t, s.topic, 0); end != int64(len(want)) {
		t.Fatalf("the target ends at %d, want %d", end, len(want))
	}
	s.comparesAs(t, int64(len(want)), int64(s.made-len(want)))
}

// comparesAs compares both sides as an operator would.
func (s *stream) comparesAs(t *testing.T, same, left int64) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	pool, err := kafka.NewPool(kafka.DefaultConfig(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	known := catalog.New(catalog.DefaultConfig(), pool, s.View, quiet)
	defer known.Close()
	cfg := verify.DefaultConfig()
	cfg.Filter = rig.Filter
	jobs, err := verify.New(cfg, known, s)
	if err != nil {
		t.Fatal(err)
	}
	defer jobs.Close()
	job, err := jobs.Start(verify.Request{Link: "l"})
	if err != nil {
		t.Fatal(err)
	}
	<-job.Ended()
	if st := job.Status(); st.Result.Verdict() != verify.Equal || st.Err != "" || st.Result.Counts.Compared != same || st.Result.Counts.Filtered != left {
		t.Errorf("compared: %s %+v, want %d equal and %d left out", st.Result.Verdict(), st, same, left)
	}
}

// filteredHandovers hands the stream over four times while records come.
func filteredHandovers(t *testing.T, l *lab) {
	s := l.filtered(t, filterOfAll())
	r := s.own(t, 1)
	for i := range 4 {
		quit, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-quit:
					return
				default:
				}
				if err := s.Source.ProduceSync(context.Background(), s.object(s.made)).FirstErr(); err != nil {
					t.Error(err)
					return
				}
				s.made++
			}
		}()
		from := r.stream.Measure().Target
		rig.Until(t, 30*time.Second, "it copies", func() bool { return r.stream.Measure().Target > from+20 })
		r.stream.Drain()
		<-r.stream.Done()
		r.Checkpoint(t, r.Runner)
		r = s.own(t, 2+i%2)
		r.goesOn(t)
		close(quit)
		<-done
	}
	s.objects(t, 25)
	s.filteredAs(t, r)
	if m := s.task().Copy.Mapping; m.Phase != fsm.PhaseTranslated {
		t.Errorf("mapping %+v", m)
	}
}

// filteredTakeover: the owner is gone while nothing is under way, and the next one
// goes on where it was.
func filteredTakeover(t *testing.T, l *lab) {
	s := l.filtered(t, filterOfAll())
	r := s.own(t, 1)
	s.objects(t, 40)
	s.acked(t, r)
	if n := r.stream.Measure().Filtered; n == nil || *n != (filter.Counts{Dropped: 13, Changed: 27}) {
		t.Errorf("counted %+v", n)
	}
	r.Checkpoint(t, r.Runner)
	r.Runner.Close()
	s.objects(t, 40)
	r = s.own(t, 2)
	s.filteredAs(t, r)
	if n := r.stream.Measure().Filtered; n == nil || *n != (filter.Counts{Dropped: 13, Changed: 27}) {
		t.Errorf("counted %+v after the takeover", n)
	}
}

// filteredBehindCheckpoint: the owner is gone and had copied more than the facts
// know. The next one goes on where it was: no record is there twice, and none is
// passed over.
func filteredBehindCheckpoint(t *testing.T, l *lab) {
	for name, f := range map[string]*fsm.Filter{"all that it can do": filterOfAll(), "keeps alone": {Keep: filterOfAll().Keep}} {
		t.Run(name, func(t *testing.T) {
			s := l.filtered(t, f)
			r := s.own(t, 1)
			s.objects(t, 40)
			s.acked(t, r)
			r.Checkpoint(t, r.Runner)
			s.objects(t, 25)
			s.acked(t, r)
			r.Runner.Close()
			s.objects(t, 40)
			r = s.own(t, 2)
			s.acked(t, r)
			at := int64(0)
			for i := range s.made {
				if i%3 != 0 || i == 0 {
					at++
				}
			}
			got := s.Read(t, s.lab.dst.Direct(), s.topic, 0, int(at), 2*time.Minute)
			for i, next := 0, 0; i < len(got); i, next = i+1, next+1 {
				if next > 0 && next%3 == 0 {
					next++
				}
				if want := fmt.Sprintf("k%d", next); string(got[i].Key) != want {
					t.Fatalf("offset %d: %s, want %s", i, got[i].Key, want)
				}
			}
			if end := s.End(t, s.topic, 0); end != at {
				t.Errorf("the target ends at %d, want %d", end, at)
			}
		})
	}
}

// filteredStops: a record that is no JSON stops the stream in front of it; an
// operator has it dropped, and then all that are like it.
func filteredStops(t *testing.T, l *lab) {
	s := l.filtered(t, filterOfAll())
	r := s.own(t, 1)
	broken := func() int {
		bad := s.object(s.made)
		bad.Value = []byte("secret words")
		if err := s.Source.ProduceSync(context.Background(), bad).FirstErr(); err != nil {
			t.Fatal(err)
		}
		s.made++
		return s.made - 1
	}
	s.objects(t, 5)
	first := broken()
	s.objects(t, 5)
	r.state(t, fsm.CodeUnparseable)
	stop := s.task().Copy.Stop
	if stop.From != int64(first) || stop.To != int64(first)+1 || stop.Target || stop.Message != "the value is not JSON: no value begins at byte 0" {
		t.Errorf("stop %+v", stop)
	}
	if end := s.End(t, s.topic, 0); end != 4 {
		t.Errorf("the target ends at %d when the stream stops, want 4", end)
	}
	s.Do(t, &fsm.TaskOrder{Link: 1, Topic: s.topic, Order: fsm.OrderContinue, At: time.Now().UnixMilli()})
	s.filteredAs(t, r, first)

	second := broken()
	s.objects(t, 5)
	r.state(t, fsm.CodeUnparseable)
	spec := s.View().Link(1).Spec
	dropping := *spec.Filter
	dropping.OnUnparseable = fsm.UnparseableDrop
	spec.Filter = &dropping
	s.Do(t, &fsm.Objects{Links: []fsm.LinkPut{{Spec: spec}}, At: time.Now().UnixMilli()})
	s.Do(t, &fsm.TaskOrder{Link: 1, Topic: s.topic, Order: fsm.OrderRetry, At: time.Now().UnixMilli()})
	s.filteredAs(t, r, first, second)
	if n := r.stream.Measure().Filtered; n == nil || n.Unparseable != 1 {
		t.Errorf("counted %+v", n)
	}
}

package verify

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/test/oracle"
)

func TestEqualSides(t *testing.T) {
	l := newLab(t, 3, nil)
	for p := range int32(2) { // the third stays empty
		l.put(l.usP, p, 0, 500, nil)
		l.put(l.euP, p, 0, 200, nil)
		l.put(l.euP, p, 200, 500, nil)
	}
	l.mapped(fsm.PhaseDense, fsm.Progress{}, oracle.Segments(0, 0)...)
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 1000})
	l.wantVerdict(s, Equal)
	if s.Records != 1000 || s.Offsets != 1000 || s.Total != 1000 || s.Partitions != 3 || s.Done != 3 || s.Finished.IsZero() {
		t.Errorf("%+v", s)
	}
	want := []Range{{"orders", 0, 0, 500, 500}, {"orders", 1, 0, 500, 500}, {"orders", 2, 0, 0, 0}}
	if all := (Scope{1, 3}); s.Result.Selected != all || s.Result.Covered != all || !reflect.DeepEqual(s.Result.Ranges, want) {
		t.Errorf("%+v", s.Result)
	}
}

func TestShiftedSides(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 100, nil)
	l.put(l.euP, 0, 1000, 1010, nil) // what was there before
	l.put(l.euP, 0, 40, 100, nil)
	l.mapped(fsm.PhaseDense, fsm.Progress{}, oracle.Segments(40, 10)...)
	l.trim(l.us, 0, 40) // as it was when the stream began
	l.wantCounts(l.verify(), Counts{Compared: 60})
}

func TestEveryFieldIsCompared(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 60, nil)
	l.put(l.euP, 0, 0, 60, func(n int, r *kgo.Record) []*kgo.Record {
		switch n {
		case 10:
			r.Key = []byte("other")
		case 15:
			r.Value = append(r.Value, 'x')
		case 21: // null became empty
			r.Value = []byte{}
		case 24:
			r.Headers[0].Value = []byte("other")
		case 27:
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: "more"})
		case 31:
			r.Timestamp = r.Timestamp.Add(time.Millisecond)
		}
		return []*kgo.Record{r}
	})
	l.mapped(fsm.PhaseDense, fsm.Progress{}, oracle.Segments(0, 0)...)
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 54, Differing: 6})
	l.wantVerdict(s, Differs)
	for i, want := range []struct {
		at  int64
		say string
	}{{10, "key"}, {15, "value"}, {21, "value"}, {24, "headers"}, {27, "headers"}, {31, "timestamp (1700000000031 at the source, 1700000000032"}} {
		f := s.Result.Faults[i]
		if f.Kind != Differing || f.Topic != "orders" || f.Source != want.at || f.Target != want.at || !strings.HasPrefix(f.Message, want.say) {
			t.Errorf("fault %+v, want %d %s", f, want.at, want.say)
		}
	}
}

func TestLostAndRepeatedRecords(t *testing.T) {
	l := newLab(t, 2, nil)
	for p := range int32(2) {
		l.put(l.usP, p, 0, 300, nil)
	}
	l.put(l.euP, 0, 0, 300, func(n int, r *kgo.Record) []*kgo.Record {
		if n == 100 {
			return nil
		}
		return []*kgo.Record{r}
	})
	l.put(l.euP, 1, 0, 300, nil)
	l.put(l.euP, 1, 290, 300, nil) // a batch written twice
	l.mapped(fsm.PhaseDense, fsm.Progress{Source: 300, Target: 300}, oracle.Segments(0, 0)...)
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 599, Missing: 1, OffsetMismatch: 199, Extra: 10})
	if f := s.Result.Faults[0]; f.Kind != Missing || f.Partition != 0 || f.Source != 100 {
		t.Errorf("%+v", f)
	}
}

// A tail that is not copied yet is waited for, and is no fault.
func TestTailThatIsNotCopiedYet(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 100, nil)
	l.put(l.euP, 0, 0, 70, nil)
	l.mapped(fsm.PhaseDense, fsm.Progress{Source: 60, Target: 60}, oracle.Segments(0, 0)...)
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 70, Behind: 30})
	l.wantVerdict(s, Incomplete, NotReplicated)

	l.jobs.cfg.Wait = time.Minute
	j, err := l.jobs.Start(Request{Link: "us-eu"})
	if err != nil {
		t.Fatal(err)
	}
	l.put(l.euP, 0, 70, 100, nil)
	<-j.Ended()
	l.wantCounts(j.Status(), Counts{Compared: 100})
}

// A tail that was acknowledged and is gone is a fault.
func TestTailThatTheTargetLost(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 100, nil)
	l.put(l.euP, 0, 0, 70, nil)
	l.mapped(fsm.PhaseDense, fsm.Progress{Source: 90, Target: 90}, oracle.Segments(0, 0)...)
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 70, Missing: 20, Behind: 10})
	l.wantVerdict(s, Differs, NotReplicated)
}

func TestStreamsWithoutMapping(t *testing.T) {
	l := newLab(t, 2, nil)
	l.put(l.usP, 0, 0, 10, nil)
	s := l.verify()
	l.wantCounts(s, Counts{Behind: 10})
	l.wantVerdict(s, Incomplete, NotReplicated)
	l.trim(l.us, 0, 10)
	l.wantCounts(l.verify(), Counts{})
}

// Transactions: aborted records and markers are not at the target.
func TestTransactions(t *testing.T) {
	l := newLab(t, 1, nil)
	txn := l.producer(l.usAddrs, kgo.TransactionalID("x"))
	next := 0
	transaction := func(n int, commit kgo.TransactionEndTry) {
		if err := txn.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		l.put(txn, 0, next, next+n, nil)
		next += n
		if err := txn.EndTransaction(l.ctx, commit); err != nil {
			t.Fatal(err)
		}
	}
	transaction(3, kgo.TryCommit) // 0 1 2, marker 3
	transaction(4, kgo.TryAbort)  // 4 5 6 7, marker 8
	transaction(5, kgo.TryCommit) // 9 to 13, marker 14
	l.put(l.usP, 0, next, next+2, nil)
	l.put(l.euP, 0, 0, 3, nil)
	l.put(l.euP, 0, 7, 14, nil)
	segs := oracle.Segments(0, 0, 9, 3, 15, 8)
	l.mapped(fsm.PhaseTranslated, fsm.Progress{Source: 17, Target: 10}, segs...)
	l.wantCounts(l.verify(), Counts{Compared: 10})

	// What lies beyond the progress is not judged: its segments may come yet.
	l.mapped(fsm.PhaseTranslated, fsm.Progress{Source: 14, Target: 8}, segs[:2]...)
	l.wantCounts(l.verify(), Counts{Compared: 8, Behind: 3})
	// The markers were ignored by the mapping: offsets are not as promised.
	l.mapped(fsm.PhaseTranslated, fsm.Progress{Source: 17, Target: 10}, segs[0])
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 10, OffsetMismatch: 7})
}

func TestCompactedTopic(t *testing.T) {
	l := newLab(t, 1, map[string]string{"cleanup.policy": "compact"})
	even := func(n int, r *kgo.Record) []*kgo.Record {
		if n%2 == 0 {
			return nil
		}
		return []*kgo.Record{r}
	}
	l.put(l.usP, 0, 0, 20, nil)
	l.put(l.euP, 0, 0, 20, even)
	// Offsets tell what belongs together; here the mapping says so.
	var segs []fsm.Segment
	for n := range int64(10) {
		segs = append(segs, fsm.Segment{Source: 2*n + 1, Target: n})
	}
	l.mapped(fsm.PhaseDense, fsm.Progress{}, segs...)
	l.wantCounts(l.verify(), Counts{Compared: 10, Skipped: 10})
}

// Batches of a link that copies the other way are not copied back, and not
// compared.
func TestLoopedBatchesArePassedOver(t *testing.T) {
	l := newLab(t, 1, nil)
	back := fsm.LinkSpec{Name: "eu-us", Source: "eu", Target: "us", Include: []string{"orders"}, State: fsm.StateRunning}
	l.facts.must(t, &fsm.Objects{Links: []fsm.LinkPut{{Spec: back}}})
	looped := l.producer(l.usAddrs)
	l.put(l.usP, 0, 0, 10, nil)
	l.put(looped, 0, 100, 105, nil)
	l.put(l.usP, 0, 10, 20, nil)
	id, _, err := looped.ProducerID(l.ctx)
	if err != nil {
		t.Fatal(err)
	}
	l.facts.must(t, &fsm.LinkProducer{Link: 2, ProducerID: id, Prev: -1})
	l.put(l.euP, 0, 0, 20, nil)
	l.mapped(fsm.PhaseTranslated, fsm.Progress{Source: 25, Target: 20}, oracle.Segments(0, 0, 15, 10)...)
	l.wantCounts(l.verify(), Counts{Compared: 20})
}

func TestJobsAreFoundCancelledAndForgotten(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 10, nil)
	l.mapped(fsm.PhaseDense, fsm.Progress{}, oracle.Segments(0, 0)...)
	l.jobs.cfg.Wait, l.jobs.cfg.Keep = time.Hour, 2
	j, err := l.jobs.Start(Request{Link: "us-eu"})
	if err != nil {
		t.Fatal(err)
	}
	id := j.Status().ID
	again, err := l.jobs.Get(id)
	if err != nil || again != j || again.Status().State != Running {
		t.Fatalf("%v %v", again, err)
	}
	if err := l.jobs.Cancel(id); err != nil {
		t.Fatal(err)
	}
	<-j.Ended()
	if s := j.Status(); s.State != Cancelled || s.Err != "" {
		t.Errorf("%+v", s)
	}
	if _, err := l.jobs.Get("v99"); !errors.Is(err, ErrNoJob) {
		t.Error(err)
	}
	if err := l.jobs.Cancel("v99"); !errors.Is(err, ErrNoJob) {
		t.Error(err)
	}
	if _, err := l.jobs.Start(Request{Link: "other"}); !errors.Is(err, ErrNoLink) {
		t.Error(err)
	}
	if _, err := l.jobs.Start(Request{Link: "us-eu", Topics: []string{"orders", "other"}}); !errors.Is(err, ErrNotSelected) {
		t.Error(err)
	}
	var ids []string
	for range 3 {
		j, err := l.jobs.Start(Request{Link: "us-eu", Topics: []string{"orders"}})
		if err != nil {
			t.Fatal(err)
		}
		l.jobs.Cancel(j.Status().ID)
		<-j.Ended()
	}
	for _, j := range l.jobs.List() {
		ids = append(ids, j.Status().ID)
	}
	if want := []string{"v3", "v4"}; !reflect.DeepEqual(ids, want) {
		t.Errorf("kept %v, want %v", ids, want)
	}
}

// What cannot be read is named; the rest is compared.
func TestUnreadablePartitionIsNamed(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 10, nil)
	l.put(l.euP, 0, 0, 10, nil)
	l.facts.must(t, &fsm.StreamsAdd{Link: 1, Streams: []fsm.StreamKey{{Topic: "gone", TargetTopic: "gone"}}})
	l.mapped(fsm.PhaseDense, fsm.Progress{}, oracle.Segments(0, 0)...)
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 10})
	l.wantVerdict(s, Incomplete, TopicChanged)
	if s.Result.Selected != (Scope{2, 2}) || s.Result.Covered != (Scope{1, 1}) || !strings.Contains(s.Result.LeftOut[0].Message, "gone/0") {
		t.Errorf("%+v", s.Result)
	}
}

func TestRecreatedTopicIsNamed(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 10, nil)
	l.put(l.euP, 0, 0, 10, nil)
	l.facts.must(t, &fsm.Assign{Items: []fsm.Assignment{{Task: 2, To: "n"}}}, &fsm.MappingPut{Task: 2, Turn: 1,
		Mapping: fsm.Mapping{Version: 1, Phase: fsm.PhaseDense, SourceTopicID: fsm.TopicID{1}, Segments: oracle.Segments(0, 0)}})
	s := l.verify()
	l.wantVerdict(s, Incomplete, TopicChanged)
	if !strings.Contains(s.Result.LeftOut[0].Message, errTopicChanged.Error()) {
		t.Errorf("%+v", s.Result)
	}
}

// TestRecreatedTopicThatIsEmptyIsNamed: what the target holds of the topic before is no
// difference.
func TestRecreatedTopicThatIsEmptyIsNamed(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.euP, 0, 0, 10, nil)
	l.facts.must(t, &fsm.Assign{Items: []fsm.Assignment{{Task: 2, To: "n"}}}, &fsm.MappingPut{Task: 2, Turn: 1, Mapping: fsm.Mapping{
		Version: 1, Phase: fsm.PhaseDense, SourceTopicID: fsm.TopicID{1}, Segments: oracle.Segments(0, 0),
	}, Progress: fsm.Progress{Source: 10, Target: 10}})
	s := l.verify()
	l.wantVerdict(s, Incomplete, TopicChanged)
	if s.Result.Counts.Faults() != 0 {
		t.Errorf("%+v", s.Result)
	}
}

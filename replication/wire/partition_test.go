package wire

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/pipe"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
	"sluice/test/oracle"
)

// away is a Kafka cluster that nobody is there of.
type away struct{ Cluster }

// Name implements Cluster.
func (away) Name() string { return "away" }

// memory is a buffer that nobody counts.
type memory struct{}

func (memory) Retain()  {}
func (memory) Release() {}

// joined is a partition of a guarded pipe whose senders do not run, with n
// batches of one record to be sent.
func joined(t *testing.T, c *Conns, topic string, n int64) *Partition {
	t.Helper()
	now := time.Now()
	p := &Partition{
		Ends: Ends{TargetTopic: topic, Meter: unlimited(c)}, conns: c, over: make(chan struct{}), due: make(chan pipe.Verdict, 1),
		fetcher: newFetcher(&c.cfg, away{}, 1, unlimited(c)),
		pipe: pipe.New(pipe.Start{
			Mapping: fsm.Mapping{Phase: fsm.PhaseDense, Segments: []fsm.Segment{{}}}, Position: recovery.Position{LastTime: now.UnixMilli()},
			Expiration: time.Hour.Milliseconds(), Guarded: true, Seen: now,
		}),
	}
	for _, route := range []pipe.Route{pipe.Guarded, pipe.Unguarded} {
		p.senders[route] = newSender(&c.cfg, away{}, 1, route)
	}
	var records []byte
	for o := range n {
		records = append(records, oracle.Source{Base: o, Producer: -1, Entries: []oracle.Entry{{Offset: o, Timestamp: now.UnixMilli(), Value: make([]byte, 100)}}}.Encode(t)...)
	}
	p.change(func(q *pipe.Pipe) { q.Take(&pipe.Arrival{Records: records, Memory: memory{}}, rewrite.NewRebuilder()) })
	return p
}

// TestFetchedErrors: what a source says beside records ends the pipe, with
// what it told of its log.
func TestFetchedErrors(t *testing.T) {
	_, partition := idle()
	for _, c := range []struct {
		name string
		f    kafka.FetchedPartition
		want recovery.Fault
	}{
		{"out of range", kafka.FetchedPartition{ErrorCode: kerr.OffsetOutOfRange.Code, LogStartOffset: 40, Diverging: kafka.EpochEnd{Epoch: -1}},
			recovery.Fault{Kind: recovery.OutOfRange, Code: fsm.CodePositionLost, Source: true, Range: recovery.Range{From: -1, To: 40}}},
		{"not allowed", kafka.FetchedPartition{ErrorCode: kerr.TopicAuthorizationFailed.Code, LogStartOffset: -1, Diverging: kafka.EpochEnd{Epoch: -1}},
			recovery.Fault{Kind: recovery.Retry, Code: fsm.CodeUnauthorized, Source: true, Range: recovery.None()}},
		{"diverged", kafka.FetchedPartition{Diverging: kafka.EpochEnd{Epoch: 3, EndOffset: 17}},
			recovery.Fault{Kind: recovery.Diverged, Code: fsm.CodeSourceTruncated, Source: true, Range: recovery.Range{From: 17, To: -1}, Epoch: 3}},
	} {
		p := partition(0)
		p.fetched(&c.f, nil)
		select {
		case <-p.Over():
		default:
			t.Errorf("%s: the pipe goes on", c.name)
		}
		got := p.pipe.Result().Fault
		if got.Message == "" {
			t.Errorf("%s: no message", c.name)
		}
		if got.Message = ""; got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestLeased: an unguarded request is written only while a leader has confirmed
// each of its partitions at its turn lately.
func TestLeased(t *testing.T) {
	ages := map[fsm.TaskID]time.Duration{1: 0, 2: 3 * time.Second, 3: 3*time.Second + 1}
	c := New(DefaultConfig(), NewBudget(1<<20), func(id fsm.TaskID, turn uint64) (time.Duration, bool) {
		age, ok := ages[id]
		return age, ok && turn == 5
	})
	for _, tc := range []struct {
		tasks []fsm.TaskID
		turn  uint64
		want  bool
	}{
		{[]fsm.TaskID{1, 2}, 5, true},
		{[]fsm.TaskID{1, 3}, 5, false},
		{[]fsm.TaskID{4}, 5, false},
		{[]fsm.TaskID{1}, 4, false},
	} {
		s := newSender(&c.cfg, away{}, 1, pipe.Unguarded)
		var parts []part
		for _, id := range tc.tasks {
			p := &Partition{conns: c, Ends: Ends{Task: id, Turn: tc.turn}}
			s.attach(p, p.leaseHolds)
			parts = append(parts, part{p: p})
		}
		if err := s.leased(parts); (err == nil) != tc.want || err != nil && !errors.Is(err, errNoLease) {
			t.Errorf("tasks %v at turn %d: %v", tc.tasks, tc.turn, err)
		}
		s.detach(parts[0].p)
		if err := s.leased(parts); !errors.Is(err, errNoLease) {
			t.Errorf("tasks %v, one is not attached any more: %v", tc.tasks, err)
		}
	}
}

// TestUnguardedRequests go alone, for a short time, and ask for the lease
// straight before they are written.
func TestUnguardedRequests(t *testing.T) {
	cfg := DefaultConfig()
	asked := 0
	c := New(cfg, NewBudget(1<<20), func(fsm.TaskID, uint64) (time.Duration, bool) { asked++; return 0, false })
	p := joined(t, c, "t", 1)
	parts := []part{{p: p}}
	unguarded, guarded := p.senders[pipe.Unguarded], p.senders[pipe.Guarded]
	unguarded.attach(p, p.leaseHolds)
	if r := unguarded.request(parts); unguarded.depth() != 1 || r.Timeout != cfg.Lifetime || r.BeforeWrite == nil || asked != 0 || r.BeforeWrite() == nil || asked != 1 {
		t.Errorf("unguarded: %d in flight, %+v, asked for a lease %d times", unguarded.depth(), r, asked)
	}
	if r := guarded.request(parts); guarded.depth() != pipe.Window || r.Timeout != cfg.Timeout || r.BeforeWrite != nil {
		t.Errorf("guarded: %d in flight, %+v", guarded.depth(), r)
	}
}

// TestPick fills a request with one batch of each partition. What does not fit
// comes first next time, and a batch larger than a request goes alone.
func TestPick(t *testing.T) {
	cfg := DefaultConfig()
	c := New(cfg, NewBudget(1<<20), func(fsm.TaskID, uint64) (time.Duration, bool) { return 0, true })
	b, a, third := joined(t, c, "b", 2), joined(t, c, "a", 1), joined(t, c, "c", 1)
	size := b.pipe.NextSize()
	s := b.senders[pipe.Guarded]
	for _, p := range []*Partition{a, third} {
		p.senders = b.senders
	}
	s.ready = nil // as send leaves it
	c.cfg.Request = Span{Near: size + 1}
	got := s.pick([]writer{b, a, third})
	if len(got) != 1 || got[0].p != b || len(got[0].Batch) != size {
		t.Fatalf("picked %d", len(got))
	}
	if len(s.ready) != 2 || s.ready[0] != a || s.ready[1] != third {
		t.Errorf("%d wait", len(s.ready))
	}
	c.cfg.Request = Span{Near: 2 * size}
	got = s.pick([]writer{b, third, a})
	if len(got) != 2 || got[0].p != a || got[1].p != third || got[0].Topic != "a" {
		t.Errorf("b has one in flight, and topics stand in order: picked %d", len(got))
	}
	b.answered(&kafka.ProducedPartition{BaseOffset: 0}, nil)
	c.cfg.Request = Span{Near: 1}
	if got = s.pick([]writer{b}); len(got) != 1 || got[0].p != b {
		t.Errorf("a batch larger than the request: picked %d", len(got))
	}
	if st := c.Stats(); st.Records != 1 || st.Batches != 1 || st.Bytes != int64(size) {
		t.Errorf("%+v", st)
	}
}

// TestNewConnections concern only who sends on them: the first batch on one
// goes alone.
func TestNewConnections(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Request = Span{Near: 4 << 10} // in which none of them is small
	c := New(cfg, NewBudget(1<<20), func(fsm.TaskID, uint64) (time.Duration, bool) { return 0, true })
	p := joined(t, c, "t", 20)
	s, other := p.senders[pipe.Guarded], p.senders[pipe.Unguarded]
	flight := func() int {
		n := 0
		for len(s.pick([]writer{p})) > 0 {
			n++
		}
		return n
	}
	if n := flight(); n != 1 {
		t.Fatalf("%d go first", n)
	}
	p.answered(&kafka.ProducedPartition{BaseOffset: 0}, nil)
	p.reconnected(other)
	if n := flight(); n != pipe.Window {
		t.Errorf("%d go after another sender's connection was made", n)
	}
	for base := int64(1); base <= pipe.Window; base++ {
		p.answered(&kafka.ProducedPartition{BaseOffset: base}, nil)
	}
	p.reconnected(s)
	if n := flight(); n != 1 {
		t.Errorf("%d go first on a new connection", n)
	}
}

// TestLookIsAskedForOnce: and nothing is sent until it is answered.
func TestLookIsAskedForOnce(t *testing.T) {
	c := New(DefaultConfig(), NewBudget(1<<20), func(fsm.TaskID, uint64) (time.Duration, bool) { return 0, false })
	p := joined(t, c, "t", 2)
	p.pipe.Looked(time.Now().Add(-time.Hour), nil) // so long ago the target's end was seen
	s := p.senders[pipe.Guarded]
	for range 3 {
		if got := s.pick([]writer{p}); len(got) != 0 {
			t.Fatal("sent without a look")
		}
	}
	select {
	case <-p.Due():
	default:
		t.Fatal("no look is asked for")
	}
	p.Looked(nil)
	if len(s.ready) == 0 {
		t.Fatal("looked, and not on the sender's list")
	}
	if got := s.pick([]writer{p}); len(got) != 1 {
		t.Error("looked, and nothing is sent")
	}
}

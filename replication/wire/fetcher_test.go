package wire

import (
	"testing"
	"testing/synctest"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/pipe"
	"sluice/replication/recovery"
)

// unlimited meters nothing.
func unlimited(c *Conns) Meter {
	return Meter{Limit: NewLimiter(func() float64 { return 0 }), Share: c.Share("target")}
}

// idle is a fetcher without a connection, and partitions for it.
func idle() (*Fetcher, func(n int32) *Partition) {
	c := New(DefaultConfig(), NewBudget(64<<20), nil)
	f := newFetcher(&c.cfg, nil, 1, unlimited(c))
	return f, func(n int32) *Partition {
		return &Partition{Ends: Ends{Topic: "t", Number: n, Meter: unlimited(c)}, conns: c, fetcher: f, over: make(chan struct{}),
			pipe: pipe.New(pipe.Start{Mapping: fsm.Mapping{Segments: []fsm.Segment{{}}}})}
	}
}

// TestForgetsWhatCameAndWent: a partition whose pipe ends, begins anew and ends
// again, all while one fetch is outstanding, must be forgotten: its records
// would be answered at once for ever, and to nobody.
func TestForgetsWhatCameAndWent(t *testing.T) {
	f, partition := idle()
	part := func(n int32) kafka.FetchPartition { return kafka.FetchPartition{Topic: "t", Partition: n} }
	f.attach(partition(0), part(0)) // keeps the fetcher busy
	first := partition(1)
	f.attach(first, part(1))
	if req, ok := f.build(); !ok || len(req.Partitions) != 2 {
		t.Fatalf("the session begins with %+v", req)
	}
	f.detach(first, part(1))
	second := partition(1)
	f.attach(second, part(1))
	f.detach(second, part(1))
	req, ok := f.build()
	if !ok || len(req.Forgotten) != 1 || req.Forgotten[0].Partition != 1 {
		t.Errorf("forgotten: %+v", req)
	}
}

// TestLooksOnceInAWhile: however often it is woken, a fetcher that nobody wants
// data from is looked at again once within askAgain.
func TestLooksOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, partition := idle()
		p := partition(0)
		p.Stop(recovery.Fault{}) // wants nothing
		f.attach(p, kafka.FetchPartition{Topic: "t"})
		for range 300 {
			f.build()
		}
		builds := 0
		for end := time.After(time.Second); ; {
			select {
			case <-f.wake:
				builds++
				f.build()
				continue
			case <-end:
			}
			break
		}
		if most := int(time.Second/askAgain) + 2; builds > most {
			t.Errorf("%d looks in a second, at most %d", builds, most)
		}
	})
}

// TestPartitionsComeTogether: while more are likely to come, a request does not
// keep them waiting; a broker that has many to look at is asked less often.
func TestPartitionsComeTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, partition := idle()
		wait := func() time.Duration {
			req, _ := f.build()
			return req.MaxWait
		}
		come := func(n int32) { f.attach(partition(n), kafka.FetchPartition{Topic: "t", Partition: n}) }
		come(0)
		if got := wait(); got != askAgain {
			t.Errorf("one has come: the next request waits for %v", got)
		}
		time.Sleep(comeTogether)
		if got := wait(); got != f.cfg.MaxWait {
			t.Errorf("nothing has come for a while: the next request waits for %v", got)
		}
		for n := range int32(1000) {
			come(n)
		}
		if got := wait(); got != 100*time.Millisecond {
			t.Errorf("a thousand have come: the next request waits for %v", got)
		}
	})
}

// TestLimitHoldsAll: in debt nothing is asked for, and it is looked again soon.
func TestLimitHoldsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, partition := idle()
		f.limit = NewLimiter(func() float64 { return 1000 })
		p := partition(0)
		p.fetcher = f
		f.attach(p, kafka.FetchPartition{Topic: "t"})
		if _, some := f.build(); !some {
			t.Fatal("nothing was fetched, and nothing is asked for")
		}
		<-f.wake
		f.limit.take(f.broker, 1500, time.Now())
		if _, some := f.build(); some {
			t.Error("in debt, and more is asked for")
		}
		select {
		case <-f.wake:
		case <-time.After(2 * askAgain):
			t.Error("nobody looks again")
		}
		time.Sleep(1500 * time.Millisecond)
		if _, some := f.build(); !some {
			t.Error("the debt is paid, and nothing is asked for")
		}
	})
}

// TestWantsRoom: a partition without room is left out until half of what it
// holds is sent.
func TestWantsRoom(t *testing.T) {
	f, partition := idle()
	p := of(partition(0))
	f.attach(p, wanted(0, 0))
	<-f.wake
	p.coming(pipe.MaxHeld)
	if _, some := f.build(); some {
		t.Error("a full partition is fetched for")
	}
	if !p.paused {
		t.Error("nothing will wake the fetcher when it has room")
	}
}

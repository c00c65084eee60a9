package replication

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"sluice/kafka"
)

// TestLaneForgetsWhatCameAndWent: a partition whose flow ends, begins anew and
// ends again, all while one fetch is outstanding, must be forgotten: its
// records would be answered at once for ever, and to nobody.
func TestLaneForgetsWhatCameAndWent(t *testing.T) {
	r := &Runner{cfg: DefaultConfig(), budget: NewBudget(64 << 20)}
	l := newLane(&site{r: r}, 1)
	newFlow := func() *flow { return &flow{s: &Stream{r: r}, limit: &limiter{asked: time.Now()}, lane: l} }
	part := func(n int32) kafka.FetchPartition { return kafka.FetchPartition{Topic: "t", Partition: n} }
	l.attach(newFlow(), part(0)) // keeps the lane busy
	first := newFlow()
	l.attach(first, part(1))
	if req, ok := l.build(); !ok || len(req.Partitions) != 2 {
		t.Fatalf("the session begins with %+v", req)
	}
	l.detach(first)
	second := newFlow()
	l.attach(second, part(1))
	l.detach(second)
	req, ok := l.build()
	if !ok || len(req.Forgotten) != 1 || req.Forgotten[0].Partition != 1 {
		t.Errorf("forgotten: %+v", req)
	}
}

// TestLaneLooksOnceInAWhile: however often it is woken, a lane that nobody
// wants data from is looked at again once within recheck.
func TestLaneLooksOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Runner{cfg: DefaultConfig(), budget: NewBudget(64 << 20)}
		l := newLane(&site{r: r}, 1)
		f := &flow{s: &Stream{r: r}, limit: &limiter{asked: time.Now()}, lane: l}
		f.ended = true // wants nothing
		l.attach(f, kafka.FetchPartition{Topic: "t"})
		for range 300 {
			l.build()
		}
		builds := 0
		for end := time.After(time.Second); ; {
			select {
			case <-l.wake:
				builds++
				l.build()
				continue
			case <-end:
			}
			break
		}
		if most := int(time.Second/recheck) + 2; builds > most {
			t.Errorf("%d looks in a second, at most %d", builds, most)
		}
	})
}

func TestBudgetLetsALargeAnswerThroughAlone(t *testing.T) {
	b := NewBudget(100)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := b.Reserve(t.Context(), 500); err != nil {
		t.Fatal(err)
	}
	if err := b.Reserve(ctx, 1); err == nil {
		t.Error("more fits beside it")
	}
	b.Release(500)
	if err := b.Reserve(t.Context(), 100); err != nil {
		t.Error(err)
	}
}

package replication

import (
	"testing"
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

package stream_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/replication/filter"
	"sluice/replication/stream"
	"sluice/test/rig"
	"sluice/test/scrape"
)

// TestFilterUnready: a node that cannot read the secret of a filter copies
// nothing of the link and says why, until it can.
func TestFilterUnready(t *testing.T) {
	src, dst := rig.Embedded(t)
	p := rig.NewPair(t, src, dst, fsm.LinkSpec{Filter: &fsm.Filter{Hash: []string{"a"}, Secret: "${env:SECRET}"}}, map[string]int32{"t": 1}, "n1")
	var ready atomic.Bool
	r, _ := p.Runner(t, "n1", func(c *stream.Config) {
		c.Filter = func(spec *fsm.Filter) (*filter.Filter, error) {
			if !ready.Load() {
				return nil, errors.New("no such file")
			}
			return rig.Filter(spec)
		}
	})
	s := p.Own(t, r, "n1")[0]
	produce(t, p, `{"a":1}`)
	rig.Until(t, 30*time.Second, "it says so", func() bool {
		m := s.Measure()
		return m.State == fsm.CodeFilterUnready && m.Message == "no such file"
	})
	if end := p.End(t, "t", 0); end != 0 {
		t.Fatalf("%d records are at the target", end)
	}
	ready.Store(true)
	got := p.Read(t, dst, "t", 0, 1, 30*time.Second)
	if string(got[0].Value) == `{"a":1}` || len(got[0].Value) != len(`{"a":}`)+66 {
		t.Errorf("%s", got[0].Value)
	}
}

// TestFilterCounts: what a filter did is counted by topic, and shown for each
// stream; of a link without one there is no figure. What becomes of records that
// cannot be judged may be changed while the stream runs.
func TestFilterCounts(t *testing.T) {
	src, dst := rig.Embedded(t)
	p := rig.NewPair(t, src, dst, fsm.LinkSpec{Filter: &fsm.Filter{Keep: "value.keep", Mask: []string{"a"}}}, map[string]int32{"t": 1}, "n1")
	r, _ := p.Runner(t, "n1", func(c *stream.Config) { c.LookupEvery = 500 * time.Millisecond })
	s := p.Own(t, r, "n1")[0]
	produce(t, p, `{"keep":true,"a":1}`, `{"keep":false}`, `{"keep":true}`, `{"keep":false}`)
	at := func(source int64) {
		t.Helper()
		rig.Until(t, 30*time.Second, fmt.Sprint("position ", source), func() bool { return s.Measure().Source == source })
	}
	at(4)
	const topic = `link="l",outcome="%s",topic="t"}`
	want := func(dropped, changed, unparseable float64) {
		t.Helper()
		r.Report()
		samples := scrape.Of(t, r.Collector())
		for outcome, n := range map[string]float64{"dropped": dropped, "changed": changed, "unparseable": unparseable} {
			samples.Want(t, scrape.Samples{"sluice_link_filtered_records_total{" + fmt.Sprintf(topic, outcome): n})
		}
	}
	want(2, 1, 0)
	if n := s.Measure().Filtered; n == nil || *n != (filter.Counts{Dropped: 2, Changed: 1}) {
		t.Errorf("%+v", n)
	}
	if got := string(s.Status().Detail); got != `{"filtered":{"dropped":2,"changed":1,"unparseable":0}}` {
		t.Errorf("%s", got)
	}

	spec := p.View().Link(1).Spec
	dropping := *spec.Filter
	dropping.OnUnparseable = fsm.UnparseableDrop
	spec.Filter = &dropping
	p.Do(t, &fsm.Objects{Links: []fsm.LinkPut{{Spec: spec}}, At: 1})
	produce(t, p, `?`)
	rig.Until(t, 30*time.Second, "it is dropped, or stops the stream before the change is seen", func() bool {
		if p.View().Task(s.Task()).Copy.Stop != nil {
			p.Do(t, &fsm.TaskOrder{Link: 1, Topic: "t", Order: fsm.OrderRetry, At: 2})
		}
		return s.Measure().Source == 5
	})
	want(2, 1, 1)

	plain := rig.NewPair(t, src, dst, fsm.LinkSpec{}, map[string]int32{"u": 1}, "n1")
	r, _ = plain.Runner(t, "n1", nil)
	s = plain.Own(t, r, "n1")[0]
	plain.Produce(t, "u", 0, 0, 3)
	at(3)
	scrape.Of(t, r.Collector()).Absent(t, `sluice_link_filtered_records_total{link="l",outcome="dropped",topic="u"}`)
	if s.Measure().Filtered != nil || s.Status().Detail != nil {
		t.Error("a link without a filter has figures of one")
	}
}

// produce appends records with these values to the source of t.
func produce(t *testing.T, p *rig.Pair, values ...string) {
	t.Helper()
	var list []*kgo.Record
	for _, v := range values {
		list = append(list, &kgo.Record{Topic: "t", Value: []byte(v)})
	}
	if err := p.Source.ProduceSync(context.Background(), list...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

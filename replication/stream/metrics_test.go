package stream_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/fsm/reason"
	"sluice/test/rig"
	"sluice/test/scrape"
)

// TestCountsByTopic: what a node copied is counted by topic over all partitions,
// goes on when a stream is run again, and ends with the topic's streams.
func TestCountsByTopic(t *testing.T) {
	src, dst := rig.Embedded(t)
	p := rig.NewPair(t, src, dst, fsm.LinkSpec{}, map[string]int32{"orders": 2, "pay": 1}, "n1")
	r, _ := p.Runner(t, "n1", nil)
	before := time.Now().Unix()
	p.Own(t, r, "n1")
	p.Produce(t, "orders", 0, 0, 10)
	p.Produce(t, "orders", 1, 0, 5)
	const orders, pay = `{link="l",topic="orders"}`, `{link="l",topic="pay"}`
	copied := func(n float64) scrape.Samples {
		t.Helper()
		var s scrape.Samples
		rig.Until(t, 30*time.Second, "the count", func() bool {
			s = scrape.Of(t, r.Collector())
			return s["sluice_link_records_total"+orders] >= n
		})
		return s
	}
	s := copied(15)
	if s["sluice_link_bytes_total"+orders] < 15*10 || s["sluice_link_last_copied_timestamp_seconds"+orders] < float64(before) {
		t.Errorf("%v", s)
	}
	s.Want(t, scrape.Samples{"sluice_link_records_total" + orders: 15, "sluice_link_records_total" + pay: 0})
	s.Absent(t, "sluice_link_last_copied_timestamp_seconds"+pay)
	for _, code := range reason.Stops() {
		s.Want(t, scrape.Samples{`sluice_link_stops_total{code="` + string(code) + `",link="l"}`: 0})
	}

	for _, at := range p.Own(t, r, "n1") { // another turn
		defer at.Drain()
	}
	p.Produce(t, "orders", 0, 10, 20)
	if got := copied(25)["sluice_link_records_total"+orders]; got != 25 {
		t.Errorf("%v records counted, 25 copied", got)
	}

	p.Do(t, &fsm.StreamsEnd{Link: 1, Topics: []string{"orders"}, Reason: "no longer selected"})
	scrape.Of(t, r.Collector()).Absent(t, "sluice_link_records_total"+orders, "sluice_link_last_copied_timestamp_seconds"+orders)
}

// TestStopsAreCounted: once each, by their code.
func TestStopsAreCounted(t *testing.T) {
	src, dst := rig.Embedded(t)
	p := rig.NewPair(t, src, dst, fsm.LinkSpec{Writers: fsm.WritersOurs}, map[string]int32{"orders": 1}, "n1")
	if err := p.Target.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("a stranger")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	r, _ := p.Runner(t, "n1", nil)
	p.Own(t, r, "n1")
	var s scrape.Samples
	rig.Until(t, 30*time.Second, "the stop", func() bool {
		s = scrape.Of(t, r.Collector())
		return s[`sluice_link_stops_total{code="not-empty",link="l"}`] > 0
	})
	sum := 0.0
	for _, code := range reason.Stops() {
		sum += s[`sluice_link_stops_total{code="`+string(code)+`",link="l"}`]
	}
	if sum != 1 {
		t.Errorf("%v stops are counted, there is one", sum)
	}
}

// TestAStopWithoutAnAnswerIsCounted: what counts is what the facts say, be it
// that the stop came there after its stream had given up and tried again.
func TestAStopWithoutAnAnswerIsCounted(t *testing.T) {
	src, dst := rig.Embedded(t)
	p := rig.NewPair(t, src, dst, fsm.LinkSpec{Writers: fsm.WritersOurs}, map[string]int32{"orders": 1}, "n1")
	if err := p.Target.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("a stranger")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	stops := make(chan *fsm.TaskStop, 1000)
	var late atomic.Pointer[fsm.TaskStop]
	p.Before(func(c fsm.Command) error {
		if c, ok := c.(*fsm.TaskStop); ok && c != late.Load() {
			stops <- c
			return errors.New("no answer in time")
		}
		return nil
	})
	r, _ := p.Runner(t, "n1", nil)
	p.Own(t, r, "n1")
	first := <-stops
	<-stops // it tries again
	const code = `sluice_link_stops_total{code="not-empty",link="l"}`
	scrape.Of(t, r.Collector()).Want(t, scrape.Samples{code: 0})
	late.Store(first)
	p.Do(t, first)
	rig.Until(t, 30*time.Second, "the stop", func() bool { return scrape.Of(t, r.Collector())[code] > 0 })
	scrape.Of(t, r.Collector()).Want(t, scrape.Samples{code: 1})
}

package bench

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/test/claim"
	"sluice/test/kafkalab"
	"sluice/test/load"
	"sluice/test/rig"
	"sluice/test/system"
)

// TestPaceBesideBase: what a user waits for is no longer than with the commit
// SLUICE_BASE: the first record of a new link, and each one at 1,000 records/s;
// and what that steady flow costs. Both copy the same records at the same time,
// each into a topic of its own: whatever else the machine does slows both.
func TestPaceBesideBase(t *testing.T) {
	kafkalab.Require(t)
	both := programs(t)
	src, dst := kafkalab.StartPair(t, quick, quick)
	topic := load.Topic{Name: "steady", Partitions: 8}
	if err := src.CreateTopic(t.Context(), kafkalab.Topic{Name: topic.Name, Partitions: topic.Partitions}); err != nil {
		t.Fatal(err)
	}
	producer, err := load.NewProducer(load.Config{Client: system.Opts(t, src), Topics: []load.Topic{topic}, Rate: 1000, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	produced := make(chan error, 1)
	go func() { produced <- producer.Run(ctx) }()
	s := &series{}
	for round := range pairsOf(5, 9) + 1 {
		into := s
		if round == 0 {
			into = &series{} // brokers get quicker
		}
		race(t, src, dst, topic, both, round%2, into)
	}
	s.judge(t)
	stop()
	if err := <-produced; err != nil {
		t.Fatal(err)
	}
}

// runner is one program that keeps up with a steady flow.
type runner struct {
	nodes *system.Nodes
	copy  load.Topic // at the target
	watch *load.Watcher
	first time.Duration // from apply to the first record
	used  kafkalab.ProcessUsage
}

// race has both programs copy at the same time, the one that begins first.
func race(t *testing.T, src, dst *kafkalab.Cluster, topic load.Topic, both [2]program, begins int, into *series) {
	t.Helper()
	var rs [2]*runner
	for i, p := range both {
		rs[i] = &runner{
			nodes: system.Start(t, system.Options{Nodes: 1, Memory: "256MiB", Binary: p.binary}),
			copy:  load.Topic{Name: fmt.Sprintf("%s-%d", topic.Name, i), Partitions: topic.Partitions},
		}
		rs[i].watch = load.NewWatcher(system.Opts(t, dst), rs[i].copy)
	}
	defer forget(t, dst, rs[0].copy, rs[1].copy)
	for _, r := range rs {
		r.nodes.Ready()
		defer r.nodes.List()[0].Kill()
		defer watchUntilEnd(t, r.watch)()
	}
	for i := range 2 {
		rs[(begins+i)%2].begin(t, src, dst, topic, fmt.Sprintf("link-%d", (begins+i)%2))
	}
	system.Settle(t, 3*time.Second)
	for _, r := range rs {
		r.watch.ResetLatency()
		r.used = usage(t, r.nodes.List()[0].PID())
	}
	minutes := 6.0 / 60
	if claim.Full() {
		minutes = 20.0 / 60
	}
	system.Settle(t, time.Duration(minutes*float64(time.Minute)))
	for i, r := range rs {
		r.used = usage(t, r.nodes.List()[0].PID()).Sub(r.used)
		l := r.watch.Latency()
		t.Logf("%-8s first record after %v, p50 %v p99 %v of %d records", both[i].name, r.first.Round(time.Millisecond), l.P50, l.P99, l.Records)
		into.add(i, "first record after apply, ms", ms(r.first))
		into.add(i, "latency p50, ms", ms(l.P50))
		into.add(i, "latency p90, ms", ms(l.P90))
		into.add(i, "latency p99, ms", ms(l.P99))
		into.add(i, "CPU-s a minute", r.used.CPU().Seconds()/minutes)
		into.note(i, "user CPU-s a minute", r.used.User.Seconds()/minutes)
		into.add(i, "RSS MB", float64(r.used.RSS)/(1<<20))
	}
}

// begin makes the link and waits for its first record.
func (r *runner) begin(t *testing.T, src, dst *kafkalab.Cluster, topic load.Topic, link string) {
	t.Helper()
	yaml := system.LinkYAML(src, dst, fmt.Sprintf("  topics: {include: [%q]}\n  rename: %q\n  start: latest\n", topic.Name, r.copy.Name))
	began := time.Now()
	r.nodes.Apply(strings.Replace(yaml, "us-eu", link, 1))
	rig.Until(t, time.Minute, "the first record is copied", func() bool { return r.watch.Latency().Records > 0 })
	r.first = time.Since(began)
}

// watchUntilEnd runs a watcher until the function that it returns is called.
func watchUntilEnd(t *testing.T, w *load.Watcher) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() { cancel(); <-done }
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

package streams

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/test/claim"
	"sluice/test/kafkalab"
	"sluice/test/rig"
)

// TestCompacted: a topic whose cleaners are at work on both sides all the time is
// copied through the deaths of its owners: the latest value of each key is the
// same, and who reads the target sees no record after a later one of its key.
func TestCompacted(t *testing.T) {
	cleaner := kafkalab.Config{Overrides: map[string]string{"log.cleaner.backoff.ms": "100"}}
	l := start(t, cleaner, cleaner)
	for _, c := range []struct {
		name           string
		tombstones     string // delete.retention.ms of the target; who reads a source too late misses deletions
		source, target bool   // whether the cleaner is at work there
	}{
		{"cleaned at both sides", "86400000", true, true},
		{"cleaned at both sides, tombstones too", "0", true, true},
		{"cleaned at the source", "0", true, false},
		{"cleaned at the target", "0", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := l.compacting(t, c.tombstones, c.source, c.target)
			s.takenOver(t)
		})
	}
}

// compacting is a stream of a compacted topic.
func (l *lab) compacting(t *testing.T, tombstones string, source, target bool) *stream {
	t.Helper()
	name := newTopic()
	for c, cleaned := range map[*kafkalab.Cluster]bool{l.src: source, l.dst: target} {
		configs := map[string]string{"cleanup.policy": "compact", "delete.retention.ms": "86400000"}
		if c == l.dst {
			configs["delete.retention.ms"] = tombstones
		}
		if cleaned {
			maps.Copy(configs, map[string]string{"segment.ms": "300", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "500"})
		}
		if err := c.CreateTopic(t.Context(), kafkalab.Topic{Name: name, Partitions: 1, Configs: configs}); err != nil {
			t.Fatal(err)
		}
	}
	return l.linked(t, name, fsm.LinkSpec{})
}

// keys is how many keys a compacted topic has.
const keys = 60

// takenOver kills the owner again and again while records come.
func (s *stream) takenOver(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var run sync.WaitGroup
	defer run.Wait()
	defer stop()
	seen := &reader{last: map[string]int{}}
	run.Go(func() { seen.read(ctx, t, s) })
	run.Go(func() { s.overwrite(ctx, t) })
	rig.Wait(t, "a source that is worth copying", func() error {
		if end := s.sourceEnd(t); end < 1000 {
			return fmt.Errorf("at %d", end)
		}
		return nil
	})
	r := s.own(t, 1)
	rnd := rand.New(rand.NewPCG(uint64(len(s.topic)), 3))
	for round := range claim.Rounds(6, 20) {
		at := r.stream.Measure().Source
		rig.Wait(t, "it goes on", func() error {
			if m := r.stream.Measure(); m.Source < at+int64(200+rnd.IntN(400)) {
				return fmt.Errorf("at %d of %d, %s: %s; %+v", m.Source, at, m.State, m.Message, s.task().Copy.Stop)
			}
			return nil
		})
		if rnd.IntN(3) > 0 {
			r.Checkpoint(t, r.Runner)
			idle(ctx, time.Duration(rnd.IntN(1000))*time.Millisecond)
		}
		r.Close()
		r = s.own(t, 1+(round+1)%3)
	}
	stop()
	run.Wait()
	rig.Wait(t, "all is copied", func() error {
		if m := r.stream.Measure(); m.Source != s.sourceEnd(t) {
			return fmt.Errorf("at %d, %s: %s", m.Source, m.State, m.Message)
		}
		return nil
	})
	from, to := s.latest(t, s.lab.src), s.latest(t, s.lab.dst)
	for key, want := range from {
		if got := to[key]; got != want {
			t.Errorf("%s: %q at the target, %q at the source", key, got, want)
		}
	}
	for key, got := range to {
		if _, ok := from[key]; !ok && got != "" {
			t.Errorf("%s: %q at the target, nothing at the source", key, got)
		}
	}
	m := s.task().Copy.Mapping
	t.Logf("%d records written, %d read; %s, %d segments, producer epoch %d, %d times records of deleted keys again",
		s.sourceEnd(t), seen.n, m.Phase, len(m.Segments), m.ProducerEpoch, len(s.Events(fsm.CodeDeletedAgain)))
}

// overwrite writes records of few keys, each with a number of its own, and some
// tombstones, until ctx ends.
func (s *stream) overwrite(ctx context.Context, t *testing.T) {
	rnd := rand.New(rand.NewPCG(uint64(len(s.topic)), 9))
	for n := 1; ctx.Err() == nil; {
		var list []*kgo.Record
		for range 1 + rnd.IntN(20) {
			r := &kgo.Record{Topic: s.topic, Key: fmt.Appendf(nil, "k%d", rnd.IntN(keys)), Headers: []kgo.RecordHeader{{Key: "n", Value: []byte(strconv.Itoa(n))}}}
			if rnd.IntN(8) > 0 {
				r.Value = fmt.Append(nil, n)
			}
			list, n = append(list, r), n+1
		}
		if err := s.Source.ProduceSync(context.WithoutCancel(ctx), list...).FirstErr(); err != nil {
			t.Error(err)
			return
		}
		idle(ctx, time.Duration(rnd.IntN(40))*time.Millisecond)
	}
}

// idle lets d pass, so that faults and cleaners come at any time.
func idle(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// reader reads the target as an application does.
type reader struct {
	n    int
	last map[string]int // number of the last record, by key
}

func (r *reader) read(ctx context.Context, t *testing.T, s *stream) {
	cl, err := s.lab.dst.DirectClient(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Error(err)
		return
	}
	defer cl.Close()
	for {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			n, _ := strconv.Atoi(string(rec.Headers[0].Value))
			if last := r.last[string(rec.Key)]; n <= last {
				t.Errorf("record %d of %s at offset %d comes after record %d", n, rec.Key, rec.Offset, last)
			}
			r.last[string(rec.Key)] = n
			r.n++
		})
	}
}

// latest is the value of each key, deleted ones left out.
func (s *stream) latest(t *testing.T, c *kafkalab.Cluster) map[string]string {
	t.Helper()
	cl, err := c.DirectClient(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	end := rig.EndOf(t, cl, s.topic, 0)
	out := map[string]string{}
	for at := int64(0); at < end; {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		fetches := cl.PollFetches(ctx)
		cancel()
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			if out[string(rec.Key)] = string(rec.Value); rec.Value == nil {
				delete(out, string(rec.Key))
			}
			at = rec.Offset + 1
		})
	}
	return out
}

package syncreal

import (
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/replication/rewrite"
	"sluice/replication/verify"
)

// quickCleaner has a cleaner at work soon, also at tombstones.
var quickCleaner = map[string]string{"cleanup.policy": "compact", "segment.ms": "200", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "1000", "delete.retention.ms": "0"}

// stale makes a round of records, half of which make as many of the round before
// it stale. By their timestamps they begin a new segment.
func stale(topic string, began time.Time, round int) (records []*kgo.Record) {
	for n := range 40 {
		r := numbered(topic, round*40+n)
		r.Timestamp = began.Add(time.Duration(round) * time.Second)
		if r.Key = fmt.Append(nil, "shared", n); n%2 == 0 {
			r.Key = fmt.Append(nil, "round", round, "-", n)
		}
		records = append(records, r)
	}
	return records
}

func (l *lab) compacted() {
	meta := l.metadata(l.usC, "compacted")
	conn, err := l.usC.Dial(l.ctx, meta.Partitions[0].Leader)
	if err != nil {
		l.Fatal(err)
	}
	defer conn.Close()
	began, round := time.Now().Add(-time.Hour), 0
	l.until("batches with gaps", func() bool {
		l.produce(l.usP, stale("compacted", began, round)...)
		round++
		return l.gaps(conn, meta) >= 3
	})
	c := l.copyByHand("compacted", 0, 100)
	if c.opened[rewrite.ReasonGaps] == 0 || len(c.segments) < 3 {
		l.Errorf("opened %v, %d segments", c.opened, len(c.segments))
	}
	s := l.equal("compacted", c)
	l.Logf("compacted: opened %v, %d segments, %+v", c.opened, len(c.segments), s.Result.Counts)
	if s.Result.Counts.Compared == 0 {
		l.Errorf("%+v", s.Result.Counts)
	}
}

// cleaned: cleaners of both sides have been at a topic, each at its own pace, and
// make no difference. What is gone at the target without cause does.
func (l *lab) cleaned() {
	began := time.Now().Add(-time.Hour)
	for round := range 3 {
		l.produce(l.usP, stale("cleaned", began, round)...)
	}
	l.mapped("cleaned", l.copyByHand("cleaned", 0, 100))
	s := l.streams("cleaned")[0]
	next := *s.Copy.Mapping
	next.Version, next.Phase = next.Version+1, fsm.PhaseTranslated // what others write behind it is none of the stream's
	l.propose(&fsm.MappingPut{Task: s.ID, Turn: s.Turn, Mapping: next, Progress: s.Copy.Progress})
	round := 3
	l.until("cleaned records", func() bool {
		l.produce(l.usP, stale("cleaned", began, round)...) // not copied: it is why the source removes what was
		round++
		s := l.verify("cleaned")
		if s.Result.Counts.Faults() != 0 || s.Result.Counts.Undecided != 0 {
			l.Fatalf("%+v\n%+v", s.Result.Counts, s.Result.Faults)
		}
		return s.Result.Counts.Compacted >= 20 // the shared keys of a round at least
	})
	// Somebody deletes a key at the target, whose cleaner removes the tombstone too.
	at := began.Add(time.Minute)
	write := func(key string, value []byte) {
		at = at.Add(time.Second)
		l.produce(l.euP, &kgo.Record{Topic: "cleaned", Key: []byte(key), Value: value, Timestamp: at})
	}
	write("round2-4", nil)
	l.until("the loss", func() bool {
		write("filler", []byte("x"))
		s := l.verify("cleaned")
		n := s.Result.Counts
		if n.Faults() != n.Missing || n.Missing > 1 || n.Undecided != 0 {
			l.Fatalf("%+v\n%+v", n, s.Result.Faults)
		}
		if n.Missing == 0 {
			return false
		}
		if f := s.Result.Faults[0]; s.Result.Verdict() != verify.Differs || f.Source != 84 || !strings.Contains(f.Message, "no later record of its key") {
			l.Errorf("%+v", f)
		}
		return true
	})
}

// gaps counts the batches that lack records.
func (l *lab) gaps(conn *kafka.Conn, t kafka.TopicMetadata) (n int) {
	l.Helper()
	resp := l.fetch(conn, t.Name, t.ID, 0)
	defer resp.Buf.Release()
	var p kafka.FetchedPartition
	if more, err := resp.Next(&p); err != nil || !more {
		l.Fatal(more, err)
	}
	for rest := p.Records; ; {
		b, next, err := record.NextBatch(rest)
		if err != nil || b == nil {
			return n
		}
		if h := b.Header(); !h.Dense() {
			n++
		}
		rest = next
	}
}

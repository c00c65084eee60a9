package syncreal

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/replication/rewrite"
	"sluice/replication/verify"
	"sluice/test/load"
)

// copied is what a copy by hand went through.
type copied struct {
	cursor   rewrite.Cursor
	segments []fsm.Segment
	opened   map[rewrite.Reason]int
	codecs   map[record.Attributes]int
	aborted  int
	markers  int
}

// copyByHand copies partition 0 of a topic, batch by batch, from the source
// offset from on: closed where it can, rebuilt where it must, then at most
// most records at a time.
func (l *lab) copyByHand(topic string, from int64, most int) copied {
	l.Helper()
	source, target := l.metadata(l.usC, topic), l.metadata(l.euC, topic)
	in, err := l.usC.Dial(l.ctx, source.Partitions[0].Leader)
	if err != nil {
		l.Fatal(err)
	}
	defer in.Close()
	out, err := l.euC.Dial(l.ctx, target.Partitions[0].Leader)
	if err != nil {
		l.Fatal(err)
	}
	defer out.Close()
	id, epoch, err := out.Broker().InitProducerID(l.ctx)
	if err != nil {
		l.Fatal(err)
	}
	end, err := in.Broker().ListOffsets(l.ctx, kafka.ReadCommitted, []kafka.OffsetQuery{{Topic: topic, LeaderEpoch: -1, Timestamp: kafka.Latest}})
	if err != nil || end[0].Err != nil {
		l.Fatal(err, end)
	}
	c := copied{
		cursor: rewrite.Cursor{Source: from, Shift: -from}, segments: []fsm.Segment{{Source: from, Target: 0}},
		opened: map[rewrite.Reason]int{}, codecs: map[record.Attributes]int{},
	}
	send := func(b record.Batch) {
		base := c.cursor.Target - int64(b.Count())
		record.Rewrite(b, id, epoch, int32(base))
		if got := l.send(out, topic, target.ID, b); got != base {
			l.Fatalf("written at %d, expected at %d", got, base)
		}
	}
	slow := rewrite.NewRebuilder()
	for c.cursor.Source < end[0].Offset {
		resp := l.fetch(in, topic, source.ID, c.cursor.Source)
		var p kafka.FetchedPartition
		if more, err := resp.Next(&p); err != nil || !more || p.ErrorCode != 0 {
			l.Fatal(more, err, kerr.ErrorForCode(p.ErrorCode))
		}
		aborted := record.NewAborted(p.Aborted)
		for rest := p.Records; ; {
			var b record.Batch
			if b, rest, err = record.NextBatch(rest); err != nil {
				l.Fatal(err)
			}
			if b == nil {
				break
			}
			if err := c.take(slow, aborted, b, most, send); err != nil {
				l.Fatal(err)
			}
		}
		resp.Buf.Release()
	}
	return c
}

// take copies one batch.
func (c *copied) take(slow *rewrite.Rebuilder, aborted *record.Aborted, b record.Batch, most int, send func(record.Batch)) error {
	h := b.Header()
	c.codecs[h.Attributes&record.AttrCodecMask]++
	skip, err := aborted.Skip(slow.Codec, b)
	if err != nil {
		return err
	}
	class, reason := rewrite.Classify(&h, c.cursor.Source)
	switch {
	case class == rewrite.Control:
		c.markers++
		c.cursor.Skip(&h)
		return nil
	case skip:
		c.aborted++
		c.cursor.Skip(&h)
		return nil
	case class == rewrite.Closed:
		if seg, changed := c.cursor.Pass(&h); changed {
			c.segments = append(c.segments, seg)
		}
		send(b)
		return nil
	}
	c.opened[reason]++
	for done := 0; done == 0; {
		r, err := slow.Rebuild(rewrite.Job{Batches: []record.Batch{b}, Cursor: c.cursor, MaxRecords: most}, nil)
		if err != nil {
			return err
		}
		c.cursor, done = r.Cursor, r.Done
		c.segments = append(c.segments, r.Segments...)
		if r.Batch != nil {
			send(r.Batch)
		}
	}
	return nil
}

func (l *lab) fetch(conn *kafka.Conn, topic string, id [16]byte, at int64) kafka.FetchResponse {
	l.Helper()
	type answer struct {
		kafka.FetchResponse
		err error
	}
	got := make(chan answer, 1)
	req := kafka.FetchRequest{MaxWait: time.Second, MinBytes: 1, MaxBytes: 1 << 20, SessionEpoch: -1, Isolation: kafka.ReadCommitted,
		Partitions: []kafka.FetchPartition{{Topic: topic, TopicID: id, Offset: at, LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: 1 << 20}}}
	if err := conn.Fetch(&req, func(r kafka.FetchResponse, err error) { got <- answer{r, err} }); err != nil {
		l.Fatal(err)
	}
	a := <-got
	if a.err != nil || a.Err != nil {
		l.Fatal(a.err, a.Err)
	}
	return a.FetchResponse
}

func (l *lab) send(conn *kafka.Conn, topic string, id [16]byte, b record.Batch) (base int64) {
	l.Helper()
	got := make(chan error, 1)
	req := kafka.ProduceRequest{Timeout: 10 * time.Second, Partitions: []kafka.ProducePartition{{Topic: topic, TopicID: id, Batch: b}}}
	err := conn.Produce(&req, func(r kafka.ProduceResponse, err error) {
		if err == nil {
			base = r.Partitions[0].BaseOffset
			err = kerr.ErrorForCode(r.Partitions[0].ErrorCode)
		}
		got <- err
	})
	if err == nil {
		err = <-got
	}
	if err != nil {
		l.Fatalf("producing %d records: %v", b.Count(), err)
	}
	return base
}

// equal maps the topic's stream as it was copied and compares both sides.
func (l *lab) equal(topic string, c copied) verify.Status {
	l.Helper()
	l.mapped(topic, c)
	s := l.verify(topic)
	want := verify.Equal
	if begun := c.segments[0].Source; begun > 0 { // the source has records before
		want = verify.Incomplete
		if s.Result.Counts.Skipped != begun {
			l.Errorf("%s: %+v", topic, s.Result.Counts)
		}
	}
	if s.Result.Verdict() != want {
		l.Errorf("%s: %+v\n%+v\n%+v", topic, s.Result.Counts, s.Result.Faults, s.Result.LeftOut)
	}
	return s
}

// mapped gives the topic's stream the mapping and progress of a copy.
func (l *lab) mapped(topic string, c copied) {
	l.Helper()
	l.until("the stream of "+topic, func() bool { return len(l.streams(topic)) == 1 })
	task := l.streams(topic)[0]
	l.propose(&fsm.Assign{Items: []fsm.Assignment{{Task: task.ID, Turn: task.Turn, To: "n"}}})
	phase := fsm.PhaseDense
	if len(c.segments) > 1 {
		phase = fsm.PhaseTranslated
	}
	l.propose(&fsm.MappingPut{Task: task.ID, Turn: task.Turn + 1,
		Mapping:  fsm.Mapping{Version: 1, Phase: phase, Segments: c.segments, SourceTopicID: l.metadata(l.usC, topic).ID, TargetTopicID: l.metadata(l.euC, topic).ID},
		Progress: fsm.Progress{Source: c.cursor.Source, Target: c.cursor.Target}})
}

// verify compares topics of both sides.
func (l *lab) verify(topics ...string) verify.Status {
	l.Helper()
	cfg := verify.DefaultConfig()
	cfg.Wait = time.Second
	jobs, err := verify.New(cfg, l.catalog, l.ctl)
	if err != nil {
		l.Fatal(err)
	}
	defer jobs.Close()
	j, err := jobs.Start(verify.Request{Link: "us-eu", Topics: topics})
	if err != nil {
		l.Fatal(err)
	}
	<-j.Ended()
	s := j.Status()
	if s.State != verify.Done {
		l.Fatalf("%v: %s %s", topics, s.State, s.Err)
	}
	return s
}

// verdicts: records that the target alone lost, by brokers' own answers about
// settings and sizes, and a topic that the link refuses.
func (l *lab) verdicts() {
	want := map[string]verify.Counts{
		"verdict-kept":   {Compared: 200, Missing: 100, TargetGone: 100},
		"verdict-capped": {Compared: 200, Trimmed: 100}, // the target holds as much as the source promises
	}
	for topic, counts := range want {
		l.produce(l.usP, recordsOf(topic, 0, 300)...)
		l.until("streams", func() bool { return len(l.streams(topic)) == 1 })
		c := l.copyByHand(topic, 0, 100)
		if s := l.equal(topic, c); s.Result.Counts.Compared != 300 {
			l.Errorf("%s: %+v", topic, s.Result.Counts)
		}
		if err := load.DeleteRecords(l.ctx, []kgo.Opt{kgo.SeedBrokers(l.eu.Bootstrap...)}, topic, 0, 100); err != nil {
			l.Fatal(err)
		}
		if s := l.verify(topic); s.Result.Counts != counts || (s.Result.Verdict() == verify.Equal) != (counts.Missing == 0) {
			l.Errorf("%s: %+v\n%+v", topic, s.Result.Counts, s.Result.LeftOut)
		}
	}
	s := l.verify("verdict-narrow")
	if s.Result.Verdict() != verify.Incomplete || s.Result.Selected != (verify.Scope{Topics: 1, Partitions: 2}) || s.Result.Covered.Partitions != 0 {
		l.Errorf("narrow: %+v", s.Result)
	}
}

func numbered(topic string, n int) *kgo.Record {
	r := &kgo.Record{Topic: topic, Key: fmt.Append(nil, "key", n%50), Value: fmt.Append(nil, strings.Repeat("some text ", n%30), n),
		Timestamp: time.Now().Add(-time.Hour).Add(time.Duration(n) * time.Millisecond)}
	if n%4 == 0 {
		r.Headers = []kgo.RecordHeader{{Key: "h", Value: fmt.Append(nil, n)}, {Key: "null"}}
	}
	return r
}

func recordsOf(topic string, from, to int) []*kgo.Record {
	var out []*kgo.Record
	for n := from; n < to; n++ {
		out = append(out, numbered(topic, n))
	}
	return out
}

// rebuiltBatches: batches that Java's codecs have compressed (the broker does, where topic and
// producer differ), resumed inside, cut, stamped by the broker, from
// transactions, and compacted ones: what is written must be what was read.
func rebuiltBatches(l *lab) {
	t := l.T
	codecs := []string{"uncompressed", "gzip", "snappy", "lz4", "zstd"}
	for _, codec := range codecs {
		l.create(l.usC, "plain-"+codec, 1, map[string]string{"compression.type": codec})
		l.create(l.usC, "stamped-"+codec, 1, map[string]string{"compression.type": codec, "message.timestamp.type": "LogAppendTime"})
	}
	l.create(l.usC, "txn", 1, nil)
	l.create(l.usC, "compacted", 1, map[string]string{"cleanup.policy": "compact", "segment.ms": "200", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "1000"})
	// Compacting the copy too would leave little to compare.
	l.create(l.euC, "compacted", 1, nil)
	l.create(l.usC, "cleaned", 1, quickCleaner)
	l.create(l.euC, "cleaned", 1, quickCleaner)
	l.create(l.usC, "verdict-kept", 1, map[string]string{"retention.ms": "-1"})
	l.create(l.usC, "verdict-capped", 1, map[string]string{"retention.ms": "-1", "retention.bytes": "1000"})
	l.create(l.usC, "verdict-narrow", 2, nil)
	l.create(l.euC, "verdict-narrow", 3, nil)
	l.link(spec("plain-*", "stamped-*", "txn", "compacted", "cleaned", "verdict-kept", "verdict-capped", "verdict-narrow"))

	for i, codec := range codecs {
		for _, topic := range []string{"plain-" + codec, "stamped-" + codec} {
			l.produce(l.usP, recordsOf(topic, 0, 300)...)
			l.produce(l.usP, recordsOf(topic, 300, 320)...)
			l.until("streams", func() bool { return len(l.streams(topic)) == 1 })
			c := l.copyByHand(topic, 7, 100)
			if c.codecs[record.Attributes(i)] == 0 || len(c.codecs) != 1 {
				t.Errorf("%s: codecs %v", topic, c.codecs)
			}
			want := rewrite.ReasonResume
			if strings.HasPrefix(topic, "stamped") {
				want = rewrite.ReasonLogAppendTime
			}
			if c.opened[want] == 0 || len(c.segments) != 1 {
				t.Errorf("%s: opened %v, segments %v", topic, c.opened, c.segments)
			}
			if s := l.equal(topic, c); s.Result.Counts.Compared != 313 {
				t.Errorf("%s: %+v", topic, s.Result.Counts)
			}
		}
	}
	t.Run("transactions", func(t *testing.T) { l.within(t).transactions() })
	t.Run("verdicts", func(t *testing.T) { l.within(t).verdicts() })
	t.Run("compacted", func(t *testing.T) { l.within(t).compacted() })
	t.Run("cleaned at both sides", func(t *testing.T) { l.within(t).cleaned() })
}

func (l *lab) transactions() {
	txn := l.producer(l.us, kgo.TransactionalID("x"))
	for i, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
		if err := txn.BeginTransaction(); err != nil {
			l.Fatal(err)
		}
		l.produce(txn, recordsOf("txn", i*10, i*10+10)...)
		if err := txn.EndTransaction(l.ctx, end); err != nil {
			l.Fatal(err)
		}
	}
	l.produce(l.usP, recordsOf("txn", 50, 55)...)
	c := l.copyByHand("txn", 0, 100)
	if c.markers != 5 || c.aborted == 0 || len(c.segments) != 4 {
		l.Errorf("%+v", c)
	}
	if s := l.equal("txn", c); s.Result.Counts.Compared != 35 {
		l.Errorf("%+v", s.Result.Counts)
	}
}

package stream_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/test/oracle"
	"sluice/test/rig"
)

// serve has a source answer fetches of orders/0 with batches of a log that ends
// at end, a few at a time. What begins nowhere in it is the cluster's own matter.
func serve(src *kfake.Cluster, end int64, log []byte) {
	id := src.TopicInfo("orders").TopicID
	src.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		src.KeepControl()
		for _, topic := range req.(*kmsg.FetchRequest).Topics {
			if topic.Topic != "orders" && topic.TopicID != id || len(topic.Partitions) == 0 {
				continue
			}
			if records := from(log, topic.Partitions[0].FetchOffset); len(records) > 0 {
				return fetched(src, req, end, records), nil, true
			}
		}
		return nil, nil, false
	})
}

// from is what a broker answers from an offset on: whole batches, and part of
// another. What cannot be walked over it sends as it lies.
func from(log []byte, offset int64) []byte {
	for rest := log; len(rest) > 0; {
		b, next, err := record.NextBatch(rest)
		if err != nil || b == nil || b.LastOffset() >= offset || b.BaseOffset() < 0 {
			return bytes.Clone(rest[:min(len(rest), 3*len(b)+100_000)])
		}
		rest = next
	}
	return nil
}

// numbered are records as rig.Pair produces them, with timestamps of a kind.
func numbered(from, to int64, at func(offset int64) int64) []oracle.Entry {
	var out []oracle.Entry
	for i := from; i < to; i++ {
		out = append(out, oracle.Entry{Offset: i, Timestamp: at(i), Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "value %d", i)})
	}
	return out
}

// TestCopiesOldFormats: a source serves messages of formats 0 and 1, plain and in
// wrappers of every codec, and batches behind them. All of them stand at the
// target as what they are, and owners that follow each other in the middle of
// them go on there.
func TestCopiesOldFormats(t *testing.T) {
	src := rig.Kfake(t, "source", 1)
	_, dst := rig.Embedded(t)
	p := rig.NewPair(t, src.ListenAddrs(), dst, fsm.LinkSpec{}, map[string]int32{"orders": 1}, "n1", "n2")
	var log []byte
	var want []oracle.Entry
	add := func(s oracle.Old) {
		log, want = append(log, s.Encode(t)...), append(want, s.Read()...)
	}
	next := func() int64 { return int64(len(want)) }
	second := time.Now().UnixMilli()
	for round := range int64(3) {
		for codec := record.CodecNone; codec <= record.CodecLZ4; codec++ {
			stamp := func(i int64) int64 { return second + i }
			add(oracle.Old{Magic: 0, Codec: codec, Java: round > 0, Entries: numbered(next(), next()+20, stamp)})
			add(oracle.Old{Magic: 1, Codec: codec, Java: true, Entries: numbered(next(), next()+20, stamp)})
			add(oracle.Old{Magic: 1, Codec: codec, AppendTime: second, Entries: numbered(next(), next()+20, stamp)})
		}
	}
	batch := oracle.Source{Base: next(), Producer: -1, Entries: numbered(next(), next()+10, func(int64) int64 { return second })}
	log, want = append(log, batch.Encode(t)...), append(want, batch.Entries...)
	p.Produce(t, "orders", 0, 0, len(want)) // as many as its log tells of
	serve(src, next(), log)

	for i := range 4 {
		name := fmt.Sprintf("n%d", 1+i%2)
		r, n := p.Runner(t, name, nil)
		p.Own(t, r, name)
		some := int64(len(want)) * int64(i+1) / 5
		rig.Until(t, 30*time.Second, "some of it is copied", func() bool { return p.End(t, "orders", 0) > some })
		if i < 3 {
			n.Cut(true)
			r.Close()
		}
	}
	p.Copied(t, "orders", 0, len(want), 0)
	for i, r := range p.Read(t, dst, "orders", 0, len(want), time.Minute) {
		if r.Timestamp.UnixMilli() != want[i].Timestamp || !bytes.Equal(r.Key, want[i].Key) {
			t.Errorf("record %d has key %q and timestamp %d, want %q and %d", i, r.Key, r.Timestamp.UnixMilli(), want[i].Key, want[i].Timestamp)
		}
	}
	if st := first(p).Copy; st.Stop != nil || st.Mapping.Phase != fsm.PhaseDense {
		t.Errorf("%+v", st)
	}
}

// TestCopiesCompactedOldFormats: gaps between messages, and inside wrappers, are
// as they are between and inside batches.
func TestCopiesCompactedOldFormats(t *testing.T) {
	src := rig.Kfake(t, "source", 1)
	_, dst := rig.Embedded(t)
	p := rig.NewPair(t, src.ListenAddrs(), dst, fsm.LinkSpec{}, map[string]int32{"orders": 1}, "n1", "n2")
	now := time.Now().UnixMilli()
	entries := func(offsets ...int64) (out []oracle.Entry) {
		for _, o := range offsets {
			out = append(out, numbered(o, o+1, func(int64) int64 { return now })...)
		}
		return out
	}
	log := slices.Concat(
		oracle.Old{Magic: 1, Entries: entries(0, 1, 5, 6)}.Encode(t),
		oracle.Old{Magic: 1, Codec: record.CodecGzip, Base: 7, Entries: entries(9, 12)}.Encode(t),
		oracle.Old{Magic: 0, Codec: record.CodecSnappy, Java: true, Entries: entries(13, 20)}.Encode(t),
		oracle.Source{Base: 21, Producer: -1, Entries: entries(21, 22)}.Encode(t),
	)
	p.Produce(t, "orders", 0, 0, 23)
	serve(src, 23, log)
	r, _ := p.Runner(t, "n1", nil)
	p.Own(t, r, "n1")
	rig.Until(t, 30*time.Second, "half of it is copied", func() bool { return p.End(t, "orders", 0) > 4 })
	r.Close()
	r, n := p.Runner(t, "n2", nil)
	p.Own(t, r, "n2")
	got := p.Read(t, dst, "orders", 0, 10, time.Minute)
	for i, source := range []int{0, 1, 5, 6, 9, 12, 13, 20, 21, 22} {
		if want := fmt.Sprintf("value %d", source); string(got[i].Value) != want || got[i].Offset != int64(i) {
			t.Errorf("%q at %d, want %q at %d", got[i].Value, got[i].Offset, want, i)
		}
	}
	rig.Until(t, 30*time.Second, "it is checkpointed", func() bool { n.Checkpoint(t, r); return first(p).Copy.Progress.Source == 23 })
	if evs := p.Events(fsm.CodeTranslated); len(evs) != 1 || evs[0].From != 2 || evs[0].To != 5 {
		t.Errorf("events %+v", evs)
	}
}

package stream_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/replication/stream"
	"sluice/test/rig"
)

// TestLeavesOutWhatCameFromTheTarget: records that a link from the target wrote
// into the source are not copied back, nor are those of such a link that is
// applied while the stream runs.
func TestLeavesOutWhatCameFromTheTarget(t *testing.T) {
	src, dst := rig.Kfake(t, "source", 1), rig.Kfake(t, "target", 1)
	reads := counted(dst, kmsg.OffsetForLeaderEpoch)
	p := rig.NewPair(t, src.ListenAddrs(), dst.ListenAddrs(), fsm.LinkSpec{Copies: fsm.CopiesSkipFromTarget}, map[string]int32{"orders": 1}, "n1")
	back := func(name string, producer int64) {
		t.Helper()
		p.Do(t, &fsm.Objects{Links: []fsm.LinkPut{{Spec: fsm.LinkSpec{Name: name, Source: "eu", Target: "us"}}}})
		p.Do(t, &fsm.LinkProducer{Link: p.View().LinkNamed(name).ID, ProducerID: producer, Prev: -1})
	}
	write := func(by *kgo.Client, values ...string) {
		t.Helper()
		for _, v := range values {
			if err := by.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte(v)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	writer := func() (*kgo.Client, int64) {
		t.Helper()
		cl, err := kgo.NewClient(kgo.SeedBrokers(src.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		id, _, err := cl.ProducerID(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return cl, id
	}
	first, id := writer()
	second, later := writer()
	back("back", id)
	write(p.Source, "0")
	write(first, "copied back")
	write(p.Source, "1")
	r, _ := p.Runner(t, "n1", func(c *stream.Config) { c.LookupEvery = 20 * time.Millisecond })
	s := p.Own(t, r, "n1")[0]
	rig.Until(t, 30*time.Second, "two records", func() bool { return p.End(t, "orders", 0) >= 2 && s.Measure().LagRecords == 0 })

	before := reads.Load()
	back("back again", later)
	rig.Until(t, 30*time.Second, "the position is derived anew", func() bool { return reads.Load() > before && s.Measure().LagRecords == 0 })
	write(second, "copied back later")
	write(p.Source, "2")
	got := p.Read(t, dst.ListenAddrs(), "orders", 0, 3, time.Minute)
	for i, r := range got {
		if want := string('0' + rune(i)); string(r.Value) != want {
			t.Errorf("record %d is %q, want %q", i, r.Value, want)
		}
	}
}

// TestDerivesAnewUnderANewLeader: a stream at rest finds out that its target has
// another leader, which may have lost what the one before acknowledged.
func TestDerivesAnewUnderANewLeader(t *testing.T) {
	_, src := rig.Embedded(t)
	dst := rig.Kfake(t, "target", 2)
	reads := counted(dst, kmsg.OffsetForLeaderEpoch)
	p := rig.NewPair(t, src, dst.ListenAddrs(), fsm.LinkSpec{}, map[string]int32{"orders": 1}, "n1")
	r, _ := p.Runner(t, "n1", func(c *stream.Config) { c.LookupEvery = 20 * time.Millisecond })
	s := p.Own(t, r, "n1")[0]
	p.Produce(t, "orders", 0, 0, 5)
	p.Copied(t, "orders", 0, 5, 0)
	rig.Until(t, 30*time.Second, "all is copied", func() bool { return s.Measure().Target == 5 })
	before := reads.Load()
	if err := dst.MoveTopicPartition("orders", 0, 1-dst.LeaderFor("orders", 0)); err != nil {
		t.Fatal(err)
	}
	rig.Until(t, 30*time.Second, "the position is derived anew", func() bool { return reads.Load() > before })
	p.Produce(t, "orders", 0, 5, 10)
	p.Copied(t, "orders", 0, 10, 0)
}

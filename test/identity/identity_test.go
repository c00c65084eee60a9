package identity

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/replication/stream"
	"sluice/replication/verify"
	"sluice/test/faults"
	"sluice/test/kafkalab"
	"sluice/test/rig"
)

// timeout is for hangs.
const timeout = 2 * time.Minute

// lab is three clusters of one old broker each (3.9.1 produces by topic name,
// so that no topic id gives a stranger away). The last two are reached by one
// address, which leads to the second.
type lab struct {
	ap, us, eu *kafkalab.Cluster
	wire       *faults.Wire
}

func start(t *testing.T) *lab {
	t.Helper()
	l := &lab{}
	var err error
	if l.wire, err = faults.OpenWire(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.wire.Close)
	behind := kafkalab.Config{Version: kafkalab.V3, AdvertisedVia: func(int, string) string { return l.wire.Addr() }}
	all := kafkalab.StartAll(t, kafkalab.Config{Version: kafkalab.V3}, behind, behind)
	l.ap, l.us, l.eu = all[0], all[1], all[2]
	l.wire.Point(l.us.Real()[0])
	return l
}

func TestKafkaClustersAreKnownByTheirIDs(t *testing.T) {
	l := start(t)
	t.Run("the address of another cluster", l.addressOfAnother)
	t.Run("a deleted link from elsewhere", l.deletedLink)
}

// pin makes the facts hold the ids of the Kafka clusters.
func pin(t *testing.T, p *rig.Pair, ids map[string]string) {
	t.Helper()
	p.Do(t, &fsm.FeatureRaise{Level: fsm.FeatureLevel})
	for name, id := range ids {
		p.Do(t, &fsm.KafkaPin{Name: name, ClusterID: id})
	}
}

// addressOfAnother lets the target's address become another cluster's in one
// instant, where a topic of that name ends at the same offset.
func (l *lab) addressOfAnother(t *testing.T) {
	const topic = "flipped"
	p := rig.NewPair(t, l.ap.Bootstrap(), []string{l.wire.Addr()}, fsm.LinkSpec{}, map[string]int32{topic: 1}, "n1")
	pin(t, p, map[string]string{"us": l.ap.ID(), "eu": l.us.ID()})
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	stranger := direct(t, l.eu)
	if err := l.eu.CreateTopic(ctx, kafkalab.Topic{Name: topic, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := stranger.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "stranger %d", i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	r, _ := p.Runner(t, "n1", func(c *stream.Config) { c.LookupEvery = 500 * time.Millisecond })
	s := p.Own(t, r, "n1")[0]
	p.Produce(t, topic, 0, 0, 5)
	copied := func(n int64) { rig.Until(t, timeout, "copied", func() bool { return s.Measure().Target == n }) }
	copied(5)

	l.wire.Point(l.eu.Real()[0])
	p.Produce(t, topic, 0, 5, 9)
	rig.Until(t, timeout, "told that the address is another cluster's", func() bool {
		m := s.Measure()
		return m.State == fsm.CodeWrongCluster && strings.Contains(m.Message, l.us.ID()) && strings.Contains(m.Message, l.eu.ID())
	})
	if m := s.Measure(); m.Target != 5 {
		t.Errorf("%d records are counted as copied, 5 are", m.Target)
	}
	l.wire.Point(l.us.Real()[0])
	copied(9)
	p.Copied(t, topic, 0, 9, 0)
	l.wire.Point(l.eu.Real()[0])
	got := p.Read(t, []string{l.wire.Addr()}, topic, 0, 5, timeout)
	for _, rec := range got {
		if !strings.HasPrefix(string(rec.Value), "stranger") {
			t.Errorf("the other cluster holds %q", rec.Value)
		}
	}
	l.wire.Point(l.us.Real()[0])
	for task := range p.View().Tasks {
		if task.Kind == fsm.KindCopy && task.Copy.Stop != nil {
			t.Errorf("stopped: %+v", task.Copy.Stop)
		}
	}
}

// deletedLink copies on what a link that is deleted by now has brought: from a
// third cluster, so it is no loop.
func (l *lab) deletedLink(t *testing.T) {
	const topic, records = "onward", 10
	p := rig.NewPair(t, l.eu.Direct(), l.ap.Bootstrap(), fsm.LinkSpec{}, map[string]int32{topic: 1}, "n1", "n2")
	pin(t, p, map[string]string{"us": l.eu.ID(), "eu": l.ap.ID()})
	r, _ := p.Runner(t, "n1", nil)
	first := p.Own(t, r, "n1")[0]
	p.Produce(t, topic, 0, 0, records)
	rig.Until(t, timeout, "copied", func() bool { return first.Measure().Target == records })
	first.Drain()
	<-first.Done()
	p.Do(t, &fsm.Objects{DeleteLinks: []string{"l"}})
	p.Do(t, &fsm.LinkPurge{Link: 1})
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := l.us.CreateTopic(ctx, kafkalab.Topic{Name: topic, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	p.Do(t, &fsm.Objects{
		Kafka: []fsm.KafkaCluster{{Name: "third", Bootstrap: []string{l.wire.Addr()}, ClusterID: l.us.ID()}},
		Links: []fsm.LinkPut{{Spec: fsm.LinkSpec{Name: "m", Source: "eu", Target: "third", Offsets: fsm.OffsetsAuto, Copies: fsm.CopiesSkipFromTarget}}},
	})
	p.Do(t, &fsm.StreamsAdd{Link: 2, Streams: []fsm.StreamKey{{Topic: topic, TargetTopic: topic}}})
	second := p.Own(t, r, "n1")[0]
	rig.Until(t, timeout, "copied onward", func() bool { return second.Measure().Source == records })
	if m := second.Measure(); m.Target != records {
		t.Errorf("the target ends at %d, want %d", m.Target, records)
	}
	l.agrees(t, p, records)
}

// agrees compares both sides of the link m as an operator would.
func (l *lab) agrees(t *testing.T, p *rig.Pair, records int64) {
	t.Helper()
	pool, err := kafka.NewPool(kafka.DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	known := catalog.New(catalog.DefaultConfig(), pool, p.View, slog.New(slog.DiscardHandler))
	defer known.Close()
	jobs, err := verify.New(verify.DefaultConfig(), known, p)
	if err != nil {
		t.Fatal(err)
	}
	defer jobs.Close()
	job, err := jobs.Start(verify.Request{Link: "m"})
	if err != nil {
		t.Fatal(err)
	}
	rig.Until(t, timeout, "compared", func() bool { return !job.Status().Finished.IsZero() })
	if s := job.Status(); s.Result.Verdict() != verify.Equal || s.Err != "" || s.Result.Counts.Compared != records {
		t.Errorf("compared: %+v", s)
	}
}

// direct reaches a cluster past the wire.
func direct(t *testing.T, c *kafkalab.Cluster) *kgo.Client {
	t.Helper()
	cl, err := c.DirectClient()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

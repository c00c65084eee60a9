package streams

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/wire"
	"sluice/test/claim"
	"sluice/test/kafkalab"
	"sluice/test/rig"
)

// TestHead: a source that has lost its head is copied at the same offsets, and
// nothing of what took the head's offsets at the target is left.
func TestHead(t *testing.T) {
	l := start(t, kafkalab.Config{}, kafkalab.Config{})
	for _, c := range []struct {
		name string
		run  func(*testing.T, *lab)
	}{
		{"owners killed", headOwnersKilled},
		{"the source goes on", headGoesOn},
		{"a compacted target", headOfCompacted},
		{"ready within four minutes", headOfABillion},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.run(t, l) })
	}
}

// beginningAt is a stream whose source begins at an offset.
func (l *lab) beginningAt(t *testing.T, first int64, target map[string]string) *stream {
	t.Helper()
	topic := newTopic()
	if err := l.dst.CreateTopic(t.Context(), kafkalab.Topic{Name: topic, Partitions: 1, Configs: target}); err != nil {
		t.Fatal(err)
	}
	s := l.linked(t, topic, fsm.LinkSpec{Offsets: fsm.OffsetsIdentical})
	s.emptyTo(t, first)
	trim(t, l.src, s.topic, first)
	return s
}

// emptyTo appends empty records to the source up to an offset.
func (s *stream) emptyTo(t *testing.T, to int64) {
	t.Helper()
	pool, err := kafka.NewPool(kafka.DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	cl, err := pool.Client(t.Context(), fsm.KafkaCluster{Name: "us", Bootstrap: s.lab.src.Bootstrap()})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := cl.Dial(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conns := wire.New(wire.DefaultConfig(), wire.NewBudget(64<<20), func(fsm.TaskID, uint64) (time.Duration, bool) { return 0, true })
	defer conns.Close()
	producer, _, err := conn.Broker().InitProducerID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = conns.FillHead(t.Context(), conn, wire.Head{
		Partition: kafka.ProducePartition{Topic: s.topic}, ProducerID: producer, Stamp: time.Now().Add(-threeDays).UnixMilli(), Target: s.sourceEnd(t), To: to, Told: func(int64) {},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// begins waits until the target's log begins at an offset, which it does not
// before all that filled it is gone.
func (s *stream) begins(t *testing.T, at int64, r *runner) {
	t.Helper()
	rig.Wait(t, fmt.Sprint("the target begins at ", at), func() error {
		var first int64
		err := s.lab.dst.Admin(func(adm *kadm.Client) error {
			all, err := adm.ListStartOffsets(context.Background(), s.topic)
			if err == nil {
				err = all.Error()
			}
			o, _ := all.Lookup(s.topic, 0)
			first = o.Offset
			return err
		})
		if m := r.stream.Measure(); err == nil && first != at {
			err = fmt.Errorf("it begins at %d and ends at %d; %s: %s", first, s.End(t, s.topic, 0), m.State, m.Message)
		}
		return err
	})
}

func headOwnersKilled(t *testing.T, l *lab) {
	const first = 12_000_000
	s := l.beginningAt(t, first, nil)
	s.produce(t, 3)
	r, seen := s.own(t, 1), 0
	for round := range claim.Rounds(4, 20) {
		at := s.End(t, s.topic, 0)
		rig.Wait(t, "it goes on", func() error {
			m := r.stream.Measure()
			if m.State == fsm.CodeFilling {
				seen++
			}
			if end := s.End(t, s.topic, 0); end <= at && end < first {
				return fmt.Errorf("at %d, %s: %s", end, m.State, m.Message)
			}
			return nil
		})
		if round%3 == 2 {
			r.stream.Drain()
			<-r.stream.Done()
		}
		r.Close()
		r = s.own(t, 1+(round+1)%3)
	}
	s.begins(t, first, r)
	s.produce(t, 4)
	s.copiedAt(t, first)
	if seen == 0 {
		t.Error("it was never seen filling")
	}
	if m := s.task().Copy.Mapping; m.Phase != fsm.PhaseDense || len(m.Segments) != 1 || m.Segments[0] != (fsm.Segment{Source: first, Target: first}) {
		t.Errorf("mapping %+v", m)
	}
	if n := len(s.Events(fsm.CodeHeadFilled)); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// headGoesOn: the source loses more while its head is filled.
func headGoesOn(t *testing.T, l *lab) {
	s := l.beginningAt(t, 6_000_000, nil)
	r := s.own(t, 1)
	r.state(t, fsm.CodeFilling)
	s.emptyTo(t, 9_000_000)
	trim(t, l.src, s.topic, 9_000_000)
	s.produce(t, 3)
	s.begins(t, 9_000_000, r)
	s.copiedAt(t, 9_000_000)
}

// headOfCompacted: a compacted topic takes no record without a key.
func headOfCompacted(t *testing.T, l *lab) {
	s := l.beginningAt(t, 1_000_000, map[string]string{"cleanup.policy": "compact"})
	s.produce(t, 3)
	s.own(t, 1)
	rig.Wait(t, "it says why it cannot", func() error {
		if stop := s.task().Copy.Stop; stop == nil || stop.Code != fsm.CodeIdentityLost {
			return fmt.Errorf("%+v", stop)
		}
		return nil
	})
	t.Log(s.task().Copy.Stop.Message)
}

// headOfABillion is the longest that there is to wait for.
func headOfABillion(t *testing.T, l *lab) {
	claim.NeedsLong(t)
	first := int64(claim.Rounds(20_000_000, 1_000_000_000))
	s := l.beginningAt(t, first, nil)
	s.produce(t, 3)
	began := time.Now()
	r := s.own(t, 1)
	s.begins(t, first, r)
	took := time.Since(began)
	s.copiedAt(t, first)
	if t.Logf("%d offsets in %v", first, took); took > 4*time.Minute {
		t.Errorf("%v", took)
	}
}

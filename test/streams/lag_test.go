package streams

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/test/kafkalab"
	"sluice/test/rig"
)

// nothingBehind waits until the runner's stream says that nothing is behind.
func (r *runner) nothingBehind(t *testing.T) {
	t.Helper()
	rig.Wait(t, "idle, lag 0", func() error {
		if m := r.stream.Measure(); m.State != fsm.CodeIdle || m.LagRecords != 0 || m.LagMs != 0 {
			return fmt.Errorf("%s: %s, lag %d records, %d ms", m.State, m.Message, m.LagRecords, m.LagMs)
		}
		return nil
	})
}

// lagAnew: a stream at rest is paused and resumed on the same node, whose fetch
// session to the source goes on for another one. The broker tells nothing of a
// partition that has not changed; the lag is known again all the same.
func lagAnew(t *testing.T, l *lab) {
	s := l.stream(t)
	r := s.own(t, 1)
	s.warm(t, r)
	r.nothingBehind(t)
	for range 3 {
		r.stream.Drain()
		r.over(t)
		if m := r.stream.Measure(); m.LagRecords != -1 || m.LagMs != -1 {
			t.Errorf("a stream that has ended: lag of %d records, %d ms", m.LagRecords, m.LagMs)
		}
		r.stream = s.Own(t, r.Runner, r.name)[0]
		r.nothingBehind(t)
	}
}

// quota lets clients of a name move so many bytes a second; 0: as many as they
// want.
func quota(t *testing.T, c *kafkalab.Cluster, client, kind string, bytes float64) {
	t.Helper()
	entry := kadm.AlterClientQuotaEntry{
		Entity: kadm.ClientQuotaEntity{{Type: "client-id", Name: &client}},
		Ops:    []kadm.AlterClientQuotaOp{{Key: kind, Value: bytes, Remove: bytes == 0}},
	}
	err := c.Admin(func(adm *kadm.Client) error {
		as, err := adm.AlterClientQuotas(context.Background(), []kadm.AlterClientQuotaEntry{entry})
		if err == nil {
			err = as[0].Err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// underQuota: a broker of either side slows the stream down. It says so while
// records wait, and does not call itself idle.
func underQuota(t *testing.T, l *lab) {
	for _, c := range []struct {
		kind, says string
		side       *kafkalab.Cluster
	}{
		{"consumer_byte_rate", "of Kafka cluster us slows down what is read", l.src},
		{"producer_byte_rate", "of Kafka cluster eu slows down what is written", l.dst},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			s := l.stream(t)
			r := s.own(t, 1)
			s.warm(t, r)
			quota(t, c.side, r.name, c.kind, 20_000)
			for range 40 {
				big := &kgo.Record{Topic: s.topic, Timestamp: s.time, Value: make([]byte, 20_000)}
				_, _ = rand.Read(big.Value) // nothing makes it smaller
				if err := s.Source.ProduceSync(context.Background(), big).FirstErr(); err != nil {
					t.Fatal(err)
				}
				s.made++
			}
			rig.Wait(t, "it says that it is slowed down", func() error {
				m := r.stream.Measure()
				if m.Source < int64(s.made) && m.State == fsm.CodeIdle {
					t.Fatalf("idle at %d of %d, lag %d", m.Source, s.made, m.LagRecords)
				}
				if m.State != fsm.CodeQuotaThrottled || !strings.Contains(m.Message, c.says) || m.LagRecords == 0 {
					return fmt.Errorf("%s at %d of %d: %s, lag %d", m.State, m.Source, s.made, m.Message, m.LagRecords)
				}
				return nil
			})
			quota(t, c.side, r.name, c.kind, 0)
			s.acked(t, r)
			r.nothingBehind(t)
		})
	}
}

// strangeTimes: records whose timestamps are in seconds, of tomorrow or none.
// How far behind in time the stream is cannot be told from them.
func strangeTimes(t *testing.T, l *lab) {
	s := l.stream(t)
	s.keep(t)
	r := s.own(t, 1)
	for _, at := range []time.Time{time.UnixMilli(time.Now().Unix()), time.UnixMilli(-1), time.Now().Add(30 * time.Minute)} {
		s.time = at
		before := s.made
		stop := s.load(t, 2*time.Millisecond)
		seen := 0
		rig.Wait(t, "a hundred looks", func() error {
			m := r.stream.Measure()
			if seen++; m.LagRecords > 0 && m.Source > int64(before) && m.LagMs > 60_000 {
				t.Errorf("timestamp %v: behind by %v", at, time.Duration(m.LagMs)*time.Millisecond)
			}
			if m.Source < int64(before)+50 {
				return fmt.Errorf("at %d", m.Source)
			}
			return nil
		})
		stop()
		s.acked(t, r)
	}
	s.copied(t)
}

// keep keeps both topics' records however old: brokers would remove those of
// 1970 when they look at their age next.
func (s *stream) keep(t *testing.T) {
	t.Helper()
	for _, c := range []*kgo.Client{s.Source, s.Target} {
		rs, err := kadm.NewClient(c).AlterTopicConfigs(context.Background(), []kadm.AlterConfig{{Name: "retention.ms", Value: new("-1")}}, s.topic)
		if err == nil {
			_, err = rs.On(s.topic, func(r *kadm.AlterConfigsResponse) error { return r.Err })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

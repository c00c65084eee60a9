package system

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/api"
	"sluice/test/claim"
	"sluice/test/kafkalab"
)

// TestTransactions: a topic that overlapping transactions write to, three in ten
// of which are aborted, has the same committed records at the same offsets at the
// target, through deaths of owners and of the target's brokers.
func TestTransactions(t *testing.T) {
	claim.NeedsLong(t)
	brokers := claim.Rounds(1, 3)
	w := NewWorld(t, WorldConfig{
		Partitions: 4, Rate: 100, Link: fmt.Sprintf("  targetTopics: {replicationFactor: %d}\n", brokers),
		Target: kafkalab.Config{Brokers: brokers, Overrides: map[string]string{"broker.session.timeout.ms": "2000"}},
	})
	if err := w.Src.CreateTopic(t.Context(), kafkalab.Topic{Name: "payments", Partitions: 8}); err != nil {
		t.Fatal(err)
	}
	w.Scenario("owner killed", func(t *testing.T) {
		w.transacted(t, func() {
			for round := range claim.Rounds(3, 20) {
				victim := w.List()[round%3]
				w.Spread()
				t.Logf("killed %s: longest gap %v", victim.Name, w.After(victim.Kill)[0].New)
				victim.Start()
				w.Moving()
			}
		})
	})
	if brokers == 1 {
		return
	}
	w.Scenario("target broker killed", func(t *testing.T) {
		w.transacted(t, func() {
			for round := range 20 {
				i := round % brokers
				if err := w.Dst.KillBroker(i); err != nil {
					t.Fatal(err)
				}
				w.Moving()
				if err := w.Dst.StartBroker(t.Context(), i); err != nil {
					t.Fatal(err)
				}
				w.Moving()
			}
		})
	})
}

// transacted has five transactional writers at the topic payments while f runs.
// In the end it is the same at both sides, and verify says so.
func (w *World) transacted(t *testing.T, f func()) {
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	failed := make(chan error, 5)
	for i := range 5 {
		writers.Go(func() {
			if err := w.transact(ctx, i); err != nil && ctx.Err() == nil {
				failed <- err
			}
		})
	}
	f()
	stop()
	writers.Wait()
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	Same(t, w.Src, w.Dst, "payments")
	w.sameEnds(t, "payments")
	w.verified(t, "payments")
}

// transact writes transactions of some records to all partitions until ctx ends,
// about forty records/s.
func (w *World) transact(ctx context.Context, i int) error {
	random := rand.New(rand.NewPCG(uint64(i), 7))
	cl, err := kgo.NewClient(append(Opts(w.t, w.Src), kgo.TransactionalID(fmt.Sprintf("payments-%d", i)), kgo.DefaultProduceTopic("payments"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	for n := 0; ctx.Err() == nil; n++ {
		if err := cl.BeginTransaction(); err != nil {
			return err
		}
		for k := range 1 + random.IntN(8) {
			r := &kgo.Record{Partition: int32(random.IntN(8)), Value: fmt.Appendf(nil, "%d %d %d", i, n, k)}
			if err := cl.ProduceSync(context.WithoutCancel(ctx), r).FirstErr(); err != nil {
				return err
			}
			Settle(w.t, time.Duration(random.IntN(40))*time.Millisecond) // others write between
		}
		end := kgo.TryCommit
		if random.IntN(10) < 3 {
			end = kgo.TryAbort
		}
		if err := cl.EndTransaction(context.WithoutCancel(ctx), end); err != nil {
			return err
		}
	}
	return nil
}

// sameEnds waits until the logs of both sides end at the same offsets: behind the
// last marker too.
func (w *World) sameEnds(t *testing.T, topic string) {
	t.Helper()
	until(t, "both logs end at the same offsets", func() error {
		from, err := ends(w.Src, topic)
		if err != nil {
			return err
		}
		to, err := ends(w.Dst, topic)
		if err == nil && from != to {
			err = fmt.Errorf("%s and %s", from, to)
		}
		return err
	})
}

// ends are where the logs of a topic's partitions end.
func ends(c *kafkalab.Cluster, topic string) (out string, err error) {
	err = c.Admin(func(adm *kadm.Client) error {
		all, err := adm.ListEndOffsets(context.Background(), topic)
		if err == nil {
			err = all.Error()
		}
		for p := range int32(len(all[topic])) {
			out += fmt.Sprint(all[topic][p].Offset, " ")
		}
		return err
	})
	return out, err
}

// verified has the topic compared by Sluice itself.
func (w *World) verified(t *testing.T, topic string) {
	t.Helper()
	c := w.alive().Client()
	got, err := c.StartVerify(t.Context(), api.VerifyRequest{Link: "us-eu", Topics: []string{topic}})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "verify is done", func() error {
		got, err = c.Verify(t.Context(), got.Job.ID)
		if err == nil && got.Job.Finished == nil {
			err = fmt.Errorf("%s", got.Job.State)
		}
		return err
	})
	if v := got.Job.Verdict; v == nil || *v != api.VerdictEqual {
		t.Errorf("verify: %+v", got.Job)
	}
}

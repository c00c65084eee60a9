package streams

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/test/claim"
	"sluice/test/kafkalab"
	"sluice/test/load"
	"sluice/test/rig"
)

// TestTransactions: a topic with transactions has the same records at the same
// offsets at the target, and both logs end at the same offset.
func TestTransactions(t *testing.T) {
	versions := []string{kafkalab.V4}
	if claim.Long() {
		versions = append(versions, kafkalab.V3)
	}
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			l := start(t, kafkalab.Config{}, kafkalab.Config{Version: version})
			for _, c := range []struct {
				name string
				run  func(*testing.T, *lab)
			}{
				{"gaps of all sizes", gapsOfAllSizes},
				{"behind a backlog", filledBehindBacklog},
				{"translated where the link says so", gapsTranslated},
				{"taken over while records come", filledTakeovers},
			} {
				t.Run(c.name, func(t *testing.T) { t.Parallel(); c.run(t, l) })
			}
		})
	}
}

// filling is a stream of a Sluice cluster whose nodes fill gaps.
func (l *lab) filling(t *testing.T, spec fsm.LinkSpec) *stream {
	t.Helper()
	return l.linked(t, newTopic(), spec)
}

// txn appends n records in a transaction that is committed or aborted.
func (s *stream) txn(t *testing.T, n int, end kgo.TransactionEndTry) {
	t.Helper()
	if err := s.transact(s.topic, n, end); err != nil {
		t.Fatal(err)
	}
}

func (s *stream) transact(id string, n int, end kgo.TransactionEndTry) error {
	cl, err := s.lab.src.DirectClient(kgo.TransactionalID(id), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		return err
	}
	var list []*kgo.Record
	for i := range n {
		list = append(list, &kgo.Record{Topic: s.topic, Value: fmt.Appendf(nil, "%s %d", id, i)})
	}
	if err := cl.ProduceSync(context.Background(), list...).FirstErr(); err != nil {
		return err
	}
	return cl.EndTransaction(context.Background(), end)
}

// same waits until both logs end at the same offset, and compares all committed
// records with their offsets.
func (s *stream) same(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	rig.Wait(t, "both logs end at the same offset", func() error {
		if from, to := s.sourceEnd(t), s.End(t, s.topic, 0); from != to {
			return fmt.Errorf("%d and %d; %+v", from, to, s.task().Copy.Stop)
		}
		return nil
	})
	opts := func(c *kafkalab.Cluster) []kgo.Opt { return []kgo.Opt{kgo.SeedBrokers(c.Direct()...)} }
	r, err := load.Compare(ctx, opts(s.lab.src), opts(s.lab.dst), []string{s.topic}, load.Options{})
	if err != nil || r.Err() != nil {
		t.Fatalf("%v, %v", r, err)
	}
	t.Log(r)
}

func gapsOfAllSizes(t *testing.T, l *lab) {
	s := l.filling(t, fsm.LinkSpec{Offsets: fsm.OffsetsIdentical})
	s.own(t, 1)
	s.produce(t, 3)
	for _, n := range []int{1, 2, 50, 1000} {
		s.txn(t, n, kgo.TryCommit)
		s.txn(t, n, kgo.TryAbort)
		s.txn(t, n, kgo.TryAbort)
		s.produce(t, 2)
	}
	s.txn(t, 3, kgo.TryAbort) // nothing follows it
	s.same(t)
	if m := s.task().Copy.Mapping; m.Phase != fsm.PhaseDense || !m.Filled || len(m.Segments) != 1 {
		t.Errorf("mapping %+v", m)
	}
	if n := len(s.Events(fsm.CodeGapsFilled)); n != 1 {
		t.Errorf("%d events tell that gaps are filled", n)
	}
}

// filledBehindBacklog: much is not copied yet when the first gap comes.
func filledBehindBacklog(t *testing.T, l *lab) {
	s := l.filling(t, fsm.LinkSpec{})
	s.produce(t, 50)
	for range 20 {
		s.txn(t, 2, kgo.TryCommit)
		s.txn(t, 1, kgo.TryAbort)
	}
	s.produce(t, 5)
	s.own(t, 1)
	s.same(t)
}

func gapsTranslated(t *testing.T, l *lab) {
	s := l.filling(t, fsm.LinkSpec{Gaps: fsm.GapsTranslate})
	s.own(t, 1)
	s.produce(t, 3)
	s.transaction(t, 2)
	s.produce(t, 3)
	s.copied(t)
	if m := s.task().Copy.Mapping; m.Phase != fsm.PhaseTranslated || m.Filled {
		t.Errorf("mapping %+v", m)
	}
}

// filledTakeovers: owners are killed while transactions, of which many are
// aborted, overlap with plain records.
func filledTakeovers(t *testing.T, l *lab) {
	s := l.filling(t, fsm.LinkSpec{})
	r := s.own(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	failed := make(chan error, 4)
	for w := range 4 {
		rnd := rand.New(rand.NewPCG(uint64(w), 5))
		wg.Go(func() {
			for ctx.Err() == nil {
				end := kgo.TryCommit
				if rnd.IntN(3) == 0 {
					end = kgo.TryAbort
				}
				if err := s.transact(fmt.Sprintf("%s-%d", s.topic, w), 1+rnd.IntN(5), end); err != nil {
					failed <- err
					return
				}
				idle(ctx, time.Duration(rnd.IntN(40))*time.Millisecond)
			}
		})
	}
	for round := range claim.Rounds(4, 20) {
		at := s.End(t, s.topic, 0)
		rig.Wait(t, "it goes on", func() error {
			if end := s.End(t, s.topic, 0); end < at+20 {
				m := r.stream.Measure()
				return fmt.Errorf("at %d, %s: %s", end, m.State, m.Message)
			}
			return nil
		})
		if round%2 == 1 { // handed over
			r.stream.Drain()
			<-r.stream.Done()
		}
		r.Close()
		r = s.own(t, 1+(round+1)%3)
	}
	cancel()
	wg.Wait()
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	s.same(t)
	t.Logf("%d producer epochs, %d bumps", s.task().Copy.Mapping.ProducerEpoch, len(s.Events(fsm.CodeOffsetBump)))
	if codes := s.task().Copy.Stop; codes != nil {
		t.Error(codes)
	}
}

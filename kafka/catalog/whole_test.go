package catalog

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/kafka"
)

func (l *lab) all(maxAge time.Duration) kafka.Metadata {
	l.Helper()
	m, err := l.k().All(l.ctx, maxAge)
	if err != nil {
		l.Fatal(err)
	}
	return m
}

func TestAll(t *testing.T) {
	inBubble(t, func(l *lab) {
		if m := l.all(0); len(m.Topics) != 2 || len(m.Brokers) != 3 || m.ClusterID != "kfake" {
			t.Fatalf("%+v", m)
		}
		l.asked()
		if err := l.kafka.CreateTopic("later", 1, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if m := l.all(2 * time.Second); len(m.Topics) != 2 {
			t.Errorf("%+v", m)
		}
		if m := l.all(time.Second); len(m.Topics) != 3 {
			t.Errorf("%+v", m)
		}
		if m := l.all(0); len(m.Topics) != 3 {
			t.Errorf("%+v", m)
		}
		if _, whole := l.asked(); whole != 2 {
			t.Errorf("%d requests", whole)
		}
	}, kfake.SeedTopics(1, topicNames(2)...))
}

// Everybody shares the request under way, or the next where that one was sent
// too early.
func TestAllIsAskedForOnce(t *testing.T) {
	inBubble(t, func(l *lab) {
		l.all(0)
		l.asked()
		time.Sleep(time.Second)
		l.slow(kmsg.Metadata, 100*time.Millisecond)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { l.all(10 * time.Millisecond) })
		}
		time.Sleep(50 * time.Millisecond)
		for range 50 {
			wg.Go(func() { l.all(0) })
		}
		wg.Wait()
		if _, whole := l.asked(); whole != 2 {
			t.Errorf("%d requests, want 2", whole)
		}
	}, kfake.SeedTopics(1, topicNames(2)...))
}

// slow makes all brokers answer requests of a kind late.
func (l *lab) slow(key kmsg.Key, d time.Duration) {
	l.kafka.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
		l.kafka.KeepControl()
		l.kafka.SleepControl(func() { time.Sleep(d) })
		return nil, nil, false
	})
}

// A failure is shared too: a Kafka cluster that is away costs its callers one
// after another only once.
func TestAllThatFailsIsShared(t *testing.T) {
	inBubble(t, func(l *lab) {
		l.all(0)
		l.hang(kmsg.Metadata, 0, 1, 2)
		began := time.Now()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := l.k().All(l.ctx, 0); err == nil {
					t.Error("answered")
				}
			})
		}
		wg.Wait()
		if d := time.Since(began); d > 3*time.Minute {
			t.Errorf("it took %v", d)
		}
	}, kfake.SeedTopics(1, topicNames(2)...))
}

// Who gives up is not taken for the Kafka cluster by those that wait.
func TestAllThatIsGivenUpIsNotShared(t *testing.T) {
	inBubble(t, func(l *lab) {
		l.all(0)
		l.slow(kmsg.Metadata, time.Second)
		var wg sync.WaitGroup
		wg.Go(func() { l.all(0) })
		time.Sleep(100 * time.Millisecond)
		wg.Go(func() { // its turn comes after 900 ms
			ctx, cancel := context.WithTimeout(l.ctx, 1500*time.Millisecond)
			defer cancel()
			if _, err := l.k().All(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
		time.Sleep(100 * time.Millisecond)
		for range 5 {
			wg.Go(func() { l.all(0) })
		}
		wg.Wait()
	}, kfake.SeedTopics(1, topicNames(2)...))
}

// The loop has nothing to ask while somebody looks at everything; changes are
// told all the same.
func TestAllFeedsWhatIsInUse(t *testing.T) {
	inBubble(t, func(l *lab) {
		l.find("t0000", 0, false)
		l.all(0)
		l.asked()
		ctx, cancel := context.WithCancel(l.ctx)
		defer cancel()
		go func() {
			for ctx.Err() == nil {
				_, _ = l.k().All(ctx, 0)
				select {
				case <-time.After(2 * time.Second):
				case <-ctx.Done():
				}
			}
		}()
		l.use(time.Minute, "t0000", "t0001")
		if named, _ := l.asked(); len(named) > 0 {
			t.Errorf("%v looked up beside", named)
		}
		changes := l.k().Changes()
		if err := l.kafka.MoveTopicPartition("t0001", 0, (l.kafka.LeaderFor("t0001", 0)+1)%3); err != nil {
			t.Fatal(err)
		}
		l.use(3*time.Second, "t0000", "t0001")
		if !isClosed(changes) {
			t.Error("not told of")
		}
		if p := l.find("t0001", 0, false); p.Leader != l.kafka.LeaderFor("t0001", 0) {
			t.Errorf("%+v", p)
		}
	}, kfake.SeedTopics(1, topicNames(2)...))
}

// BenchmarkAll is one look at 2,500 topics with 2 partitions, all in use, the
// test's broker included; it answers all requests alike.
func BenchmarkAll(b *testing.B) {
	names := topicNames(2500)
	cluster, err := kfake.NewCluster(kfake.SeedTopics(2, names...))
	if err != nil {
		b.Fatal(err)
	}
	defer cluster.Close()
	pool, err := kafka.NewPool(kafka.DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	c := New(DefaultConfig(), pool, nil, slog.New(slog.DiscardHandler))
	defer c.Close()
	k, done := c.Apart(fsm.KafkaCluster{Name: "k", Bootstrap: cluster.ListenAddrs()})
	defer done()
	client, err := k.Client(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	answer, err := kmsg.NewPtrMetadataRequest().RequestWith(b.Context(), client.Kgo())
	if err != nil {
		b.Fatal(err)
	}
	cluster.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		same := *answer
		same.SetVersion(req.GetVersion())
		return &same, nil, true
	})
	if _, err := k.All(b.Context(), 0); err != nil {
		b.Fatal(err)
	}
	for _, topic := range names {
		if _, err := k.Find(b.Context(), topic, 0, false); err != nil {
			b.Fatal(err)
		}
	}
	for name, maxAge := range map[string]time.Duration{"asked": 0, "shared": time.Hour} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.All(b.Context(), maxAge); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

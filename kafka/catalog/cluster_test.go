package catalog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/kafka"
)

// latest asks a broker for the end of t0000/0, whoever leads it.
func (l *lab) latest(broker int32) error {
	return l.k().Call(l.ctx, broker, func(ctx context.Context, b kafka.Broker) error {
		_, err := b.ListOffsets(ctx, kafka.ReadUncommitted, []kafka.OffsetQuery{{Topic: "t0000", LeaderEpoch: -1, Timestamp: kafka.Latest}})
		return err
	})
}

// A broker that hangs has all its calls waiting; the others' go on.
func TestHangingBrokerHoldsUpNoOther(t *testing.T) {
	inBubble(t, func(l *lab) {
		l.find("t0000", 0, false)
		l.hang(kmsg.ListOffsets, 0)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if err := l.latest(0); err == nil {
					t.Error("a call to the hanging broker came back")
				}
			})
		}
		time.Sleep(time.Second)
		began := time.Now()
		for _, id := range []int32{1, 2} {
			if err := l.latest(id); err != nil {
				t.Error(err)
			}
			if conn, err := l.k().Dial(l.ctx, id); err != nil {
				t.Error(err)
			} else {
				conn.Close()
			}
		}
		if d := time.Since(began); d > time.Second {
			t.Errorf("held up for %v", d)
		}
		wg.Wait()
	}, kfake.SeedTopics(1, "t0000"))
}

func TestCallsToABrokerAreBounded(t *testing.T) {
	inBubble(t, func(l *lab) {
		var now, most atomic.Int64
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				_ = l.k().Call(l.ctx, 0, func(context.Context, kafka.Broker) error {
					n := now.Add(1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					time.Sleep(time.Second)
					now.Add(-1)
					return nil
				})
			})
		}
		wg.Wait()
		if most.Load() != DefaultConfig().Calls {
			t.Errorf("%d at a time", most.Load())
		}
	})
}

// A broker that refuses is dialled a few times a second, however many want to;
// as soon as it is back, everybody gets a connection.
func TestDialsAreSpared(t *testing.T) {
	inBubble(t, func(l *lab) {
		if _, err := l.k().All(l.ctx, 0); err != nil {
			t.Fatal(err)
		}
		l.mu.Lock()
		l.down[9002], l.dials[9002] = true, 0
		l.mu.Unlock()
		refused := func(d time.Duration) int {
			before := l.dialled(9002)
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Millisecond) {
				if _, err := l.k().Dial(l.ctx, 1); err == nil {
					t.Fatal("dialled")
				}
			}
			return l.dialled(9002) - before
		}
		if n := refused(100 * time.Millisecond); n < 3 || n > 5 {
			t.Errorf("%d dials in the first 100 ms", n)
		}
		refused(2 * time.Second)
		if n := refused(10 * time.Second); n < 18 || n > 22 {
			t.Errorf("%d dials in 10 s", n)
		}
		l.mu.Lock()
		l.down[9002] = false
		l.mu.Unlock()
		time.Sleep(lastPause)
		for range 3 {
			conn, err := l.k().Dial(l.ctx, 1)
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
		}
		if b := l.k().broker(1); b.failed != (failures{}) {
			t.Errorf("%+v", b)
		}
	})
}

func (l *lab) dialled(port int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dials[port]
}

// Who gives a dial up says nothing about the broker.
func TestDialGivenUpDoesNotCount(t *testing.T) {
	inBubble(t, func(l *lab) {
		l.hang(kmsg.ApiVersions, 1)
		ctx, cancel := context.WithTimeout(l.ctx, time.Second)
		defer cancel()
		if conn, err := l.k().Dial(ctx, 1); err == nil {
			conn.Close()
			t.Fatal("dialled")
		}
		if b := l.k().broker(1); b.failed.count != 0 {
			t.Errorf("%+v", b)
		}
	})
}

func TestProducerExpiry(t *testing.T) {
	const ms = 7 * 24 * 3600_000
	inBubble(t, func(l *lab) {
		var slow, broken atomic.Bool
		var reads atomic.Int64
		l.kafka.ControlKey(int16(kmsg.DescribeConfigs), func(kmsg.Request) (kmsg.Response, error, bool) {
			l.kafka.KeepControl()
			reads.Add(1)
			if broken.Load() {
				return nil, errors.New("cut"), true
			}
			if slow.Load() {
				l.kafka.SleepControl(func() { time.Sleep(expiryTimeout / 2) })
			}
			return nil, nil, false
		})
		// expect asks ten times, of which the first may be a question.
		expect := func(what string, want int64, question bool) {
			t.Helper()
			before := reads.Load()
			if got := l.k().ProducerExpiry(l.ctx, 0); got != want || (reads.Load() > before) != question {
				t.Errorf("%s: %d, asked %v", what, got, reads.Load() > before)
			}
			before = reads.Load()
			for range 9 {
				if got := l.k().ProducerExpiry(l.ctx, 0); got != want || reads.Load() != before {
					t.Errorf("%s: again %d after %d more questions", what, got, reads.Load()-before)
				}
			}
		}
		slow.Store(true)
		ctx, cancel := context.WithTimeout(l.ctx, expiryTimeout/4)
		defer cancel()
		if got := l.k().ProducerExpiry(ctx, 0); got != 0 {
			t.Errorf("%d", got)
		}
		slow.Store(false)
		broken.Store(true)
		expect("the first caller gave up, the broker fails", 0, true)
		broken.Store(false)
		expect("not asked again at once", 0, false)
		time.Sleep(expiryAgain)
		expect("later", ms, true)
		broken.Store(true)
		time.Sleep(expiryHolds)
		expect("the broker fails", ms, true)
	}, kfake.BrokerConfigs(map[string]string{"transactional.id.expiration.ms": "1", "producer.id.expiration.ms": fmt.Sprint(int64(ms))}))
}

// Brokers before 3.5 have the expiry of transactional ids alone.
func TestProducerExpiryOfOldBrokers(t *testing.T) {
	inBubble(t, func(l *lab) {
		if got := l.k().ProducerExpiry(l.ctx, 0); got != 4711 {
			t.Error(got)
		}
	}, kfake.BrokerConfigs(map[string]string{"transactional.id.expiration.ms": "4711"}))
}

func TestOffsets(t *testing.T) {
	inBubble(t, func(l *lab) {
		list := []Partition{{"t0000", 0}, {"t0000", 1}, {"t0000", 2}, {"t0001", 0}, {"t0000", 9}, {"absent", 0}}
		l.asked()
		offsets, failed := l.k().Offsets(l.ctx, list, kafka.ReadUncommitted, kafka.Latest, 1)
		if len(offsets) != 4 || len(failed) != 2 || !errors.Is(failed[list[4]], kerr.UnknownTopicOrPartition) || !errors.Is(failed[list[5]], kerr.UnknownTopicOrPartition) {
			t.Fatalf("%v, %v", offsets, failed)
		}
		if named, _ := l.asked(); len(named) != 1 {
			t.Errorf("%v", named)
		}
		if err := l.kafka.MoveTopicPartition("t0000", 1, (l.kafka.LeaderFor("t0000", 1)+1)%3); err != nil {
			t.Fatal(err)
		}
		if _, failed := l.k().Offsets(l.ctx, list[:4], kafka.ReadUncommitted, kafka.Latest, 1); len(failed) != 1 || !errors.Is(failed[list[1]], kerr.NotLeaderForPartition) {
			t.Errorf("%v", failed)
		}
		if _, failed := l.k().Offsets(l.ctx, list[:4], kafka.ReadUncommitted, kafka.Latest, 2); len(failed) != 0 {
			t.Errorf("%v", failed)
		}
		l.hang(kmsg.ListOffsets, l.kafka.LeaderFor("t0000", 0))
		if _, failed := l.k().Offsets(l.ctx, list[:4], kafka.ReadUncommitted, kafka.Latest, 1); len(failed) == 0 || failed[list[0]] == nil {
			t.Errorf("%v", failed)
		}
	}, kfake.SeedTopics(3, topicNames(2)...))
}

// An object that is not applied is asked beside the one that is.
func TestApart(t *testing.T) {
	inBubble(t, func(l *lab) {
		other, err := kfake.NewCluster(kfake.Ports(9101), kfake.ListenFn(l.net.Listen), kfake.SeedTopics(7, "t0000"))
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		inUse, err := l.k().Client(l.ctx)
		if err != nil {
			t.Fatal(err)
		}
		k, done := l.catalog.Apart(fsm.KafkaCluster{Name: "k", Bootstrap: other.ListenAddrs()})
		if p, err := k.Find(l.ctx, "t0000", 0, false); err != nil || p.Partitions != 7 || k.Name() != "k" {
			t.Error(p, err)
		}
		if p := l.find("t0000", 0, false); p.Partitions != 1 {
			t.Errorf("%+v", p)
		}
		apart, err := k.Client(l.ctx)
		if err != nil {
			t.Fatal(err)
		}
		done()
		if _, err := apart.Metadata(l.ctx); err == nil {
			t.Error("its client lives on")
		}
		if again, err := l.k().Client(l.ctx); again != inUse || err != nil {
			t.Error("the client in use was replaced", err)
		}
		if _, err := inUse.Metadata(l.ctx); err != nil {
			t.Error(err)
		}
	}, kfake.SeedTopics(1, "t0000"))
}

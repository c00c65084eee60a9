package catalog

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/kafka"
)

func TestFind(t *testing.T) {
	inBubble(t, func(l *lab) {
		p := l.find("t0001", 2, false)
		if p.Leader != l.kafka.LeaderFor("t0001", 2) || p.Partitions != 3 || p.TopicID == ([16]byte{}) {
			t.Errorf("%+v", p)
		}
		for topic, partition := range map[string]int32{"absent": 0, "t0001": 3} {
			if _, err := l.k().Find(l.ctx, topic, partition, false); !errors.Is(err, kerr.UnknownTopicOrPartition) {
				t.Errorf("%s/%d: %v", topic, partition, err)
			}
		}
		l.asked()
		old := l.kafka.LeaderFor("t0001", 2)
		if err := l.kafka.MoveTopicPartition("t0001", 2, (old+1)%3); err != nil {
			t.Fatal(err)
		}
		if p := l.find("t0001", 2, false); p.Leader != old {
			t.Errorf("asked though it was known: %+v", p)
		}
		if p := l.find("t0001", 2, true); p.Leader != (old+1)%3 {
			t.Errorf("not asked anew: %+v", p)
		}
		if named, _ := l.asked(); len(named) != 1 {
			t.Errorf("%v", named)
		}
	}, kfake.SeedTopics(3, topicNames(3)...))
}

// Thousands of streams that start at once share a request; those that need
// what is true now, too.
func TestQuestionsShareARequest(t *testing.T) {
	names := topicNames(20)
	inBubble(t, func(l *lab) {
		for _, fresh := range []bool{false, true} {
			var wg sync.WaitGroup
			for i := range 1000 {
				wg.Go(func() { l.find(names[i%20], int32(i%3), fresh) })
			}
			wg.Wait()
			if named, _ := l.asked(); len(named) != 1 || !slices.Equal(named[0], names) {
				t.Errorf("fresh %v: %d requests, the first for %v", fresh, len(named), named[0])
			}
		}
	}, kfake.SeedTopics(3, names...))
}

// What is in use is looked up by one loop, however many ask.
func TestOneLookupForAllWhoAsk(t *testing.T) {
	names := topicNames(10)
	inBubble(t, func(l *lab) {
		for _, name := range names {
			l.find(name, 0, false)
		}
		l.asked()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { l.use(50*time.Second, names...) })
		}
		wg.Wait()
		named, _ := l.asked()
		if len(named) < 9 || len(named) > 11 {
			t.Errorf("%d requests in 50 s", len(named))
		}
		for _, n := range named {
			if !slices.Equal(n, names) {
				t.Errorf("a request for %v", n)
			}
		}
	}, kfake.SeedTopics(1, names...))
}

func TestTopicsOutOfUseAreForgotten(t *testing.T) {
	inBubble(t, func(l *lab) {
		l.find("t0000", 0, false)
		l.use(time.Minute, "t0001")
		l.asked()
		l.use(20*time.Second, "t0001")
		for _, n := range first(l.asked()) {
			if slices.Contains(n, "t0000") {
				t.Errorf("still looked up: %v", n)
			}
		}
		time.Sleep(time.Minute)
		l.asked()
		time.Sleep(time.Hour)
		if named, _ := l.asked(); len(named) > 0 {
			t.Errorf("%d requests for nobody", len(named))
		}
		k := l.k().topics
		k.mu.Lock()
		if len(k.known) > 0 || k.keeping {
			t.Errorf("%d topics known, the loop runs: %v", len(k.known), k.keeping)
		}
		k.mu.Unlock()
		l.find("t0000", 0, false) // and it begins anew
		l.use(10*time.Second, "t0000")
		if named, _ := l.asked(); len(named) < 2 {
			t.Errorf("%d requests in 10 s", len(named))
		}
	}, kfake.SeedTopics(1, topicNames(2)...))
}

func first[A, B any](a A, _ B) A { return a }

// A Kafka cluster with many partitions is looked at less often.
func TestIntervalGrowsWithSize(t *testing.T) {
	inBubble(t, func(l *lab) {
		k := l.k().topics
		for n, want := range map[int]time.Duration{0: 5 * time.Second, 9_999: 5 * time.Second, 25_000: 15 * time.Second} {
			k.known = map[string]*entry{"t": {meta: kafka.TopicMetadata{Partitions: make([]kafka.PartitionMetadata, n)}}}
			if got := k.interval(); got != want {
				t.Errorf("%d partitions: %v, want %v", n, got, want)
			}
		}
	})
}

func TestChanges(t *testing.T) {
	inBubble(t, func(l *lab) {
		for name, change := range map[string]func() error{
			"leader":     func() error { return l.kafka.MoveTopicPartition("t0000", 0, (l.kafka.LeaderFor("t0000", 0)+1)%3) },
			"id":         func() error { return errors.Join(l.kafka.DeleteTopic("t0000"), l.kafka.CreateTopic("t0000", 1, nil)) },
			"partitions": func() error { return l.grow("t0000", 5) },
			"deleted":    func() error { return l.kafka.DeleteTopic("t0001") },
			"created":    func() error { return l.kafka.CreateTopic("later", 1, nil) },
		} {
			l.use(10*time.Second, "t0000", "t0001", "later")
			quiet := l.k().Changes()
			l.use(time.Minute, "t0000", "t0001", "later")
			if isClosed(quiet) {
				t.Fatalf("before %s: closed though nothing changed", name)
			}
			if err := change(); err != nil {
				t.Fatal(name, err)
			}
			l.use(6*time.Second, "t0000", "t0001", "later")
			if !isClosed(quiet) {
				t.Errorf("%s: not told of", name)
			}
		}
		quiet := l.k().Changes()
		if err := l.kafka.CreateTopic("nobody", 1, nil); err != nil {
			t.Fatal(err)
		}
		l.use(time.Minute, "t0000", "t0001", "later")
		if isClosed(quiet) {
			t.Error("told of a topic that nobody asks about")
		}
	}, kfake.SeedTopics(1, topicNames(2)...))
}

func (l *lab) grow(topic string, partitions int32) error {
	c, err := l.k().Client(l.ctx)
	if err != nil {
		return err
	}
	return c.CreatePartitions(l.ctx, topic, partitions)
}

func TestDiffer(t *testing.T) {
	topic := func(change func(*kafka.TopicMetadata)) *kafka.TopicMetadata {
		m := &kafka.TopicMetadata{Name: "t", ID: [16]byte{1}, Partitions: []kafka.PartitionMetadata{{Leader: 1, LeaderEpoch: 5, ISR: []int32{1, 2}}, {Partition: 1, Leader: 2}}}
		change(m)
		return m
	}
	for name, c := range map[string]struct {
		change func(*kafka.TopicMetadata)
		want   bool
	}{
		"nothing":      {func(*kafka.TopicMetadata) {}, false},
		"replicas":     {func(m *kafka.TopicMetadata) { m.Partitions[0].ISR, m.Partitions[0].Offline = []int32{1}, []int32{2} }, false},
		"id":           {func(m *kafka.TopicMetadata) { m.ID = [16]byte{2} }, true},
		"leader":       {func(m *kafka.TopicMetadata) { m.Partitions[1].Leader = -1 }, true},
		"leader epoch": {func(m *kafka.TopicMetadata) { m.Partitions[0].LeaderEpoch++ }, true},
		"partitions":   {func(m *kafka.TopicMetadata) { m.Partitions = m.Partitions[:1] }, true},
		"error":        {func(m *kafka.TopicMetadata) { m.Err = kerr.TopicAuthorizationFailed }, true},
	} {
		a, b := topic(func(*kafka.TopicMetadata) {}), topic(c.change)
		if differ(a, b) != c.want || differ(b, a) != c.want {
			t.Errorf("%s: want %v", name, c.want)
		}
	}
	refused, gone := topic(func(m *kafka.TopicMetadata) { m.Err = kerr.TopicAuthorizationFailed }), topic(func(m *kafka.TopicMetadata) { m.Err = kerr.UnknownTopicOrPartition })
	if !differ(refused, gone) || differ(gone, gone) {
		t.Error("errors are not told apart")
	}
}

// A request that was sent earlier may be answered later, by a broker that is
// behind.
func TestLateAnswerChangesNothing(t *testing.T) {
	inBubble(t, func(l *lab) {
		l.find("t0000", 0, false)
		k, c := l.k().topics, l.k().topics.client
		old := k.known["t0000"].meta
		moved := old
		moved.Partitions = []kafka.PartitionMetadata{{Leader: 2, LeaderEpoch: 9}}
		now := time.Now()
		k.keep(c, []kafka.TopicMetadata{moved}, now)
		changes := l.k().Changes()
		k.keep(c, []kafka.TopicMetadata{old}, now.Add(-time.Millisecond))
		k.feed(c, &kafka.Answer{Metadata: kafka.Metadata{Topics: []kafka.TopicMetadata{old}}}, false, now.Add(-time.Millisecond))
		if p := l.find("t0000", 0, false); p.Leader != 2 || isClosed(changes) {
			t.Errorf("%+v", p)
		}
	}, kfake.SeedTopics(1, topicNames(1)...))
}

// A broker that hangs holds a lookup up for a while; then another is asked.
func TestBrokerThatHangsIsPassedOver(t *testing.T) {
	inBubble(t, func(l *lab) {
		began := time.Now()
		l.hang(kmsg.Metadata, 0)
		for i := range 10 {
			p, err := l.k().Find(l.ctx, fmt.Sprintf("t%04d", i), 0, true)
			if err != nil || p.Partitions != 1 {
				t.Fatal(p, err)
			}
		}
		if d := time.Since(began); d > time.Minute {
			t.Errorf("%v", d)
		}
	}, kfake.SeedTopics(1, topicNames(10)...))
}

// Under the name of a Kafka cluster may be another one from one moment to the
// next: what was known of the first counts no more.
func TestAnotherClusterUnderTheName(t *testing.T) {
	inBubble(t, func(l *lab) {
		other, err := kfake.NewCluster(kfake.Ports(9101), kfake.ListenFn(l.net.Listen), kfake.SeedTopics(7, "t0000"), kfake.ClusterID("other"))
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		l.find("t0000", 0, false)
		l.find("t0001", 0, false)
		if m, err := l.k().All(l.ctx, time.Hour); err != nil || m.ClusterID != "kfake" {
			t.Fatal(m.ClusterID, err)
		}
		changes := l.k().Changes()
		l.mu.Lock()
		l.spec.Bootstrap = other.ListenAddrs()
		l.mu.Unlock()
		if m, err := l.k().All(l.ctx, time.Hour); err != nil || m.ClusterID != "other" {
			t.Fatal(m.ClusterID, err)
		}
		if p := l.find("t0000", 0, false); p.Partitions != 7 || !isClosed(changes) {
			t.Errorf("%+v", p)
		}
		if _, err := l.k().Find(l.ctx, "t0001", 0, false); !errors.Is(err, kerr.UnknownTopicOrPartition) {
			t.Error(err)
		}
	}, kfake.SeedTopics(1, topicNames(2)...))
}

func TestClosedCatalog(t *testing.T) {
	inBubble(t, func(l *lab) {
		l.find("t0000", 0, false)
		l.catalog.Close()
		if _, err := l.k().Find(l.ctx, "t0000", 0, true); !errors.Is(err, errClosed) {
			t.Error(err)
		}
		l.asked()
		time.Sleep(time.Hour)
		if named, _ := l.asked(); len(named) > 0 {
			t.Errorf("%d requests", len(named))
		}
	}, kfake.SeedTopics(1, topicNames(1)...))
}

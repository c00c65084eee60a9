package kafka

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestCalls(t *testing.T) {
	cluster, spec := testCluster(t, kfake.NumBrokers(2), kfake.ClusterID("abc"), kfake.SeedTopics(3, "t"))
	c := testClient(t, spec)
	ctx := testContext(t)
	if id, err := c.Check(ctx); id != "abc" || err != nil {
		t.Fatal(id, err)
	}
	id, err := c.CreateTopic(ctx, CreateTopic{Name: "new", Partitions: 2, ReplicationFactor: 1, Configs: map[string]string{"retention.ms": "1000"}})
	if err != nil || id == [16]byte{} {
		t.Fatal(id, err)
	}
	if _, err := c.CreateTopic(ctx, CreateTopic{Name: "new", Partitions: 2, ReplicationFactor: 1}); !errors.Is(err, kerr.TopicAlreadyExists) {
		t.Fatal(err)
	}
	if err := c.CreatePartitions(ctx, "new", 4); err != nil {
		t.Fatal(err)
	}
	if err := c.CreatePartitions(ctx, "new", 1); !errors.Is(err, kerr.InvalidPartitions) {
		t.Fatal(err)
	}
	all, err := c.LookAll(ctx, nil)
	if err != nil || len(all.Topics) != 2 || len(all.Brokers) != 2 {
		t.Fatalf("%+v %v", all, err)
	}
	m, err := c.Metadata(ctx, "new", "absent")
	if err != nil || len(m.Topics) != 2 {
		t.Fatalf("%+v %v", m, err)
	}
	for _, topic := range m.Topics {
		if topic.Name == "new" && (len(topic.Partitions) != 4 || topic.ID != id) ||
			topic.Name == "absent" && !errors.Is(topic.Err, kerr.UnknownTopicOrPartition) {
			t.Fatalf("%+v", topic)
		}
	}
	configs, err := c.TopicConfigs(ctx, "new")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range configs {
		if e.Name == "retention.ms" {
			found = e.Value == "1000" && !e.Default
		} else if !e.Default {
			t.Errorf("%+v is not a default", e)
		}
	}
	if !found {
		t.Fatalf("%+v", configs)
	}
	if _, err := c.TopicConfigs(ctx, "absent"); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Fatal(err)
	}
	if b, err := c.BrokerConfigs(ctx, m.Brokers[0].ID); err != nil || len(b) == 0 {
		t.Fatal(b, err)
	}
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.ClusterAuthorizationFailed})
	if _, err := c.BrokerConfigs(ctx, m.Brokers[0].ID); err == nil || !strings.Contains(Explain(err), "DESCRIBE_CONFIGS on the cluster is needed") {
		t.Errorf("the right is not named: %v", err)
	}
	for _, want := range []struct {
		key, version int16
		yes          bool
	}{{keyFetch, 13, true}, {keyFetch, 200, false}, {1000, 0, false}} {
		if yes, err := c.Supports(ctx, want.key, want.version); yes != want.yes || err != nil {
			t.Fatal(want, yes, err)
		}
	}
	_ = cluster
}

// TestManyTopicsAtOnce: each topic is answered for by itself.
func TestManyTopicsAtOnce(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "old"))
	c := testClient(t, spec)
	ctx := testContext(t)
	got, _, err := c.Broker(0).CreateTopics(ctx,
		CreateTopic{Name: "a", Partitions: 1, ReplicationFactor: 1, Configs: map[string]string{"retention.ms": "1"}},
		CreateTopic{Name: "old", Partitions: 1, ReplicationFactor: 1},
		CreateTopic{Name: "b", Partitions: 3, ReplicationFactor: 1, Configs: map[string]string{"retention.ms": "2"}},
		CreateTopic{Name: "wide", Partitions: 1, ReplicationFactor: 9},
	)
	if err != nil {
		t.Fatal(err)
	}
	var refused *kerr.Error
	if got[0].Err != nil || got[2].Err != nil || !errors.Is(got[1].Err, kerr.TopicAlreadyExists) || !errors.As(got[3].Err, &refused) {
		t.Fatalf("%+v", got)
	}
	m, err := c.Metadata(ctx, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range m.Topics {
		if i := map[string]int{"a": 0, "b": 2}[topic.Name]; topic.ID != got[i].ID || len(topic.Partitions) != i+1 {
			t.Errorf("%+v, created as %x", topic, got[i].ID)
		}
	}
	configs, err := c.ConfigsOf(ctx, "b", "absent", "a")
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(configs[1].Err, kerr.UnknownTopicOrPartition) {
		t.Error(configs[1].Err)
	}
	for i, want := range map[int]string{0: "2", 2: "1"} {
		if e := configs[i].Entries; configs[i].Err != nil || !slices.Contains(e, ConfigEntry{Name: "retention.ms", Value: want}) {
			t.Errorf("%d: %+v", i, configs[i])
		}
	}
	if _, _, err := c.Broker(0).CreateTopics(ctx, CreateTopic{Name: "c"}, CreateTopic{Name: "c"}); err == nil {
		t.Error("a topic asked for twice is taken")
	}
}

// TestBrokerThatIsAway is not taken for one that is too old.
func TestBrokerThatIsAway(t *testing.T) {
	cluster, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	c := testClient(t, spec)
	if _, err := c.Broker(77).DescribeProducers(testContext(t), "t", 0); err == nil || errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
	cluster.ControlKey(61, func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return nil, errors.New("the connection is cut"), true
	})
	if _, err := c.Broker(0).DescribeProducers(testContext(t), "t", 0); err == nil || errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
}

// TestNewConnectionMeetsAnotherCluster: what is known of a Kafka cluster does not
// vouch for who answers at its broker's address now.
func TestNewConnectionMeetsAnotherCluster(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.ClusterID("real"))
	stranger, _ := testCluster(t, kfake.NumBrokers(1), kfake.ClusterID("stranger"))
	var moved atomic.Bool
	p := testPool(t, func(cfg *Config) {
		cfg.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if moved.Load() {
				addr = stranger.ListenAddrs()[0]
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	})
	c, err := p.Client(testContext(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := c.Dial(testContext(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	moved.Store(true)
	if _, err := c.Dial(testContext(t), 0); !errors.Is(err, ErrClusterIDMismatch) || !strings.Contains(err.Error(), "stranger") {
		t.Errorf("connected to a stranger: %v", err)
	}
}

func TestClusterIDMismatch(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.ClusterID("real"))
	spec.ClusterID = "pinned"
	c := testClient(t, spec)
	if id, err := c.Check(testContext(t)); id != "real" || !errors.Is(err, ErrClusterIDMismatch) {
		t.Fatal(id, err)
	}
	if _, err := c.Dial(testContext(t), 0); !errors.Is(err, ErrClusterIDMismatch) {
		t.Fatal(err)
	}
}

// TestPoolReplaces changes the object of a Kafka cluster under a Client.
func TestPoolReplaces(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	p := testPool(t)
	ctx := testContext(t)
	first, err := p.Client(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	conn, _ := leaderConn(t, first, "t", 0)
	spec.ClusterID, spec.Datacenter, spec.Revision = "pinned", "dc", 7
	if same, _ := p.Client(ctx, spec); same != first || same.Spec().ClusterID != "pinned" {
		t.Fatal("pinning a cluster id made another client")
	}
	spec.ClusterID = "other"
	second, err := p.Client(ctx, spec)
	if err != nil || second == first {
		t.Fatal("another cluster id made no other client", err)
	}
	get(t, conn.Done())
	if !errors.Is(conn.Err(), ErrClosed) {
		t.Fatal(conn.Err())
	}
	if _, err := first.Dial(ctx, conn.cfg.broker); err == nil {
		t.Fatal("a closed client dials")
	}
	p.Close()
	if _, err := p.Client(ctx, spec); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestDialUnknownBroker(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1))
	if _, err := testClient(t, spec).Dial(testContext(t), 77); !errors.Is(err, ErrUnknownBroker) {
		t.Fatal(err)
	}
}

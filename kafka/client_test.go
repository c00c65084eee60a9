package kafka

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
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
	all, err := c.AllMetadata(ctx)
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
	spec.ClusterID, spec.Datacenter = "pinned", "dc"
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

package kafka

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// sameAnswers makes a kfake cluster, which lists topics in any order, answer
// as brokers do: alike while nothing changes. Topics have one partition.
func sameAnswers(c *kfake.Cluster, topics ...string) {
	c.ControlKey(int16(kmsg.Metadata), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := kreq.(*kmsg.MetadataRequest)
		if req.Topics != nil {
			return nil, nil, false
		}
		req.Topics = []kmsg.MetadataRequestTopic{}
		for _, name := range topics {
			topic := kmsg.NewMetadataRequestTopic()
			topic.Topic = &name
			req.Topics = append(req.Topics, topic)
		}
		return nil, nil, false
	})
}

func TestLookAll(t *testing.T) {
	cluster, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "a", "b"))
	sameAnswers(cluster, "a", "b")
	c := testClient(t, spec)
	ctx := testContext(t)
	first, err := c.LookAll(ctx, nil)
	if err != nil || len(first.Topics) != 2 || len(first.Topics[0].Partitions) != 1 || len(first.Brokers) != 1 {
		t.Fatalf("%+v %v", first, err)
	}
	if again, err := c.LookAll(ctx, first); again != first || err != nil {
		t.Fatalf("nothing changed, %+v %v", again, err)
	}
	if _, err := c.Dial(ctx, first.Brokers[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := c.CreatePartitions(ctx, "b", 9); err != nil {
		t.Fatal(err)
	}
	second, err := c.LookAll(ctx, first)
	if err != nil || second == first || len(second.Topics[1].Partitions) != 9 || len(first.Topics[1].Partitions) != 1 {
		t.Fatalf("%+v %v", second, err)
	}
	if !slices.IsSortedFunc(second.Topics[1].Partitions, func(a, b PartitionMetadata) int { return int(a.Partition - b.Partition) }) {
		t.Errorf("%+v", second.Topics[1])
	}
	if _, port, err := cluster.AddNode(7, -1); err != nil {
		t.Fatal(err)
	} else if third, err := c.LookAll(ctx, second); err != nil || third == second || !slices.ContainsFunc(third.Brokers, func(b BrokerInfo) bool { return b.ID == 7 && b.Port == int32(port) }) {
		t.Fatalf("%+v %v", third, err)
	}
}

// TestLookDecodesOnlyWhatIsNew: an answer about the same topics that is the same
// as the one before is that one.
func TestLookDecodesOnlyWhatIsNew(t *testing.T) {
	cluster, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "a", "b"))
	sameAnswers(cluster, "b")
	c := testClient(t, spec)
	ctx := testContext(t)
	if _, err := c.Metadata(ctx); err != nil { // kgo knows the brokers
		t.Fatal(err)
	}
	first, err := c.Look(ctx, nil, "b")
	if err != nil || len(first.Topics) != 1 || first.Topics[0].Name != "b" {
		t.Fatalf("%+v %v", first, err)
	}
	if again, err := c.Look(ctx, first, "b"); again != first || err != nil {
		t.Errorf("nothing changed: %+v %v", again, err)
	}
	if err := c.CreatePartitions(ctx, "b", 9); err != nil {
		t.Fatal(err)
	}
	if second, err := c.Look(ctx, first, "b"); err != nil || second == first || len(second.Topics[0].Partitions) != 9 {
		t.Errorf("%+v %v", second, err)
	}
}

// TestMetadataLearnsBrokers: brokers that come or move, and that an answer about
// topics names, can be dialled, and asked with the next answer. One request is
// enough for each: a second one might go to a broker that hangs.
func TestMetadataLearnsBrokers(t *testing.T) {
	cluster, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "a"))
	c := testClient(t, spec)
	ctx := testContext(t)
	asked := 0
	cluster.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked++
		return nil, nil, false
	})
	add := func() {
		if _, _, err := cluster.AddNode(7, -1); err != nil {
			t.Fatal(err)
		}
	}
	move := func() {
		if err := cluster.RemoveNode(7); err != nil {
			t.Fatal(err)
		}
		add()
	}
	for _, step := range []struct {
		what   string
		change func()
	}{{"as it is", func() {}}, {"one comes", add}, {"one moves", move}} {
		what := step.what
		step.change()
		before := asked
		if _, err := c.Metadata(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		m, err := c.Metadata(ctx, "a", "none")
		if err != nil || len(m.Topics) != 2 || len(m.Brokers) == 0 || m.ClusterID == "" {
			t.Fatalf("%s: %+v %v", what, m, err)
		}
		if n := asked - before; n != 2 {
			t.Errorf("%s: %d requests", what, n)
		}
		for _, b := range m.Brokers {
			conn, err := c.Dial(ctx, b.ID)
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if _, err := c.Broker(b.ID).ListOffsets(ctx, ReadUncommitted, nil); err != nil {
				t.Errorf("%s: broker %d: %v", what, b.ID, err)
			}
		}
	}
}

// TestLookAllAtAnotherCluster: an id that is pinned later counts though the
// answer is the same.
func TestLookAllAtAnotherCluster(t *testing.T) {
	cluster, spec := testCluster(t, kfake.NumBrokers(1), kfake.ClusterID("real"))
	sameAnswers(cluster)
	c := testClient(t, spec)
	first, err := c.LookAll(testContext(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.spec.ClusterID = "another"
	c.mu.Unlock()
	if _, err := c.LookAll(testContext(t), first); !errors.Is(err, ErrClusterIDMismatch) {
		t.Fatal(err)
	}
}

// BenchmarkLookAll is one look at 2,500 topics of 2 partitions, the test's
// broker included.
func BenchmarkLookAll(b *testing.B) {
	var names []string
	for i := range 2500 {
		names = append(names, fmt.Sprintf("some.topic.%d", i))
	}
	cluster, spec := testCluster(b, kfake.NumBrokers(3), kfake.SeedTopics(2, names...))
	ctx := testContext(b)
	// One answer for all requests: the work of the test's broker counts little.
	resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, testClient(b, spec).kgo)
	if err != nil {
		b.Fatal(err)
	}
	cluster.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if req.(*kmsg.MetadataRequest).Topics != nil {
			return nil, nil, false
		}
		same := *resp
		same.SetVersion(req.GetVersion())
		return &same, nil, true
	})
	c := testClient(b, spec)
	b.Run("kgo", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.metadata(ctx, kmsg.NewPtrMetadataRequest()); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, keep := range map[string]bool{"changed": false, "same": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var last *Answer
			for b.Loop() {
				now, err := c.LookAll(ctx, last)
				if err != nil {
					b.Fatal(err)
				}
				if keep {
					last = now
				}
			}
		})
	}
}

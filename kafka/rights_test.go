package kafka

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"

	"sluice/fsm"
)

// TestNamesTheRight: who may not do something on a topic is told what to
// allow, and where.
func TestNamesTheRight(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"), kfake.EnableACLs(), kfake.EnableSASL(), kfake.User("PLAIN", "u", "p"))
	spec.SASL = &fsm.SASL{Mechanism: "PLAIN", Username: "u", Password: "p"}
	c, ctx := testClient(t, spec), testContext(t)
	if _, err := c.LookAll(ctx, nil); err != nil {
		t.Fatal(err)
	}
	b := c.Broker(0)
	first := func(got []OffsetResult, err error) error {
		if err != nil {
			return err
		}
		return got[0].Err
	}
	_, _, ofEpoch := b.OffsetForLeaderEpoch(ctx, "t", 0, -1, 0)
	_, ofProducers := b.DescribeProducers(ctx, "t", 0)
	_, ofTopic := c.CreateTopic(ctx, CreateTopic{Name: "new", Partitions: 1, ReplicationFactor: 1})
	_, ofConfigs := c.TopicConfigs(ctx, "t")
	for _, c := range []struct {
		right string
		err   error
	}{
		{"DESCRIBE on topic t", first(b.ListOffsets(ctx, ReadUncommitted, []OffsetQuery{{Topic: "t", Timestamp: Latest, LeaderEpoch: -1}}))},
		{"DESCRIBE on topic t", ofEpoch},
		{"READ on topic t", ofProducers},
		{"CREATE on topic new", ofTopic},
		{"ALTER on topic t", c.CreatePartitions(ctx, "t", 2)},
		{"DESCRIBE_CONFIGS on topic t", ofConfigs},
	} {
		if !errors.Is(c.err, kerr.TopicAuthorizationFailed) || !strings.Contains(c.err.Error(), c.right+" is needed") {
			t.Errorf("%s: %v", c.right, c.err)
		}
	}
}

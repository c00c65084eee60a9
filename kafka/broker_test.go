package kafka

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/test/load"
)

// TestBrokerCalls asks the same over shared connections and over one of our
// own.
func TestBrokerCalls(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "t"))
	c := testClient(t, spec)
	conn, topic := leaderConn(t, c, "t", 0)
	for i := range 3 {
		b := testBatch(t, 0, 10, "x")
		ts := 1_700_000_000_000 + int64(i)*1000
		b.SetTimestamps(ts, ts)
		b.UpdateCRC()
		if r := get(t, produceAsync(t, conn, &ProduceRequest{Timeout: time.Second, Partitions: []ProducePartition{
			{Topic: "t", TopicID: topic.ID, Partition: 0, Batch: b},
		}})); r.err != nil || r.Partitions[0].ErrorCode != 0 {
			t.Fatalf("%+v", r)
		}
	}
	for name, b := range map[string]Broker{"shared": c.Broker(conn.cfg.broker), "own": conn.Broker()} {
		t.Run(name, func(t *testing.T) { checkBrokerCalls(t, c, b) })
	}
	if err := load.DeleteRecords(testContext(t), []kgo.Opt{kgo.SeedBrokers(spec.Bootstrap...)}, "t", 0, 15); err != nil {
		t.Fatal(err)
	}
	got, err := conn.Broker().ListOffsets(testContext(t), ReadUncommitted, []OffsetQuery{{"t", 0, -1, Earliest}})
	if err != nil || got[0].Offset != 15 {
		t.Fatal(got, err)
	}
}

func checkBrokerCalls(t *testing.T, c *Client, b Broker) {
	ctx := testContext(t)
	for _, want := range []struct {
		iso  Isolation
		at   int64
		want int64
	}{
		{ReadUncommitted, Latest, 30}, {ReadCommitted, Latest, 30}, {ReadUncommitted, Earliest, 0},
		{ReadUncommitted, 1_700_000_001_000, 10}, {ReadUncommitted, 1_800_000_000_000, -1},
	} {
		got, err := b.ListOffsets(ctx, want.iso, []OffsetQuery{{"absent", 0, -1, want.at}, {"t", 0, -1, want.at}, {"t", 1, -1, want.at}})
		if err != nil {
			t.Fatal(err)
		}
		if !errors.Is(got[0].Err, kerr.UnknownTopicOrPartition) || got[1].Err != nil || got[1].Offset != want.want || got[2].Offset > 0 {
			t.Errorf("%+v: %+v", want, got)
		}
	}
	if _, err := b.ListOffsets(ctx, ReadUncommitted, []OffsetQuery{{"t", 0, -1, Latest}, {"t", 0, -1, Earliest}}); err == nil {
		t.Error("a partition asked for twice is taken")
	}
	m, err := c.Metadata(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	epoch := m.Topics[0].Partitions[0].LeaderEpoch
	if e, end, err := b.OffsetForLeaderEpoch(ctx, "t", 0, epoch, epoch); e != epoch || end != 30 || err != nil {
		t.Error(e, end, err)
	}
	if _, _, err := b.OffsetForLeaderEpoch(ctx, "t", 0, epoch+5, epoch); !errors.Is(err, kerr.UnknownLeaderEpoch) {
		t.Error(err)
	}
	if _, err := b.DescribeProducers(ctx, "t", 0); err != nil {
		t.Error(err)
	}
	if _, err := b.DescribeProducers(ctx, "absent", 0); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Error(err)
	}
	one, _, err := b.InitProducerID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if two, _, err := b.InitProducerID(ctx); err != nil || two == one {
		t.Error(one, two, err)
	}
}

// TestRequestThrough passes a request that this package does not know by
// name over a Conn.
func TestRequestThrough(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	conn, _ := leaderConn(t, testClient(t, spec), "t", 0)
	req := kmsg.NewPtrDescribeClusterRequest()
	resp, err := req.RequestWith(testContext(t), conn)
	if err != nil || len(resp.Brokers) != 1 {
		t.Fatalf("%+v %v", resp, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := conn.Request(ctx, kmsg.NewPtrDescribeClusterRequest()); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if resp, err = req.RequestWith(testContext(t), conn); err != nil || len(resp.Brokers) != 1 {
		t.Fatalf("after a request given up: %+v %v", resp, err)
	}
}

// TestInitProducerIDWhileLoading: the broker has no block of ids yet.
func TestInitProducerIDWhileLoading(t *testing.T) {
	cluster, spec := testCluster(t, kfake.NumBrokers(1))
	refused := 0
	cluster.ControlKey(22, func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if refused++; refused > 2 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ErrorCode = kerr.CoordinatorLoadInProgress.Code
		return resp, nil, true
	})
	c := testClient(t, spec)
	if id, _, err := c.Broker(0).InitProducerID(testContext(t)); err != nil || id < 0 || refused != 3 {
		t.Fatal(id, err, refused)
	}
}

package kafka

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"sluice/fsm"
	"sluice/kafka/record"
)

// testBatch returns a batch of n uncompressed records with the given values
// repeated, complete but for a producer.
func testBatch(t testing.TB, baseOffset int64, n int, value string) record.Batch {
	t.Helper()
	var b record.Builder
	for range n {
		b.Add(&record.Record{Timestamp: 1_700_000_000_000, Value: []byte(value)})
	}
	batch, err := record.NewCodec().Build(nil, record.CodecNone, &b)
	if err != nil {
		t.Fatal(err)
	}
	batch.SetBaseOffset(baseOffset)
	return batch
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// testCluster starts a kfake cluster and returns a spec that reaches it.
func testCluster(t testing.TB, opts ...kfake.Opt) (*kfake.Cluster, fsm.KafkaCluster) {
	t.Helper()
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, fsm.KafkaCluster{Name: "k", Bootstrap: c.ListenAddrs()}
}

func testPool(t testing.TB, change ...func(*Config)) *Pool {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Secrets.Folders = []string{os.TempDir()}
	for _, f := range change {
		f(&cfg)
	}
	p, err := NewPool(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func testClient(t testing.TB, spec fsm.KafkaCluster) *Client {
	t.Helper()
	c, err := testPool(t).Client(testContext(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// leaderConn dials the leader of a partition.
func leaderConn(t testing.TB, c *Client, topic string, partition int) (*Conn, TopicMetadata) {
	t.Helper()
	ctx := testContext(t)
	m, err := c.Metadata(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Topics[0].Err; err != nil {
		t.Fatal(err)
	}
	conn, err := c.Dial(ctx, m.Topics[0].Partitions[partition].Leader)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); <-conn.Done() })
	return conn, m.Topics[0]
}

// produced is what a produce callback was given, copied.
type produced struct {
	ProduceResponse
	err error
}

// produceAsync queues req and returns where its answer will come.
func produceAsync(t testing.TB, c *Conn, req *ProduceRequest) <-chan produced {
	t.Helper()
	out := make(chan produced, 1)
	err := c.Produce(req, func(r ProduceResponse, err error) {
		r.Partitions = append([]ProducedPartition(nil), r.Partitions...)
		out <- produced{r, err}
	})
	if err != nil {
		out <- produced{err: err}
	}
	return out
}

type fetched struct {
	FetchResponse
	err error
}

func fetchAsync(t testing.TB, c *Conn, req *FetchRequest) <-chan fetched {
	t.Helper()
	out := make(chan fetched, 1)
	if err := c.Fetch(req, func(r FetchResponse, err error) { out <- fetched{r, err} }); err != nil {
		out <- fetched{err: err}
	}
	return out
}

// get waits for a value from an asynchronous call.
func get[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("no answer of type %T", *new(T))
		panic("unreachable")
	}
}

func brokerAt(t testing.TB, addr string) BrokerInfo {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return BrokerInfo{Host: host, Port: int32(n)}
}

func loopback() []net.IP { return []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback} }

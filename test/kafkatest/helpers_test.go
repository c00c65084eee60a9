package kafkatest

import (
	"context"
	"encoding/binary"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/test/kafkalab"
	"sluice/test/scratch"
)

// TestMain gives the tests the passwords that specs name.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"KAFKATEST_PASSWORD": kafkalab.Password, "KAFKATEST_WRONG": "wr0ng"} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(scratch.In(m).Run())
}

// versions are the releases that every test of the protocol runs on.
func versions() []string { return []string{kafkalab.V3, kafkalab.V4} }

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// specOf reaches one listener of a cluster.
func specOf(c *kafkalab.Cluster, l kafkalab.Listener) fsm.KafkaCluster {
	spec := fsm.KafkaCluster{Name: c.Version() + "-" + l.Name, Bootstrap: c.BootstrapFor(l)}
	if l.TLS {
		spec.TLS = &fsm.TLS{CA: "${file:" + c.CAFile() + "}"}
		if l.Name == kafkalab.MutualTLS().Name {
			cert, key := c.ClientCertFiles()
			spec.TLS.Cert, spec.TLS.Key = "${file:"+cert+"}", "${file:"+key+"}"
		}
	}
	if l.SASL != "" {
		spec.SASL = &fsm.SASL{Mechanism: l.SASL, Username: kafkalab.User, Password: "${env:KAFKATEST_PASSWORD}"}
	}
	return spec
}

func newClient(t testing.TB, spec fsm.KafkaCluster) *kafka.Client {
	t.Helper()
	cfg := kafka.DefaultConfig()
	cfg.Secrets = kafka.Secrets{Folders: []string{"/"}, Env: []string{"KAFKATEST_"}}
	p, err := kafka.NewPool(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	c, err := p.Client(testContext(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newTopic makes a topic and returns it once every leader leads: a broker
// tells of itself as leader a moment before it takes requests as such.
func newTopic(t testing.TB, c *kafka.Client, name string, partitions int32) kafka.TopicMetadata {
	t.Helper()
	ctx := testContext(t)
	if _, err := c.CreateTopic(ctx, kafka.CreateTopic{
		Name: name, Partitions: partitions, ReplicationFactor: 1, Configs: map[string]string{"retention.ms": "-1"},
	}); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := c.Metadata(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		topic := m.Topics[0]
		ready := topic.Err == nil && len(topic.Partitions) == int(partitions)
		for _, p := range topic.Partitions {
			ready = ready && p.Leader >= 0 && p.Err == nil && leads(ctx, c, name, p)
		}
		if ready {
			return topic
		}
	}
}

func leads(ctx context.Context, c *kafka.Client, topic string, p kafka.PartitionMetadata) bool {
	got, err := c.Broker(p.Leader).ListOffsets(ctx, kafka.ReadUncommitted, []kafka.OffsetQuery{
		{Topic: topic, Partition: p.Partition, LeaderEpoch: p.LeaderEpoch, Timestamp: kafka.Latest},
	})
	return err == nil && got[0].Err == nil
}

func dial(t testing.TB, c *kafka.Client, broker int32) *kafka.Conn {
	t.Helper()
	conn, err := c.Dial(testContext(t), broker)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); <-conn.Done() })
	return conn
}

// newBatch returns a batch of n uncompressed records of size bytes each, made
// at ms since 1970.
func newBatch(n, size int, ms int64) record.Batch {
	b := make(record.Batch, record.HeaderSize, record.HeaderSize+n*(size+20))
	b[16] = 2 // magic
	b.SetLeaderEpoch(-1)
	b.SetTimestamps(ms, ms)
	b.SetProducer(-1, -1, -1)
	b.SetLastOffsetDelta(int32(n - 1))
	b.SetCount(int32(n))
	for i := range n {
		r := make([]byte, 0, size+16)
		r = append(r, 0, 0) // attributes, timestamp delta
		r = binary.AppendVarint(r, int64(i))
		r = binary.AppendVarint(r, -1) // no key
		r = binary.AppendVarint(r, int64(size))
		r = append(r, make([]byte, size)...)
		r = append(r, 0) // no headers
		b = append(binary.AppendVarint(b, int64(len(r))), r...)
	}
	b.SetLength()
	b.UpdateCRC()
	return b
}

func now() int64 { return time.Now().UnixMilli() }

type answer struct {
	kafka.ProducedPartition
	err error
}

// produce queues one batch and returns where its answer will come.
func produce(c *kafka.Conn, topic kafka.TopicMetadata, partition int32, b record.Batch) <-chan answer {
	out := make(chan answer, 1)
	req := &kafka.ProduceRequest{Timeout: 10 * time.Second, Partitions: []kafka.ProducePartition{
		{Topic: topic.Name, TopicID: topic.ID, Partition: partition, Batch: b},
	}}
	err := c.Produce(req, func(r kafka.ProduceResponse, err error) {
		if err != nil {
			out <- answer{err: err}
			return
		}
		out <- answer{r.Partitions[0], nil}
	})
	if err != nil {
		out <- answer{err: err}
	}
	return out
}

// fetch returns a response of one partition from offset on.
func fetch(t testing.TB, c *kafka.Conn, topic kafka.TopicMetadata, partition int32, offset int64) kafka.FetchResponse {
	t.Helper()
	out := make(chan kafka.FetchResponse, 1)
	req := &kafka.FetchRequest{
		MaxWait: 5 * time.Second, MinBytes: 1, MaxBytes: 1 << 20, Isolation: kafka.ReadCommitted, SessionEpoch: -1,
		Partitions: []kafka.FetchPartition{{
			Topic: topic.Name, TopicID: topic.ID, Partition: partition, Offset: offset,
			LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: 1 << 20,
		}},
	}
	if err := c.Fetch(req, func(r kafka.FetchResponse, err error) {
		if err != nil {
			t.Error(err)
		}
		out <- r
	}); err != nil {
		t.Fatal(err)
	}
	r := <-out
	if r.Err != nil || r.Buf == nil {
		t.Fatalf("fetch: %v", r.Err)
	}
	t.Cleanup(r.Buf.Release)
	return r
}

func deleteTopic(t testing.TB, c *kafka.Client, name string) error {
	t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = &name
	req.TopicNames, req.Topics, req.TimeoutMillis = []string{name}, append(req.Topics, topic), 10000
	resp, err := req.RequestWith(testContext(t), c.Kgo())
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

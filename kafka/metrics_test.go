package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"sluice/test/scrape"
)

// TestCollector scrapes a pool before, while and after a Conn lives.
func TestCollector(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	p := testPool(t)
	c, err := p.Client(testContext(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	conn, topic := leaderConn(t, c, "t", 0)
	if r := get(t, produceAsync(t, conn, &ProduceRequest{Timeout: time.Second, Partitions: []ProducePartition{
		{Topic: "t", TopicID: topic.ID, Batch: testBatch(t, 0, 1, "x")},
	}})); r.err != nil {
		t.Fatal(r.err)
	}
	check := func(want scrape.Samples) {
		t.Helper()
		scrape.Of(t, p.Collector()).Want(t, want)
	}
	s := conn.Stats()
	const of = `{cluster="k"}`
	traffic := scrape.Samples{
		"sluice_kafka_connections" + of: 1, "sluice_kafka_requests_total" + of: 1, "sluice_kafka_responses_total" + of: 1,
		"sluice_kafka_sent_bytes_total" + of: float64(s.BytesOut), "sluice_kafka_received_bytes_total" + of: float64(s.BytesIn),
		"sluice_kafka_throttled_seconds_total" + of: 0, "sluice_kafka_idle_buffer_bytes": 0,
	}
	check(traffic)
	conn.Close()
	get(t, conn.Done())
	traffic["sluice_kafka_connections"+of] = 0
	check(traffic)
}

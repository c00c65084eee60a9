package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
)

// TestCollector scrapes a pool before, while and after a Conn lives.
func TestCollector(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	p := testPool(t)
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(p.Collector()); err != nil {
		t.Fatal(err)
	}
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
	check := func(want map[string]float64) {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			m := f.GetMetric()[0]
			got[strings.TrimPrefix(f.GetName(), "sluice_kafka_")] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			if len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() != "k" {
				t.Errorf("%v", m)
			}
		}
		for name, value := range want {
			if v, ok := got[name]; !ok || v != value {
				t.Errorf("%s is %v, want %v", name, v, value)
			}
		}
	}
	s := conn.Stats()
	traffic := map[string]float64{
		"connections": 1, "requests_total": 1, "responses_total": 1,
		"sent_bytes_total": float64(s.BytesOut), "received_bytes_total": float64(s.BytesIn),
		"throttled_seconds_total": 0, "idle_buffer_bytes": 0,
	}
	check(traffic)
	conn.Close()
	get(t, conn.Done())
	traffic["connections"] = 0
	check(traffic)
}

package kafka

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ConnStats are the counters of one Conn since it was dialled.
type ConnStats struct {
	BytesIn, BytesOut   int64 // on the wire, without TLS
	Requests, Responses int64
	Throttled           time.Duration // asked for by the broker, in sum
}

// counters count what ConnStats says, for one Conn or for all of a Kafka
// cluster.
type counters struct {
	conns, bytesIn, bytesOut, requests, responses, throttledNanos atomic.Int64
}

// connCounters are a Conn's own counters, which add to those of its cluster.
type connCounters struct {
	own   counters
	total *counters
}

func (c *connCounters) open()  { c.total.conns.Add(1) }
func (c *connCounters) close() { c.total.conns.Add(-1) }

func (c *connCounters) wrote(size int) {
	c.own.bytesOut.Add(int64(size))
	c.own.requests.Add(1)
	c.total.bytesOut.Add(int64(size))
	c.total.requests.Add(1)
}

func (c *connCounters) got(size int) {
	c.own.bytesIn.Add(int64(size))
	c.own.responses.Add(1)
	c.total.bytesIn.Add(int64(size))
	c.total.responses.Add(1)
}

func (c *connCounters) throttled(d time.Duration) {
	c.own.throttledNanos.Add(int64(d))
	c.total.throttledNanos.Add(int64(d))
}

func (c *connCounters) read() ConnStats {
	return ConnStats{
		BytesIn: c.own.bytesIn.Load(), BytesOut: c.own.bytesOut.Load(),
		Requests: c.own.requests.Load(), Responses: c.own.responses.Load(),
		Throttled: time.Duration(c.own.throttledNanos.Load()),
	}
}

// clusterMetric is one exported counter, labelled by Kafka cluster.
type clusterMetric struct {
	name, help string
	kind       prometheus.ValueType
	value      func(*counters) float64
}

func clusterMetrics() []clusterMetric {
	return []clusterMetric{
		{"sluice_kafka_connections", "Fetch and produce connections of this node to the Kafka cluster that are open now.", prometheus.GaugeValue,
			func(c *counters) float64 { return float64(c.conns.Load()) }},
		{"sluice_kafka_received_bytes_total", "Bytes of fetch and produce responses, without TLS, that this node has read from the Kafka cluster since it started.", prometheus.CounterValue,
			func(c *counters) float64 { return float64(c.bytesIn.Load()) }},
		{"sluice_kafka_sent_bytes_total", "Bytes of fetch and produce requests, without TLS, that this node has written to the Kafka cluster since it started.", prometheus.CounterValue,
			func(c *counters) float64 { return float64(c.bytesOut.Load()) }},
		{"sluice_kafka_requests_total", "Fetch and produce requests that this node has written to the Kafka cluster since it started.", prometheus.CounterValue,
			func(c *counters) float64 { return float64(c.requests.Load()) }},
		{"sluice_kafka_responses_total", "Fetch and produce responses that this node has read from the Kafka cluster since it started.", prometheus.CounterValue,
			func(c *counters) float64 { return float64(c.responses.Load()) }},
		{"sluice_kafka_throttled_seconds_total", "Seconds that the Kafka cluster's brokers asked this node to wait because of a quota, in sum since it started; from their answers.", prometheus.CounterValue,
			func(c *counters) float64 { return time.Duration(c.throttledNanos.Load()).Seconds() }},
	}
}

func (m *clusterMetric) desc() *prometheus.Desc {
	return prometheus.NewDesc(m.name, m.help, []string{"cluster"}, nil)
}

func idleDesc() *prometheus.Desc {
	return prometheus.NewDesc("sluice_kafka_idle_buffer_bytes", "Bytes of memory that this node keeps for record batches and does not use now.", nil, nil)
}

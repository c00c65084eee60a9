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
	MutedUntil          time.Time     // until when it last asked for silence, by a quota; zero: it never did
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
		{"sluice_kafka_connections", "Open fetch and produce connections.", prometheus.GaugeValue,
			func(c *counters) float64 { return float64(c.conns.Load()) }},
		{"sluice_kafka_received_bytes_total", "Bytes of responses read.", prometheus.CounterValue,
			func(c *counters) float64 { return float64(c.bytesIn.Load()) }},
		{"sluice_kafka_sent_bytes_total", "Bytes of requests written.", prometheus.CounterValue,
			func(c *counters) float64 { return float64(c.bytesOut.Load()) }},
		{"sluice_kafka_requests_total", "Requests written.", prometheus.CounterValue,
			func(c *counters) float64 { return float64(c.requests.Load()) }},
		{"sluice_kafka_responses_total", "Responses read.", prometheus.CounterValue,
			func(c *counters) float64 { return float64(c.responses.Load()) }},
		{"sluice_kafka_throttled_seconds_total", "Time that brokers asked to wait.", prometheus.CounterValue,
			func(c *counters) float64 { return time.Duration(c.throttledNanos.Load()).Seconds() }},
	}
}

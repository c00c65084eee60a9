package transport

import "github.com/prometheus/client_golang/prometheus"

// collector turns stats into Prometheus metrics at each scrape.
type collector struct {
	t                                       *Transport
	conns, handshakes, bytes, refused, drop *prometheus.Desc
	dialFailed                              *prometheus.Desc
}

// Collector returns the transport's metrics: sluice_transport_*.
func (t *Transport) Collector() prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_transport_"+name, help, labels, nil)
	}
	return &collector{
		t:          t,
		conns:      desc("connections", "Connections to (out) and from (in) other nodes that are open now, by what they carry.", "kind", "direction"),
		handshakes: desc("handshakes_total", "Handshakes with other nodes that succeeded since this node started.", "kind", "direction"),
		bytes:      desc("bytes_total", "Bytes to (out) and from (in) other nodes, without TLS, since this node started.", "kind", "direction"),
		refused:    desc("refused_total", "Connections that this node has refused since it started, by the reason.", "code"),
		dialFailed: desc("dial_failures_total", "Dials to other nodes that failed or were refused since this node started."),
		drop:       desc("gossip_packets_dropped_total", "Gossip packets that this node has dropped since it started, because a queue was full."),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.conns, c.handshakes, c.bytes, c.refused, c.dialFailed, c.drop} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	s := &c.t.stats
	open := c.t.countOpen()
	for i, name := range kindNames {
		counter(c.handshakes, s.acceptedBy[i].Load(), name, "in")
		counter(c.handshakes, s.dialledBy[i].Load(), name, "out")
		counter(c.bytes, s.inBy[i].Load(), name, "in")
		counter(c.bytes, s.outBy[i].Load(), name, "out")
		ch <- prometheus.MustNewConstMetric(c.conns, prometheus.GaugeValue, float64(open[i].in), name, "in")
		ch <- prometheus.MustNewConstMetric(c.conns, prometheus.GaugeValue, float64(open[i].out), name, "out")
	}
	for i, code := range refusalCodes {
		counter(c.refused, s.refusedBy[i].Load(), code)
	}
	counter(c.dialFailed, s.dialFailed.Load())
	counter(c.drop, s.packetsDropped.Load())
}

type openConns struct{ in, out int }

func (t *Transport) countOpen() (open [len(kindNames)]openConns) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.conns {
		if c.inbound {
			open[c.kind-KindRaft].in++
		} else {
			open[c.kind-KindRaft].out++
		}
	}
	return open
}

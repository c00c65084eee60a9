package pki

import "github.com/prometheus/client_golang/prometheus"

// collector turns what a node holds into Prometheus metrics at each scrape.
type collector struct {
	held           func() []Held
	until, refused *prometheus.Desc
}

// Collector returns the metrics of the certificates that a node holds:
// sluice_certificate_*.
func Collector(held func() []Held) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_certificate_"+name, help, labels, nil)
	}
	return collector{
		held: held,
		until: desc("expiration_timestamp_seconds", "When a certificate that this node uses ends, or an authority above it, in seconds since 1970; "+
			"by its use (peer: shown to other nodes, peer-ca: an authority that may sign nodes, http: the API's) and the name of its subject, of several with one name the first to end.", "use", "name"),
		refused: desc("files_refused", "1: what stands in the certificate's files now cannot be used, and this node goes on with what it read before; mend them before it is restarted. 0: they are in use.", "use"),
	}
}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.until
	ch <- c.refused
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	type series struct{ use, name string }
	first := map[series]float64{}
	for _, h := range c.held() {
		s := series{h.Use, h.Name}
		if until, ok := first[s]; !ok || float64(h.Until.Unix()) < until {
			first[s] = float64(h.Until.Unix())
		}
		if h.Use == UsePeerCA { // read with the node's own
			continue
		}
		refused := 0.0
		if h.Fault != "" {
			refused = 1
		}
		gauge(c.refused, refused, h.Use)
	}
	for s, until := range first {
		gauge(c.until, until, s.use, s.name)
	}
}

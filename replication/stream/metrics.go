package stream

import "github.com/prometheus/client_golang/prometheus"

// collector exports the node's streams: sluice_replication_*.
type collector struct {
	r                         *Runner
	records, bytes, batches   *prometheus.Desc
	streams, memory, memLimit *prometheus.Desc
}

// Collector returns the metrics of this node's streams.
func (r *Runner) Collector() prometheus.Collector {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_replication_"+name, help, labels, nil)
	}
	return &collector{
		r:        r,
		records:  d("records_total", "Records acknowledged by targets since the node started."),
		bytes:    d("bytes_total", "Bytes of record batches acknowledged by targets since the node started."),
		batches:  d("batches_total", "Record batches acknowledged by targets since the node started."),
		streams:  d("streams", "Streams that this node runs, by state.", "state"),
		memory:   d("memory_used_bytes", "Bytes of record batches held."),
		memLimit: d("memory_limit_bytes", "Bytes of record batches that may be held."),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	st := c.r.Stats()
	counter(c.records, st.Records)
	counter(c.bytes, st.Bytes)
	counter(c.batches, st.Batches)
	used, limit := c.r.budget.Used()
	gauge(c.memory, used)
	gauge(c.memLimit, limit)
	states := map[string]int64{}
	for _, s := range c.r.running() {
		states[string(s.progress.measure().State)]++
	}
	for state, n := range states {
		gauge(c.streams, n, state)
	}
}

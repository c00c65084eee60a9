package stream

import (
	"github.com/prometheus/client_golang/prometheus"

	"sluice/fsm"
	"sluice/fsm/reason"
)

// collector exports what the node's streams did: sluice_replication_* of all of
// them, and the counters of sluice_link_*.
type collector struct {
	r                                            *Runner
	records, bytes, batches, memory, memoryLimit *prometheus.Desc
	linkRecords, linkBytes, linkLast, linkStops  *prometheus.Desc
	linkFiltered                                 *prometheus.Desc
}

// Collector returns the metrics of this node's streams.
func (r *Runner) Collector() prometheus.Collector {
	all := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_replication_"+name, help, nil, nil)
	}
	of := func(name, help string, label string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_link_"+name, help, []string{"link", label}, nil)
	}
	return &collector{
		r:            r,
		records:      all("records_total", "Records that targets have acknowledged to this node since it started; from their brokers' answers."),
		bytes:        all("bytes_total", "Bytes of record batches, compressed as they are, that targets have acknowledged to this node since it started; from their brokers' answers."),
		batches:      all("batches_total", "Record batches that targets have acknowledged to this node since it started; from their brokers' answers."),
		memory:       all("memory_used_bytes", "Bytes of memory that this node has reserved now for record batches, and for opening those that cannot pass as they are."),
		memoryLimit:  all("memory_limit_bytes", "Bytes of record batches that this node may hold in memory; memory in node.yaml."),
		linkRecords:  of("records_total", "Records of the topic that the target has acknowledged to this node since it started; from its brokers' answers.", "topic"),
		linkBytes:    of("bytes_total", "Bytes of record batches of the topic, compressed as they are, that the target has acknowledged to this node since it started; from its brokers' answers.", "topic"),
		linkLast:     of("last_copied_timestamp_seconds", "When the target last acknowledged a batch of the topic to this node, in seconds since 1970 by this node's clock; absent: it has not since the node started.", "topic"),
		linkFiltered: prometheus.NewDesc("sluice_link_filtered_records_total", "Records of the topic that the link's filter left out or changed on this node since it started, by outcome: dropped, changed, unparseable (left out because the filter could not be applied to them); from its streams; absent: the link has no filter.", []string{"link", "topic", "outcome"}, nil),
		linkStops:    of("stops_total", "Streams that this node has stopped since it started, by reason code; from the facts.", "code"),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.records, c.bytes, c.batches, c.memory, c.memoryLimit, c.linkRecords, c.linkBytes, c.linkLast, c.linkStops, c.linkFiltered} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	st := c.r.Stats()
	counter(c.records, st.Records)
	counter(c.bytes, st.Bytes)
	counter(c.batches, st.Batches)
	used, limit := c.r.budget.Used()
	gauge(c.memory, float64(used))
	gauge(c.memoryLimit, float64(limit))

	v := c.r.ctl.View()
	for _, id := range c.r.counts.unsettled() {
		c.r.counts.settle(v, id, false)
	}
	copied, filtered := c.r.counts.forget(v)
	for k, n := range copied {
		link := named(v, k.link)
		if link == "" {
			continue
		}
		records, bytes, last := n.Read()
		counter(c.linkRecords, records, link, k.topic)
		counter(c.linkBytes, bytes, link, k.topic)
		if !last.IsZero() {
			gauge(c.linkLast, float64(last.UnixMilli())/1000, link, k.topic)
		}
	}
	for k, n := range filtered {
		link := named(v, k.link)
		if link == "" {
			continue
		}
		counter(c.linkFiltered, n.Dropped, link, k.topic, "dropped")
		counter(c.linkFiltered, n.Changed, link, k.topic, "changed")
		counter(c.linkFiltered, n.Unparseable, link, k.topic, "unparseable")
	}
	for _, l := range v.Links {
		link := named(v, l.ID)
		if link == "" {
			continue
		}
		for _, code := range reason.Stops() {
			counter(c.linkStops, c.r.counts.stopsOf(l.ID, code), link, string(code))
		}
	}
}

// named is the name of a link; empty: it is gone, or is being deleted while
// another has its name already.
func named(v *fsm.View, id fsm.LinkID) string {
	l := v.Link(id)
	if l == nil || v.LinkNamed(l.Spec.Name) != l {
		return ""
	}
	return l.Spec.Name
}

package cluster

import "github.com/prometheus/client_golang/prometheus"

// collector turns a node's state into Prometheus metrics at each scrape.
type collector struct {
	n         *Node
	gauges    []nodeGauge
	age       *prometheus.Desc
	members   *prometheus.Desc
	dropped   *prometheus.Desc
	takeovers *prometheus.Desc
}

// nodeGauge is a figure that a node always knows.
type nodeGauge struct {
	desc  *prometheus.Desc
	value func(*Node, *Status) float64
}

// Collector returns the node's metrics: sluice_cluster_*, and the takeovers of
// each link.
func (n *Node) Collector() prometheus.Collector {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_cluster_"+name, help, labels, nil)
	}
	return collector{
		n: n,
		gauges: []nodeGauge{
			{d("quorum", "1: a leader has confirmed this node's facts lately, changes are possible. 0: none has."), func(_ *Node, s *Status) float64 { return oneIf(s.Quorum) }},
			{d("is_leader", "1: this node leads. 0: it does not; from its Raft."), func(_ *Node, s *Status) float64 { return oneIf(s.Leader == s.Self) }},
			{d("raft_term", "Raft's term on this node."), func(_ *Node, s *Status) float64 { return float64(s.Term) }},
			{d("index", "Raft index of the facts that this node knows."), func(_ *Node, s *Status) float64 { return float64(s.Index) }},
			{d("feature_level", "Feature level of the facts: what all nodes know."), func(_ *Node, s *Status) float64 { return float64(s.Feature) }},
			{d("disk_fails", "1: the last write of Raft to this node's data dir failed. 0: it did not."), func(n *Node, _ *Status) float64 { return oneIf(n.consensus.unwritable()) }},
			{d("tasks_running", "Tasks of all kinds that run on this node."), func(n *Node, _ *Status) float64 { return float64(n.reconciler.running.Load()) }},
			{d("events_waiting", "Events of this node that wait for a quorum before they are kept."), func(n *Node, _ *Status) float64 { waiting, _ := n.events.state(); return float64(waiting) }},
		},
		age:     d("leader_confirmed_age_seconds", "Age of this node's facts: seconds since a leader confirmed them; absent: none has since the node started."),
		members: d("members", "Members of the cluster, by what this node's own reports tell of them.", "life"),
		dropped: d("events_dropped_total", "Events of this node that were lost since it started, because too many waited for a quorum."),
		takeovers: prometheus.NewDesc("sluice_link_takeovers_total",
			"Streams of the link that this node took from another one since it started, handed over or after its death; from the facts.", []string{"link"}, nil),
	}
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, g := range c.gauges {
		ch <- g.desc
	}
	for _, d := range []*prometheus.Desc{c.age, c.members, c.dropped, c.takeovers} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	s := c.n.Status()
	for _, g := range c.gauges {
		gauge(g.desc, g.value(c.n, &s))
	}
	if s.Confirmed {
		gauge(c.age, s.LeaderAge.Seconds())
	}
	lives := map[Life]int{LifeAlive: 0, LifeSilent: 0, LifeDead: 0}
	for _, m := range s.Members {
		lives[m.Life]++
	}
	for life, count := range lives {
		gauge(c.members, float64(count), string(life))
	}
	_, dropped := c.n.events.state()
	counter(c.dropped, float64(dropped))
	v := c.n.View()
	takeovers := c.n.reconciler.takeovers(v)
	for _, l := range v.Links {
		if v.LinkNamed(l.Spec.Name) == l { // one that is being deleted may have a successor of its name
			counter(c.takeovers, float64(takeovers[l.ID]), l.Spec.Name)
		}
	}
}

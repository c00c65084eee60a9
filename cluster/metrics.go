package cluster

import "github.com/prometheus/client_golang/prometheus"

// collector turns a node's state into Prometheus metrics at each scrape.
type collector struct{ n *Node }

// Collector returns the node's metrics: sluice_cluster_*.
func (n *Node) Collector() prometheus.Collector { return collector{n} }

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	emit := func(kind prometheus.ValueType, name, help string, v float64, labels prometheus.Labels) {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("sluice_cluster_"+name, help, nil, labels), kind, v)
	}
	gauge := func(name, help string, v float64) { emit(prometheus.GaugeValue, name, help, v, nil) }
	s := c.n.Status()
	leads, age := 0.0, -1.0
	if s.Leader == s.Self {
		leads = 1
	}
	if s.Confirmed {
		age = s.LeaderAge.Seconds()
	}
	gauge("is_leader", "1 if this node leads.", leads)
	gauge("raft_term", "Raft's term.", float64(s.Term))
	gauge("index", "Index of the facts that this node knows.", float64(s.Index))
	gauge("feature_level", "What all nodes know and the facts may hold.", float64(s.Feature))
	gauge("leader_confirmed_age_seconds", "Seconds since a leader confirmed this node's facts, -1: never.", age)
	lives := map[Life]int{LifeAlive: 0, LifeSilent: 0, LifeDead: 0}
	for _, m := range s.Members {
		lives[m.Life]++
	}
	for life, count := range lives {
		emit(prometheus.GaugeValue, "members", "Members of the cluster.", float64(count), prometheus.Labels{"life": string(life)})
	}
	gauge("tasks_running", "Tasks that run on this node.", float64(c.n.reconciler.running.Load()))
	waiting, dropped := c.n.events.state()
	gauge("events_waiting", "Events that wait for a quorum.", float64(waiting))
	emit(prometheus.CounterValue, "events_dropped_total", "Events dropped because too many waited.", float64(dropped), nil)
}

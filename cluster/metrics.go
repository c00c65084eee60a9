package cluster

import "github.com/prometheus/client_golang/prometheus"

// collector turns a node's state into Prometheus metrics at each scrape.
type collector struct {
	n                              *Node
	leader, term, index, leaderAge *prometheus.Desc
	members, tasks, waiting, lost  *prometheus.Desc
}

// Collector returns the node's metrics: sluice_cluster_*.
func (n *Node) Collector() prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_cluster_"+name, help, labels, nil)
	}
	return &collector{
		n:         n,
		leader:    desc("is_leader", "1 if this node leads."),
		term:      desc("raft_term", "Raft's term."),
		index:     desc("index", "Index of the facts that this node knows."),
		leaderAge: desc("leader_confirmed_age_seconds", "Seconds since a leader confirmed this node's facts, -1: never."),
		members:   desc("members", "Members of the cluster.", "life"),
		tasks:     desc("tasks_running", "Tasks that run on this node."),
		waiting:   desc("events_waiting", "Events that wait for a quorum."),
		lost:      desc("events_dropped_total", "Events dropped because too many waited."),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.leader, c.term, c.index, c.leaderAge, c.members, c.tasks, c.waiting, c.lost} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := c.n.Status()
	leads, age := 0.0, -1.0
	if s.Leader == s.Self {
		leads = 1
	}
	if s.Confirmed {
		age = s.LeaderAge.Seconds()
	}
	gauge(c.leader, leads)
	gauge(c.term, float64(s.Term))
	gauge(c.index, float64(s.Index))
	gauge(c.leaderAge, age)
	lives := map[Life]int{LifeAlive: 0, LifeSilent: 0, LifeDead: 0}
	for _, m := range s.Members {
		lives[m.Life]++
	}
	for life, count := range lives {
		gauge(c.members, float64(count), string(life))
	}
	gauge(c.tasks, float64(c.n.reconciler.running.Load()))
	waiting, dropped := c.n.events.state()
	gauge(c.waiting, float64(waiting))
	ch <- prometheus.MustNewConstMetric(c.lost, prometheus.CounterValue, float64(dropped))
}

package api

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/fsm"
	"sluice/fsm/reason"
)

// linkCollector exports how streams do, as /v1/status shows it: sluice_link_*.
// Each node shows the streams that it owns; those that no living node owns the
// leader shows. A figure that is not known has no sample.
type linkCollector struct {
	control                                      Control
	cluster                                      Cluster
	streams, lagRecords, lagSeconds, lagUnknowns *prometheus.Desc
	topics                                       *prometheus.Desc
}

// LinkCollector returns the metrics of the links.
func LinkCollector(control Control, cluster Cluster) prometheus.Collector {
	d := func(name, help, label string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_link_"+name, help, []string{"link", label}, nil)
	}
	return &linkCollector{
		control: control, cluster: cluster,
		streams: d("streams",
			"Streams (partitions) of the link that this node owns, by reason code, each code always there; the leader adds those that no living node owns. From the facts and the streams' own state.", "state"),
		lagRecords: d("lag_records",
			"Offsets between what is copied of the topic and the source's last stable offset, in sum over the partitions that this node owns; from the source's last fetch answers. Absent while one of them is unknown.", "topic"),
		lagSeconds: d("lag_seconds",
			"Age in seconds of the last copied record of the partition that is furthest behind, of those of the topic that this node owns, 0 when all is copied; from the records' timestamps. Absent while one of them is unknown.", "topic"),
		lagUnknowns: d("lag_unknown_streams",
			"Streams (partitions) of the topic, of those counted in sluice_link_streams, whose lag in records is not known now.", "topic"),
		topics: d("topics",
			"Source topics that the link's selectors mean, by what became of them: copied, not-copied (not at all or not whole), left-out (by a rule); shown by the node that looks after the link's topics. Absent while not known.", "state"),
	}
}

// Describe implements prometheus.Collector.
func (c *linkCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.streams, c.lagRecords, c.lagSeconds, c.lagUnknowns, c.topics} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *linkCollector) Collect(ch chan<- prometheus.Metric) {
	p := newPicture(c.control.View(), c.cluster.State(), c.cluster.Members(), time.Now())
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	all := map[fsm.LinkID]*linkFigures{}
	for t := range p.v.Tasks {
		switch {
		case !p.shown(t):
		case t.Kind == fsm.KindCopy:
			figuresOf(all, t.Link).add(p.task(t))
		case t.Kind == fsm.KindLink:
			figuresOf(all, t.Link).topics = true
		}
	}
	for _, l := range p.v.Links {
		name := l.Spec.Name
		if p.v.LinkNamed(name) != l {
			continue // it is being deleted, and has a successor of its name
		}
		f := figuresOf(all, l.ID)
		for state, n := range f.states {
			gauge(c.streams, float64(n), name, string(state))
		}
		if n := p.topics(l.ID).counts; f.topics && n.Selected != nil {
			gauge(c.topics, float64(*n.Copied), name, "copied")
			gauge(c.topics, float64(*n.Selected-*n.Copied), name, "not-copied")
			gauge(c.topics, float64(*n.LeftOut), name, "left-out")
		}
		for topic, lag := range f.lags {
			gauge(c.lagUnknowns, float64(lag.unknown), name, topic)
			if lag.unknown == 0 {
				gauge(c.lagRecords, float64(lag.records), name, topic)
			}
			if lag.unknownTime == 0 {
				gauge(c.lagSeconds, lag.seconds, name, topic)
			}
		}
	}
}

// shown reports whether this node's metrics tell of the task.
func (p *picture) shown(t *fsm.Task) bool {
	self := p.state.NodeID
	return t.Owner == self || p.state.Leader == self && (t.Owner == "" || !p.member(t.Owner).Alive)
}

// linkFigures sums up the streams of a link.
type linkFigures struct {
	states map[fsm.Code]int
	lags   map[string]*topicLag // by source topic
	topics bool                 // this node tells of the link's topics
}

// topicLag is the lag of a topic's streams, as far as it is known.
type topicLag struct {
	unknown, unknownTime int // streams
	records              int64
	seconds              float64
}

func figuresOf(all map[fsm.LinkID]*linkFigures, id fsm.LinkID) *linkFigures {
	f := all[id]
	if f == nil {
		f = &linkFigures{states: map[fsm.Code]int{}, lags: map[string]*topicLag{}}
		for _, c := range reason.States() {
			f.states[c] = 0
		}
		all[id] = f
	}
	return f
}

func (f *linkFigures) add(t Task) {
	f.states[t.State]++
	lag := f.lags[t.Topic]
	if lag == nil {
		lag = new(topicLag)
		f.lags[t.Topic] = lag
	}
	if t.LagRecords == nil {
		lag.unknown++
	} else {
		lag.records += *t.LagRecords
	}
	if t.LagSeconds == nil {
		lag.unknownTime++
	} else {
		lag.seconds = max(lag.seconds, *t.LagSeconds)
	}
}

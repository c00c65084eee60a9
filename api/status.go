package api

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"sluice/fsm"
	"sluice/fsm/reason"
	"sluice/pki"
	"sluice/task"
	"sluice/words"
)

// status gives the whole picture; at most maxTasks tasks and maxEvents events.
func (p *picture) status(maxTasks, maxEvents int) Status {
	all := p.tasks(func(*fsm.Task) bool { return true })
	s := Status{
		Meta: p.meta("Status"), Health: Healthy, Problems: []string{}, Warnings: []string{}, ClusterID: p.v.ClusterID, Feature: p.v.Feature,
		Nodes: p.nodes(), Links: p.links(all), TaskCount: len(all), Totals: p.totals(all),
		Events: p.events(eventQuery{limit: maxEvents}).Items,
	}
	s.Tasks = all[:min(maxTasks, len(all))]
	p.diagnose(&s, all)
	return s
}

// links gives all links, worst first, one of each name: of a link that is being
// deleted while there is a new one of its name, its operation tells.
func (p *picture) links(all []Task) []Link {
	linkOf := func(i int) fsm.LinkID { return p.v.Task(all[i].ID).Link }
	size := map[fsm.LinkID]int{}
	for i := range all {
		size[linkOf(i)]++
	}
	of := make(map[fsm.LinkID][]Task, len(size))
	for id, n := range size {
		of[id] = make([]Task, 0, n)
	}
	for i := range all {
		of[linkOf(i)] = append(of[linkOf(i)], all[i])
	}
	out := []Link{}
	for _, l := range p.v.Links {
		if !l.Deleting || p.v.LinkNamed(l.Spec.Name) == l {
			out = append(out, p.link(l, of[l.ID]))
		}
	}
	slices.SortStableFunc(out, func(a, b Link) int {
		return cmp.Or(cmp.Compare(reason.SeverityOf(b.Condition), reason.SeverityOf(a.Condition)), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// diagnose says whether it is well, and why not.
func (p *picture) diagnose(s *Status, all []Task) {
	bad := func(format string, args ...any) {
		s.Health = Unhealthy
		s.Problems = append(s.Problems, fmt.Sprintf(format, args...))
	}
	for _, text := range obstacles(&p.state) {
		bad("%s", text)
	}
	for _, n := range s.Nodes {
		if text := n.unwell(); text != "" {
			bad("%s", text)
		}
	}
	problems, warnings := p.expiring(s.Nodes)
	for _, text := range problems {
		bad("%s", text)
	}
	s.Warnings = append(s.Warnings, warnings...)
	stops := stopsOf(all)
	for _, l := range s.Links {
		if l.Totals.Stopped > 0 {
			bad("link %s: %d of %s %s stopped (%s)", l.Name, l.Totals.Stopped, words.Count(l.Totals.Streams, "stream"), words.Verb(l.Totals.Stopped, "is", "are"), stops[l.Name])
		}
		if text := notCopied(l.Name, p.topics(l.ID).Topics); text != "" && l.State == fsm.StateRunning {
			bad("%s", text)
		}
		if l.State == fsm.StateRunning && s.Health == Healthy && reason.SeverityOf(l.Condition) == reason.Working {
			s.Health = Working
		}
	}
	waiting := map[fsm.Code]*waits{}
	for _, t := range all {
		switch sev := reason.SeverityOf(t.State); {
		case sev == reason.Waiting:
			if waiting[t.State] == nil {
				waiting[t.State] = &waits{}
			}
			waiting[t.State].add(t.Link)
		case sev == reason.Working && s.Health == Healthy:
			s.Health = Working
		case sev == reason.Stopped && t.Kind != fsm.KindCopy.String():
			bad("link %s: its topics are not looked after: %s", t.Link, stateOf(t))
		}
	}
	for _, c := range slices.Sorted(maps.Keys(waiting)) {
		w := waiting[c]
		bad("%s of %s %s: %s", words.Count(w.tasks, "task"), words.Named("link", w.links), words.Verb(w.tasks, "waits", "wait"), c)
	}
}

// stopsOf tells by what the streams of each link are stopped, and how many by
// each code where these are several.
func stopsOf(all []Task) map[string]string {
	count := map[string]map[fsm.Code]int{}
	for _, t := range all {
		if t.Kind == fsm.KindCopy.String() && reason.SeverityOf(t.State) == reason.Stopped {
			if count[t.Link] == nil {
				count[t.Link] = map[fsm.Code]int{}
			}
			count[t.Link][t.State]++
		}
	}
	out := map[string]string{}
	for link, codes := range count {
		var each []string
		for _, c := range slices.Sorted(maps.Keys(codes)) {
			if len(codes) == 1 {
				each = append(each, string(c))
			} else {
				each = append(each, fmt.Sprintf("%d %s", codes[c], c))
			}
		}
		out[link] = words.ListOf(each, len(each))
	}
	return out
}

// expiring says what has to be done about certificates of nodes. One that nodes
// or clients are shown is a problem within the last seven days, a warning
// before. An authority is a warning: what rests on it ends with it.
func (p *picture) expiring(nodes []Node) (problems, warnings []string) {
	for _, n := range nodes {
		m := p.member(n.ID)
		if m.Certificates == nil && n.State == "alive" {
			warnings = append(warnings, fmt.Sprintf("when the certificates of node %s end is not known: its version (%s) does not tell", n.Name, cmp.Or(n.Version, "unknown")))
		}
		for _, h := range m.Certificates {
			if text := h.Text(p.now); text != "" && h.Use != pki.UsePeerCA && h.Urgency(p.now) >= pki.Near {
				problems = append(problems, "node "+n.Name+": "+text)
			} else if text != "" {
				warnings = append(warnings, "node "+n.Name+": "+text)
			}
			if h.Fault != "" {
				warnings = append(warnings, fmt.Sprintf("node %s goes on with the certificate that it read before; mend what stands in its files now before it is restarted: %s", n.Name, h.Fault))
			}
		}
	}
	return problems, warnings
}

// obstacles are what keeps this node from the cluster, first that it hears no
// leader.
func obstacles(s *ClusterState) []string {
	out := []string{}
	switch {
	case s.Quorum:
	case s.Confirmed.IsZero():
		out = append(out, "no quorum since this node started: what it knows may be old, or nothing; it copies nothing, and nothing can be changed")
	default:
		out = append(out, "no quorum: nothing can be changed; copying goes on where it is safe")
	}
	return append(out, s.Obstacles...)
}

// waits are the tasks that wait for the same reason.
type waits struct {
	tasks int
	links []string
}

func (w *waits) add(link string) {
	w.tasks++
	if i, known := slices.BinarySearch(w.links, link); !known {
		w.links = slices.Insert(w.links, i, link)
	}
}

// stateOf is a task's reason code with what its owner says of it.
func stateOf(t Task) string {
	if t.Message == "" {
		return string(t.State)
	}
	return fmt.Sprintf("%s (%s)", t.State, t.Message)
}

// eventQuery selects events.
type eventQuery struct {
	link  string    // empty: all
	since time.Time // zero: all
	limit int
}

// knows reports whether there is a link of a name, or events of one that is
// deleted.
func (p *picture) knows(link string) bool {
	return p.v.LinkNamed(link) != nil || slices.ContainsFunc(p.v.Events, func(r fsm.LinkEvents) bool { return r.Name == link })
}

// events gives the newest events that match, newest first.
func (p *picture) events(q eventQuery) Events {
	out := Events{Meta: p.meta("EventList"), Items: []Event{}}
	for _, ring := range p.v.Events {
		name := ring.Name
		if l := p.v.Link(ring.Link); l != nil {
			name = l.Spec.Name
		}
		if q.link != "" && q.link != name {
			continue
		}
		out.Dropped += ring.Dropped
		out.LastingDropped += ring.LastingDropped
		for _, e := range ring.All() {
			if e.Last >= q.since.UnixMilli() || q.since.IsZero() {
				out.Items = append(out.Items, event(e, name))
			}
		}
	}
	slices.SortFunc(out.Items, func(a, b Event) int { return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(b.Seq, a.Seq)) })
	out.Items = out.Items[:min(q.limit, len(out.Items))]
	return out
}

func event(e *fsm.Event, link string) Event {
	x := Event{
		Seq: e.Seq, Link: link, Topic: e.Topic, Partition: partitionOf(e), Node: e.Node, Code: e.Code, Message: e.Message, Who: e.Who, Client: e.Client,
		First: time.UnixMilli(e.First).UTC(), Last: time.UnixMilli(e.Last).UTC(), Count: e.Count,
	}
	if e.From >= 0 {
		x.From, x.To = new(e.From), new(e.To)
	}
	return x
}

// partitionOf is nil for an event about a whole topic, or about none.
func partitionOf(e *fsm.Event) *int32 {
	if e.Topic == "" || e.Part < 0 {
		return nil
	}
	return new(e.Part)
}

// linkDetail shows one link with its tasks.
func (p *picture) linkDetail(l *fsm.Link, tasks []Task) LinkDetail {
	d := LinkDetail{
		Meta: p.meta("Link"), Link: p.link(l, tasks), NotCopied: []task.TopicState{}, LeftOut: []task.TopicLeftOut{}, Differ: []task.TopicSetting{},
		Tasks: tasks, Events: p.events(eventQuery{link: l.Spec.Name, limit: 50}).Items,
	}
	if topics := p.topics(l.ID).Topics; topics != nil {
		d.NotCopied, d.LeftOut, d.Differ = append(d.NotCopied, topics.Why...), append(d.LeftOut, topics.Rules...), append(d.Differ, topics.Settings...)
	}
	return d
}

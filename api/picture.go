package api

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"sluice/fsm"
	"sluice/fsm/reason"
	"sluice/manifest"
	"sluice/task"
)

// silentAfter is the age of a report from which its node is shown as silent.
const silentAfter = 5 * time.Second

// picture is everything that one answer rests on, gathered once, so that its
// parts agree.
type picture struct {
	v        *fsm.View
	state    ClusterState
	members  []Member
	now      time.Time
	reported map[fsm.TaskID]reported
	linkTask map[fsm.LinkID]reported    // of each link: what the owner of its topics says
	seen     map[fsm.LinkID]*linkTopics // what was read of that so far
	paused   map[string]bool            // links
}

// reported is what its owner says of a task, and when that came.
type reported struct {
	task.Status
	heard time.Time
}

func newPicture(v *fsm.View, state ClusterState, members []Member, now time.Time) *picture {
	p := &picture{v: v, state: state, members: members, now: now, reported: map[fsm.TaskID]reported{}, linkTask: map[fsm.LinkID]reported{}, seen: map[fsm.LinkID]*linkTopics{}, paused: map[string]bool{}}
	for _, l := range v.Links {
		p.paused[l.Spec.Name] = p.paused[l.Spec.Name] || !l.Deleting && !l.Running()
	}
	for _, m := range members {
		for id, s := range m.Tasks {
			if t := v.Task(id); t != nil && t.Owner == m.ID {
				if d := m.Details[id]; d != nil {
					s.Detail = d
				}
				p.reported[id] = reported{s, m.Heard}
				if t.Kind == fsm.KindLink {
					p.linkTask[t.Link] = p.reported[id]
				}
			}
		}
	}
	return p
}

func (p *picture) meta(kind string) Meta {
	m := Meta{
		APIVersion: Version, Kind: kind, AsOf: p.now.UTC().Truncate(time.Millisecond), Index: p.v.Index,
		AgeMillis: p.age(p.state.Confirmed), Node: p.nodeName(p.state.NodeID), Quorum: p.state.Quorum,
	}
	if p.state.Leader != "" {
		m.Leader = p.nodeName(p.state.Leader)
	}
	return m
}

// age is the time since t in milliseconds, nil for the zero time.
func (p *picture) age(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(max(0, p.now.Sub(t).Milliseconds()))
}

// fresh reports that what was told then may be taken for what is.
func (p *picture) fresh(at time.Time) bool { return !at.IsZero() && p.now.Sub(at) < silentAfter }

func (p *picture) nodeName(id string) string { return nodeName(p.v, id) }

// nodeName is a node's name, or its id where the facts do not know it.
func nodeName(v *fsm.View, id string) string {
	if n := v.Node(id); n != nil {
		return n.Name
	}
	return id
}

func (p *picture) member(id string) Member {
	if i := slices.IndexFunc(p.members, func(m Member) bool { return m.ID == id }); i >= 0 {
		return p.members[i]
	}
	return Member{ID: id}
}

// task shows one task.
func (p *picture) task(t *fsm.Task) Task {
	x := Task{ID: t.ID, Kind: t.Kind.String(), Turn: t.Turn, Side: "source"}
	if t.Owner != "" {
		x.Owner = p.nodeName(t.Owner)
	}
	link := p.v.Link(t.Link)
	if link != nil {
		x.Link = link.Spec.Name
	}
	if c := t.Copy; c != nil {
		x.Topic, x.Partition, x.TargetTopic = c.Stream.Topic, c.Stream.Partition, c.Stream.TargetTopic
		x.Records = c.Progress.Records
		if m := c.Mapping; m != nil {
			x.Phase, x.Generation = m.Phase.String(), m.Generation
			x.Shift = new(m.Segments[len(m.Segments)-1].Shift())
			x.Source, x.Target = known(c.Progress.Source), known(c.Progress.Target)
		}
	}
	r, ok := p.reported[t.ID]
	if ok {
		x.AgeMillis = p.age(r.heard)
		x.LagRecords, x.BytesPerSecond = known(r.Lag.Records), new(float64(r.Rate))
		if r.Lag.Millis >= 0 {
			x.LagSeconds = new(float64(r.Lag.Millis) / 1000)
		}
		var d CopyDetail
		if json.Unmarshal(r.Detail, &d) == nil {
			x.Filtered = d.Filtered
			if d.Source != nil {
				x.Source, x.Target = d.Source, d.Target
			}
		}
	}
	p.judge(&x, t, link, r, ok && p.now.Sub(r.heard) < silentAfter && p.member(t.Owner).Alive)
	x.Severity = reason.SeverityOf(x.State).String()
	return x
}

// judge gives the reason code: what the facts say goes before what the owner
// reported a moment ago.
func (p *picture) judge(x *Task, t *fsm.Task, link *fsm.Link, r reported, fresh bool) {
	switch {
	case link != nil && link.Deleting:
		x.State = fsm.CodeDeleting
	case link != nil && link.Held != "":
		x.State, x.Message = fsm.CodeClaimed, "it stands until the link is adopted: the Sluice cluster "+link.Held+" copies it, or did"
	case t.Copy != nil && t.Copy.Stop != nil:
		x.stopped(t.Copy)
		if fresh && t.Copy.Order != "" && r.State == x.State && r.Message != x.Message { // why it is not carried out yet
			x.Message += " (" + string(t.Copy.Order) + " is ordered; " + r.Message + ")"
		} else if t.Copy.Order != "" {
			x.Message += " (" + string(t.Copy.Order) + " is ordered)"
		}
	case link != nil && !link.Running():
		x.State = fsm.CodePaused
	case t.Owner == "":
		x.State, x.Message = fsm.CodeUnassigned, "waits for the leader to give it to a node"
	case fresh:
		x.State, x.Message = r.State, r.Message
	case !p.member(t.Owner).Alive:
		x.State, x.Message = fsm.CodeUnreported, x.Owner+" is silent"
	default:
		x.State, x.Message = fsm.CodeStarting, ""
	}
	if !fresh { // an old figure is no figure
		x.LagRecords, x.LagSeconds, x.BytesPerSecond, x.Filtered = nil, nil, nil, nil
	}
}

// stopped shows why a stream stands.
func (x *Task) stopped(c *fsm.Copy) {
	x.State, x.Message = c.Stop.Code, c.Stop.Message
	if c.Stop.From >= 0 {
		x.From, x.To = new(c.Stop.From), new(c.Stop.To)
	}
	if c.Stop.Target {
		x.Side = "target"
	}
	x.Order = c.Order
}

func known(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

// tasks gives the tasks that match, worst first.
func (p *picture) tasks(match func(*fsm.Task) bool) []Task {
	var matched []*fsm.Task
	for t := range p.v.Tasks {
		if match(t) {
			matched = append(matched, t)
		}
	}
	out := make([]Task, len(matched)) // ten thousand of them are some megabytes: grown once
	for i, t := range matched {
		out[i] = p.task(t)
	}
	slices.SortFunc(out, func(a, b Task) int {
		return cmp.Or(
			cmp.Compare(reason.SeverityOf(b.State), reason.SeverityOf(a.State)),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(orBig(b.LagRecords), orBig(a.LagRecords)),
			cmp.Compare(a.Link, b.Link), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.ID, b.ID),
		)
	})
	return out
}

// orBig takes an unknown lag for a large one.
func orBig(n *int64) int64 {
	if n == nil {
		return 1 << 62
	}
	return *n
}

// totals sums up the copy tasks among tasks. A sum of which a part is unknown is
// unknown. Lag and rate leave out what is paused or being deleted, which would
// else make those of all links unknown; where there is nothing else they are.
func (p *picture) totals(tasks []Task) Totals {
	var t Totals
	var lag int64
	var rate float64
	unknown := false // the rate
	for _, x := range tasks {
		if x.Kind != fsm.KindCopy.String() {
			continue
		}
		t.Streams++
		t.Records += x.Records
		if reason.SeverityOf(x.State) == reason.Stopped {
			t.Stopped++
		}
		if p.paused[x.Link] || x.State == fsm.CodeDeleting {
			t.Paused++
			continue
		}
		if x.LagRecords == nil {
			t.LagUnknown++
		}
		lag += deref(x.LagRecords)
		if unknown = unknown || x.BytesPerSecond == nil; !unknown {
			rate += *x.BytesPerSecond
		}
		if x.LagSeconds != nil && (t.LagSeconds == nil || *x.LagSeconds > *t.LagSeconds) {
			t.LagSeconds = x.LagSeconds
		}
	}
	none := t.Paused > 0 && t.Paused == t.Streams
	if t.LagUnknown == 0 && !none {
		t.LagRecords = &lag
	} else {
		t.LagSeconds = nil
	}
	if !unknown && !none {
		t.BytesPerSecond = &rate
	}
	return t
}

func deref(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// topicsOld is the age from which what was seen of a link's topics is not known
// any more: the link task looks every two seconds.
const topicsOld = 60 * time.Second

// linkTopics is what a link's task tells of its topics.
type linkTopics struct {
	*task.Topics // nil: that is not known now
	counts       LinkTopics
}

// topics reads what a link's task tells once for all that an answer shows.
func (p *picture) topics(link fsm.LinkID) *linkTopics {
	if p.seen[link] == nil {
		p.seen[link] = p.readTopics(link)
	}
	return p.seen[link]
}

func (p *picture) readTopics(link fsm.LinkID) *linkTopics {
	var d task.Topics
	var out linkTopics
	r, ok := p.linkTask[link]
	if !ok || p.now.Sub(r.heard) >= silentAfter || json.Unmarshal(r.Detail, &d) != nil || d.Age == nil {
		return &out
	}
	out.counts.AgeMillis = p.age(r.heard.Add(-time.Duration(*d.Age) * time.Millisecond))
	if *out.counts.AgeMillis >= topicsOld.Milliseconds() {
		return &out
	}
	out.Topics = &d
	out.counts.Selected, out.counts.Copied, out.counts.LeftOut = new(d.Selected), new(d.Selected-d.NotCopied), new(d.LeftOut)
	return &out
}

// link shows one link; tasks are its own, worst first.
func (p *picture) link(l *fsm.Link, tasks []Task) Link {
	s := l.Spec
	x := Link{
		Name: s.Name, ID: l.ID, State: s.State, Condition: fsm.CodeStarting, Unconfirmed: p.unconfirmed(l),
		LinkSettings: LinkSettings{
			Source: s.Source, Target: s.Target, Include: nonNil(s.Include), Exclude: nonNil(s.Exclude), Rename: s.Rename, Start: s.Start,
			Offsets: s.Offsets, Gaps: manifest.Gaps(&s), OnLoss: s.OnLoss, OnSourceDeleted: manifest.OnSourceDeleted(&s), Copies: s.Copies, Writers: s.Writers, Limit: manifest.FormatRate(s.Limit),
			Filter: s.Filter, ReplicationFactor: s.ReplicationFactor,
		},
		Revision: l.Revision, CreatedAt: time.UnixMilli(l.CreatedAt).UTC(), Totals: p.totals(tasks),
	}
	topics := p.topics(l.ID)
	x.Topics = topics.counts
	switch {
	case l.Deleting:
		x.State, x.Condition = "deleting", fsm.CodeDeleting
	case len(tasks) > 0:
		x.Condition = condition(tasks)
		if l.Running() {
			x.Condition = worstOf(x.Condition, topics.Topics)
		}
	case !l.Running():
		x.Condition = fsm.CodePaused
	}
	x.Severity = reason.SeverityOf(x.Condition).String()
	return x
}

// condition is the reason code of the worst task; where all are well, copying
// if anything is copied.
func condition(worstFirst []Task) fsm.Code {
	worst := worstFirst[0].State
	if reason.SeverityOf(worst) == reason.Good && slices.ContainsFunc(worstFirst, func(t Task) bool { return t.State == fsm.CodeCopying }) {
		return fsm.CodeCopying
	}
	return worst
}

// unconfirmed names the nodes that own tasks of the link and have not
// reported that they carried out its last change. A node that was removed is
// waited for no more.
func (p *picture) unconfirmed(l *fsm.Link) []string {
	out := []string{}
	for t := range p.v.Tasks {
		if t.Link != l.ID || p.v.Node(t.Owner) == nil || p.member(t.Owner).Index >= l.Revision {
			continue
		}
		if name := p.nodeName(t.Owner); !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func nonNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

package fsm

import (
	"fmt"

	"sluice/words"
)

func (e *edit) streamsAdd(c *StreamsAdd) Result {
	l := e.v.Link(c.Link)
	if l == nil || l.Deleting {
		return refuse(RefusedNotFound, "the link (id %d) is gone", c.Link)
	}
	seen := make(map[taskKey]bool, len(c.Streams)+len(c.Again))
	void := map[*EndedStream]bool{} // the new stream knows better
	source, target := e.v.clusterID(l.Spec.Source), e.v.clusterID(l.Spec.Target)
	add := func(s StreamKey, again bool) {
		of := &Copy{
			Stream: s, Start: l.StartOf(s.Topic, s.Partition),
			Progress: Progress{Source: -1, Target: -1, SourceEpoch: -1, TargetEpoch: -1}, Unsure: l.Adopted != "",
		}
		old := e.v.EndedStream(source, target, s)
		if !e.add(Task{Kind: KindCopy, Link: l.ID, Copy: of}, seen) || old == nil {
			return
		}
		void[old] = true
		if again {
			of.resume(old)
		}
	}
	for _, s := range c.Streams {
		add(s, false)
	}
	for _, s := range c.Again {
		add(s, true)
	}
	if len(void) > 0 {
		e.v.Ended = drop(e.v.Ended, func(s *EndedStream) bool { return void[s] })
	}
	return Result{}
}

// assign skips items whose task is gone or has changed hands since the leader
// decided; the next plan sees what became of them.
func (e *edit) assign(c *Assign) Result {
	type move struct {
		link     LinkID
		from, to string
	}
	var moves []move
	count := map[move]int{}
	for _, it := range c.Items {
		t := e.v.Task(it.Task)
		if t == nil || t.Turn != it.Turn || e.v.Node(it.To) == nil {
			continue
		}
		n := *t
		switch {
		case it.Handover && t.Owner == it.To:
			n.Next, n.NextAt = "", 0 // called back
		case it.Handover && t.Owner != "":
			if t.Next != it.To {
				n.Next, n.NextAt = it.To, c.At
			}
		default:
			n.giveTo(it.To, e.index)
			if t.Owner != "" && t.Owner != it.To {
				m := move{t.Link, t.Owner, it.To}
				if count[m] == 0 {
					moves = append(moves, m)
				}
				count[m]++
			}
		}
		e.set(t.ID, &n)
	}
	for _, m := range moves {
		from, to := e.nodeName(m.from), e.nodeName(m.to)
		e.event(Event{
			Link: m.link, Node: to, Code: CodeTakeover, From: -1, To: -1, First: c.At, Last: c.At,
			Message: fmt.Sprintf("%s took over %s from %s", to, words.Count(count[m], "task"), from),
		})
	}
	return Result{}
}

// giveTo changes hands by the command at a Raft index.
func (t *Task) giveTo(node string, index uint64) {
	t.Owner, t.Next, t.NextAt, t.Turn, t.Since = node, "", 0, t.Turn+1, index
}

// currentCopy finds the copy task that a command of its owner is about.
func (e *edit) currentCopy(id TaskID, turn uint64) (*Task, Result) {
	t := e.v.Task(id)
	switch {
	case t == nil:
		return nil, refuse(RefusedNotFound, "task %d is gone", id)
	case t.Turn != turn:
		return nil, refuse(RefusedTurn, "task %d has changed hands: its turn is %d, not %d", id, t.Turn, turn)
	case t.Copy == nil:
		return nil, refuse(RefusedInvalid, "task %d copies nothing", id)
	}
	return t, Result{}
}

func (e *edit) mappingPut(c *MappingPut) Result {
	t, r := e.currentCopy(c.Task, c.Turn)
	if t == nil {
		return r
	}
	version := uint32(0)
	if t.Copy.Mapping != nil {
		version = t.Copy.Mapping.Version
	}
	if c.Mapping.Version != version+1 {
		return refuse(RefusedTurn, "task %d has mapping version %d", t.ID, version)
	}
	if !ascending(c.Mapping.Segments) {
		return refuse(RefusedInvalid, "task %d: a mapping needs segments in ascending order", t.ID)
	}
	n := t.edited()
	m := c.Mapping
	if m.Thinned = 0; t.Copy.Mapping != nil && e.v.Feature >= featureThinned {
		m.Thinned = t.Copy.Mapping.thinnedAfter(&m)
	}
	n.Copy.Mapping, n.Copy.Progress, n.Copy.Stop, n.Copy.Order, n.Copy.Unsure = &m, c.Progress, nil, "", false
	e.set(t.ID, n)
	if l := e.v.Link(t.Link); l != nil && m.ProducerID != l.ProducerID && e.v.Feature >= featureSpentByCluster {
		e.spend(l, m.ProducerID) // the stream's own; loop detection finds it there
	}
	if c.Event != nil {
		e.taskEvent(t, *c.Event)
	}
	return Result{}
}

// ascending reports whether there is a segment and none goes back.
func ascending(s []Segment) bool {
	for i := 1; i < len(s); i++ {
		if s[i].Source < s[i-1].Source || s[i].Target < s[i-1].Target {
			return false
		}
	}
	return len(s) > 0
}

func (e *edit) progress(c *ProgressBatch) Result {
	for _, it := range c.Items {
		t := e.v.Task(it.Task)
		if t == nil || t.Turn != it.Turn || t.Owner != c.Node {
			continue
		}
		n := t.edited()
		if n.Copy != nil {
			n.Copy.advance(it)
		}
		if it.Release {
			n.giveTo(t.Next, e.index)
		}
		e.set(t.ID, n)
	}
	return Result{}
}

// advance takes a report over that was made under the mapping of now.
func (c *Copy) advance(it ProgressItem) {
	if c.Mapping == nil || c.Mapping.Version != it.Version {
		return
	}
	c.Progress = it.Progress
	if len(it.Segments) > 0 && c.Mapping.Phase == PhaseTranslated {
		m := *c.Mapping
		m.Segments = JoinSegments(m.Segments, it.Segments)
		c.Mapping = &m
	}
}

func (e *edit) taskStop(c *TaskStop) Result {
	t, r := e.currentCopy(c.Task, c.Turn)
	if t == nil {
		return r
	}
	if m := t.Copy.Mapping; c.Version > 0 && (m == nil || m.Version != c.Version) {
		return refuse(RefusedTurn, "task %d has another mapping than version %d", t.ID, c.Version)
	}
	n := t.edited()
	stop := c.Stop
	n.Copy.Stop, n.Copy.Order = &stop, ""
	n.Copy.touch(e)
	e.set(t.ID, n)
	if c.Event != nil {
		e.taskEvent(t, *c.Event)
	}
	return Result{}
}

// taskOrder lifts the stop for a retry; continue and recopy are carried out
// by the owner, whose MappingPut lifts it.
func (e *edit) taskOrder(c *TaskOrder) Result {
	l := e.v.Link(c.Link)
	if l == nil || l.Deleting {
		return refuse(RefusedNotFound, "the link (id %d) is gone", c.Link)
	}
	if c.Order != OrderRetry && c.Order != OrderContinue && c.Order != OrderRecopy {
		return refuse(RefusedInvalid, "no such order: %q", c.Order)
	}
	matched, stopped, later := 0, 0, 0
	for t := range e.State.view.Tasks {
		if t.Kind != KindCopy || t.Link != l.ID || !c.means(t.Copy.Stream) {
			continue
		}
		matched++
		if !t.Copy.seenBy(c.Seen) {
			later++
			continue
		}
		if t.Copy.Stop == nil && c.Order != OrderRetry {
			continue
		}
		stopped++
		if t.Copy.Order == c.Order {
			continue // asked for already
		}
		n := t.edited()
		n.Copy.Attempt++
		n.Copy.touch(e)
		if c.Order == OrderRetry {
			n.Copy.Stop, n.Copy.Order = nil, ""
		} else {
			n.Copy.Order = c.Order
		}
		e.set(t.ID, n)
	}
	switch {
	case matched == 0:
		return refuse(RefusedNotFound, "link %s has no such stream; see `sluice link describe %s`", l.Spec.Name, l.Spec.Name)
	case stopped == 0 && later > 0:
		return refuse(RefusedTurn, "streams of link %s have stopped, or were given an order, meanwhile", l.Spec.Name)
	case stopped == 0:
		return refuse(RefusedInvalid, "no stream named is stopped; there is nothing to %s", c.Order)
	}
	return Result{}
}

// means reports whether the order is about a stream.
func (c *TaskOrder) means(s StreamKey) bool {
	return c.Topic == "" || c.Topic == s.Topic && (c.Partition < 0 || c.Partition == s.Partition)
}

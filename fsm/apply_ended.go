package fsm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// EndedStream returns what is kept of a stream between two Kafka clusters, by
// their cluster ids; nil: nothing. Whether they have names now does not matter.
func (v *View) EndedStream(source, target string, key StreamKey) *EndedStream {
	of := &EndedStream{Source: source, Target: target, Stream: key}
	i, ok := slices.BinarySearchFunc(v.Ended, of, byStream)
	if !ok || of.Source == "" || of.Target == "" {
		return nil
	}
	return v.Ended[i]
}

// end removes tasks of the link and remembers what its streams knew.
func (l *Link) end(e *edit, tasks []*Task) {
	source, target := e.v.clusterID(l.Spec.Source), e.v.clusterID(l.Spec.Target)
	known := source != "" && target != "" && e.v.Feature >= featureEndedStreams
	kept := slices.Clone(e.v.Ended)
	for _, t := range tasks {
		e.set(t.ID, nil)
		e.keys = append(e.keys, func(m map[taskKey]TaskID) { delete(m, keyOf(t)) })
		if t.Copy != nil && t.Copy.Mapping != nil && known {
			kept = append(kept, &EndedStream{
				Source: source, Target: target, Stream: t.Copy.Stream, Mapping: *t.Copy.Mapping, Progress: t.Copy.Progress, Index: e.index, Unsure: t.Copy.Unsure,
			})
		}
	}
	// Of the same stream the last one counts, of all the last ones.
	slices.SortStableFunc(kept, func(a, b *EndedStream) int { return cmp.Compare(b.Index, a.Index) })
	slices.SortStableFunc(kept, byStream)
	kept = slices.CompactFunc(kept, func(a, b *EndedStream) bool { return byStream(a, b) == 0 })
	if len(kept) > MaxEnded {
		indexes := make([]uint64, len(kept))
		for i, s := range kept {
			indexes[i] = s.Index
		}
		slices.Sort(indexes)
		oldest := indexes[len(indexes)-MaxEnded]
		kept = slices.DeleteFunc(kept, func(s *EndedStream) bool { return s.Index < oldest })
		kept = kept[:min(len(kept), MaxEnded)]
	}
	e.v.Ended = kept
}

// resume gives a new stream what is kept of the one that has ended.
func (c *Copy) resume(old *EndedStream) {
	m := old.Mapping
	c.Mapping, c.Progress, c.Unsure = &m, old.Progress, c.Unsure || old.Unsure
}

// apply ends the streams of topics that a link copies no more.
func (c *StreamsEnd) apply(e *edit) Result {
	l := e.v.Link(c.Link)
	switch {
	case l == nil || l.Deleting:
		return refuse(RefusedNotFound, "the link (id %d) is gone", c.Link)
	case c.Revision != 0 && c.Revision != l.Revision:
		return refuse(RefusedTurn, "link %s has changed meanwhile", l.Spec.Name)
	}
	byTopic, later := map[string][]*Task{}, 0
	for t := range e.State.view.Tasks {
		if t.Kind != KindCopy || t.Link != l.ID || len(c.Topics) > 0 && !slices.Contains(c.Topics, t.Copy.Stream.Topic) {
			continue
		}
		switch gone := t.Copy.Stop != nil && t.Copy.Stop.Code == CodeSourceDeleted; {
		case c.Gone && !gone:
		case !t.Copy.seenBy(c.Seen):
			later++
		default:
			byTopic[t.Copy.Stream.Topic] = append(byTopic[t.Copy.Stream.Topic], t)
		}
	}
	switch {
	case len(byTopic) == 0 && later > 0:
		return refuse(RefusedTurn, "streams of link %s have stopped meanwhile", l.Spec.Name)
	case len(byTopic) == 0 && c.Gone:
		return refuse(RefusedInvalid, "no stream named has lost its source topic; to end others, take their topics out of the link's topics")
	}
	var all []*Task
	for _, topic := range slices.Sorted(maps.Keys(byTopic)) {
		tasks := byTopic[topic]
		all = append(all, tasks...)
		e.event(Event{
			Link: l.ID, Topic: topic, Part: -1, Node: c.By, Code: CodeTopicEnded, From: -1, To: -1, First: c.At, Last: c.At,
			Message: fmt.Sprintf("%s: %d of its streams ended; the target keeps its records", c.Reason, len(tasks)),
		})
	}
	l.end(e, all)
	return Result{}
}

// keepEvents keeps the last events of a link that is purged, and of the links
// that were so before it.
func (l *Link) keepEvents(e *edit) {
	if e.v.Feature < featureLasting {
		e.v.Events = drop(e.v.Events, func(r LinkEvents) bool { return r.Link == l.ID })
		return
	}
	r := e.v.LinkEvents(l.ID)
	if len(r.Events)+len(r.Lasting) == 0 {
		return
	}
	r.Name = l.Spec.Name
	r.Events, r.Dropped = last(r.Events, r.Dropped)
	r.Lasting, r.LastingDropped = last(r.Lasting, r.LastingDropped)
	rings := put(e.v.Events, r, byRing)
	var past []uint64 // their newest events
	for _, r := range rings {
		if r.Name != "" {
			past = append(past, r.newest())
		}
	}
	slices.Sort(past)
	for _, oldest := range past[:max(0, len(past)-pastLinks)] {
		rings = drop(rings, func(r LinkEvents) bool { return r.Name != "" && r.newest() == oldest })
	}
	e.v.Events = rings
}

func last(events []*Event, dropped uint64) ([]*Event, uint64) {
	n := max(0, len(events)-pastEvents)
	return slices.Clone(events[n:]), dropped + uint64(n)
}

package fsm

import (
	"fmt"
	"slices"
)

// Ring is a way on which a topic comes back to where it was: the links in
// their order, and the names under which it sets out and comes back.
type Ring struct {
	Links       []int // numbers
	Topic, Back string
}

// Rings follows topics from links[of] over all the links and tells the rings
// that they run into, each one once. selects reports whether a link copies a
// topic.
func Rings(links []LinkSpec, of int, topics []string, selects func(link int, topic string) bool) []Ring {
	w := ringWalk{links: links, selects: selects, done: map[hop]bool{}, told: map[string]bool{}}
	for _, t := range topics {
		w.from(hop{of, t}, nil)
	}
	return w.found
}

// hop is a topic that a link reads.
type hop struct {
	link  int
	topic string
}

type ringWalk struct {
	links   []LinkSpec
	selects func(link int, topic string) bool
	done    map[hop]bool
	told    map[string]bool
	found   []Ring
}

// from goes on with a topic that came by the path. It is back where a link of
// the path would read it, under a new name, or where it has been.
func (w *ringWalk) from(at hop, path []hop) {
	link := &w.links[at.link]
	if i := slices.IndexFunc(path, func(h hop) bool {
		return h.link == at.link || h.topic == at.topic && w.links[h.link].Source == link.Source
	}); i >= 0 {
		w.tell(path[i:], at)
		return
	}
	if w.done[at] {
		return
	}
	path = append(path, at)
	target := link.TargetTopic(at.topic)
	for next := range w.links {
		if w.links[next].Source == link.Target && w.selects(next, target) {
			w.from(hop{next, target}, path)
		}
	}
	w.done[at] = true
}

func (w *ringWalk) tell(path []hop, back hop) {
	r := Ring{Topic: path[0].topic, Back: back.topic}
	for _, h := range path {
		r.Links = append(r.Links, h.link)
	}
	key := fmt.Sprint(slices.Sorted(slices.Values(r.Links)), r.Topic == r.Back)
	if !w.told[key] {
		w.told[key] = true
		w.found = append(w.found, r)
	}
}

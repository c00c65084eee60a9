package fsm

import (
	"encoding/binary"
	"slices"
)

// Bounds of what Rings tells and how far it looks: many links between few Kafka
// clusters make more rings than anybody can read, and names that grow on each
// of many ways more than can be followed.
const (
	MaxRings    = 20
	countRings  = 10_000    // told apart; of more the number is not known
	ringEffort  = 1_000_000 // questions whether a link reads a topic, about
	effortPlace = 16        // of a topic that nothing reads
)

// Ring is a way on which a topic comes back to where it was: the links in
// their order, and the names under which it sets out and comes back.
type Ring struct {
	Links       []int // numbers
	Topic, Back string
}

// RingQuestion is what Rings is asked: where topics go that links[Of] reads.
type RingQuestion struct {
	Links   []LinkSpec
	Of      int
	Topics  []string
	Selects func(link int, topic string) bool // reports whether a link copies a topic
	Bad     func(Ring) bool                   // reports whether a ring is to be told
}

// FoundRings are at most MaxRings rings. More counts those beyond; Cut says that
// the search ended before it had seen all ways.
type FoundRings struct {
	Rings []Ring
	More  int
	Cut   bool
}

// Rings follows the topics over all the links and tells the rings that they run
// into, each one once.
func Rings(q RingQuestion) FoundRings {
	w := ringWalk{RingQuestion: q, told: map[string]bool{}, effort: ringEffort}
	useful, renames := cyclic(q.Links), false
	w.leaving = map[string][]int32{}
	for i := range q.Links {
		if useful[i] {
			w.leaving[q.Links[i].Source] = append(w.leaving[q.Links[i].Source], int32(i))
			renames = renames || q.Links[i].Rename != ""
		}
	}
	if !useful[q.Of] {
		return FoundRings{}
	}
	for _, t := range q.Topics {
		if w.places == nil || !renames { // no way leads from one topic to another
			w.places = map[where]*place{}
			w.effort = ringEffort
		}
		w.from(hop{q.Of, t}, nil)
	}
	return w.out
}

// cyclic tells which links lead to a ring of Kafka clusters: no topic comes
// back from the others.
func cyclic(links []LinkSpec) []bool {
	into, out := map[string][]int{}, map[string]int{}
	for i := range links {
		into[links[i].Target] = append(into[links[i].Target], i)
		out[links[i].Source]++
	}
	var ends []string
	for i := range links {
		if t := links[i].Target; out[t] == 0 && into[t][0] == i {
			ends = append(ends, t)
		}
	}
	useful := slices.Repeat([]bool{true}, len(links))
	for ; len(ends) > 0; ends = ends[1:] {
		for _, i := range into[ends[0]] {
			useful[i] = false
			source := links[i].Source
			if out[source]--; out[source] == 0 {
				ends = append(ends, source)
			}
		}
	}
	return useful
}

// hop is a topic that a link reads.
type hop struct {
	link  int
	topic string
}

// where a topic is.
type where struct{ kafka, topic string }

// place is what is known of a topic of a Kafka cluster: the links that read
// it, and which of them were followed to their ends.
type place struct {
	readers []int32
	done    []bool
	open    int // readers that are not done
}

type ringWalk struct {
	RingQuestion

	leaving map[string][]int32 // links by source
	places  map[where]*place
	told    map[string]bool
	effort  int
	out     FoundRings
}

// at finds a place; nil: it is one too many.
func (w *ringWalk) at(kafka, topic string) *place {
	key := where{kafka, topic}
	p := w.places[key]
	if p != nil {
		return p
	}
	if w.spend(effortPlace + len(w.leaving[kafka])); w.out.Cut {
		return nil
	}
	p = &place{}
	for _, link := range w.leaving[kafka] {
		if w.Selects(int(link), topic) {
			p.readers = append(p.readers, link)
		}
	}
	p.done, p.open = make([]bool, len(p.readers)), len(p.readers)
	w.places[key] = p
	return p
}

func (w *ringWalk) spend(effort int) {
	w.effort -= effort
	w.out.Cut = w.out.Cut || w.effort < 0
}

// from goes on with a topic that came by the path, at a link that is not part
// of it.
func (w *ringWalk) from(here hop, path []hop) {
	path = append(path, here)
	link := &w.Links[here.link]
	topic := link.TargetTopic(here.topic)
	if link.Rename != "" && !ValidTopic(topic) { // Kafka does not take it
		return
	}
	p := w.at(link.Target, topic)
	if p == nil {
		return
	}
	been, under := w.back(path, link.Target, topic)
	if been {
		w.spend(len(p.readers) * len(path) / 4)
	}
	told := -1
	for i, next := range p.readers {
		if w.out.Cut || p.open == 0 && !been {
			return
		}
		begin := under
		if been {
			begin = beginning(path, int(next), under)
		}
		switch {
		case begin < 0 && !p.done[i]:
			w.from(hop{int(next), topic}, path)
			p.done[i] = true
			p.open--
		case begin >= 0 && begin != told:
			told = begin
			w.tell(path[begin:], topic)
		}
	}
}

// back tells whether the path has come to a Kafka cluster where it was before,
// and where it was there under the same name, -1: nowhere.
func (w *ringWalk) back(path []hop, kafka, topic string) (been bool, under int) {
	for i, h := range path {
		if w.Links[h.link].Source != kafka {
			continue
		}
		if been = true; h.topic == topic {
			return true, i
		}
	}
	return been, -1
}

// beginning is where in the path the ring begins that ends here: where a link
// of the path would read the topic again, or where it was under this name. -1:
// it is not back.
func beginning(path []hop, link, under int) int {
	i := slices.IndexFunc(path, func(h hop) bool { return h.link == link })
	if i < 0 || under >= 0 && under < i {
		return under
	}
	return i
}

func (w *ringWalk) tell(path []hop, back string) {
	w.spend(effortPlace + 4*len(path))
	r := Ring{Topic: path[0].topic, Back: back}
	for _, h := range path {
		r.Links = append(r.Links, h.link)
	}
	if !w.Bad(r) {
		return
	}
	var key []byte
	if r.Topic == r.Back {
		key = append(key, 1)
	}
	for _, i := range slices.Sorted(slices.Values(r.Links)) {
		key = binary.AppendUvarint(key, uint64(i)+2)
	}
	switch {
	case w.told[string(key)]:
		return
	case len(w.out.Rings) < MaxRings:
		w.out.Rings = append(w.out.Rings, r)
	default:
		w.out.More++
	}
	w.told[string(key)] = true
	w.out.Cut = w.out.Cut || len(w.told) == countRings
}

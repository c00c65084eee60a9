package fsm

import (
	"cmp"
	"fmt"
	"slices"
)

// How many events are kept.
const (
	EventRing   = 1000 // of each link (and, under LinkID 0, of the cluster itself)
	LastingRing = 1000 // of them beside, those that last
	// Of the links that were deleted last, and of each of them.
	pastLinks  = 100
	pastEvents = 100
)

// Event is something that an operator must find later. Events of the same
// stream and code that follow one another are folded into one with a count.
type Event struct {
	Seq     uint64 `json:"seq"` // counts up over all events of the cluster
	Link    LinkID `json:"link,omitempty"`
	Task    TaskID `json:"task,omitempty"`
	Topic   string `json:"topic,omitempty"`
	Part    int32  `json:"partition"`
	Node    string `json:"node,omitempty"` // name of the node that saw it
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Who     string `json:"who,omitempty" feature:"3"`    // asked for it; see Act
	Client  string `json:"client,omitempty" feature:"3"` // address that it was asked from
	From    int64  `json:"from"`                         // offsets concerned, From -1: none
	To      int64  `json:"to"`
	First   int64  `json:"first"` // unix ms of the first time
	Last    int64  `json:"last"`  // unix ms of the last time
	Count   uint32 `json:"count"`
}

// LinkEvents are the two rings of one link, oldest first: what happens all the
// time does not push out what has to be found later.
type LinkEvents struct {
	Link    LinkID   `json:"link"`
	Name    string   `json:"name,omitempty" feature:"3"` // of a link that is deleted
	Dropped uint64   `json:"dropped"`                    // events that fell out of the ring
	Events  []*Event `json:"events"`

	LastingDropped uint64   `json:"lastingDropped,omitempty" feature:"3"`
	Lasting        []*Event `json:"lasting,omitempty" feature:"3"`
}

// Lasts reports whether an event of a code has to be found for long: a loss, a
// stop, an act of an operator. Nodes have to agree on it: what is added to the
// list needs a feature level.
func Lasts(c Code) bool {
	switch c {
	case CodePositionLost, CodeSourceRecreated, CodeSourceDeleted, CodeSourceTruncated, CodeCorruptBatch, CodeUnsupportedFormat,
		CodeTargetRecreated, CodeTargetDeleted, CodeTargetTruncated, CodeTargetLostAcked, CodeForeignWriter, CodeNotEmpty, CodePartitionMismatch,
		CodeTopicRefused, CodeRecordTooLarge, CodeTimestampRefused, CodeOverBudget, CodeUnparseable, CodeIdentityLost, CodePositionUnknown,
		CodeKeylessRecord, CodeNewSegment, CodeRecopied, CodeTopicEnded, CodeOperatorAct,
		CodeClaimed, CodeClusterRecovered: // made from level 6 on only
		return true
	}
	return false
}

// add returns the rings with e added; the receiver is unchanged.
func (r LinkEvents) add(e Event) LinkEvents {
	if Lasts(e.Code) {
		r.Lasting, r.LastingDropped = ring{r.Lasting, r.LastingDropped, LastingRing}.add(e)
	} else {
		r.Events, r.Dropped = ring{r.Events, r.Dropped, EventRing}.add(e)
	}
	return r
}

// addEvent is add below its feature level.
func (r LinkEvents) addEvent(e Event) LinkEvents {
	x := ring{r.Events, r.Dropped, EventRing}
	if i := x.foldable(&e); i >= 0 {
		r.Events = x.fold(i, e)
	} else {
		r.Events, r.Dropped = x.push(e)
	}
	return r
}

// ring is one ring of events: adding to it gives another one.
type ring struct {
	events  []*Event
	dropped uint64
	most    int
}

func (r ring) add(e Event) ([]*Event, uint64) {
	if last := len(r.events) - 1; last >= 0 && aboutMany(r.events[last], &e) {
		old := r.events[last]
		what := fmt.Sprintf("%d topics, the last one %s", old.Count+max(e.Count, 1), e.Topic)
		if e.Message != "" {
			what += ": " + e.Message
		}
		e.Topic, e.Message = "", what
		return r.fold(last, e), r.dropped
	}
	if i := r.foldable(&e); i >= 0 {
		return r.fold(i, e), r.dropped
	}
	return r.push(e)
}

// manyWithin is how far apart, in ms, topics that are told of together may be
// added or ended.
const manyWithin = 60_000

// aboutMany reports whether two events tell the same of different topics, of
// which there may be thousands.
func aboutMany(old, e *Event) bool {
	return (e.Code == CodeTopicAdded || e.Code == CodeTopicEnded) && e.Topic != "" && old.Topic != e.Topic &&
		old.Code == e.Code && old.Node == e.Node && e.Last-old.Last < manyWithin
}

// fold replaces the event at i by one that counts it too.
func (r ring) fold(i int, e Event) []*Event {
	old := *r.events[i]
	e.First, e.Count, e.Seq = old.First, old.Count+max(e.Count, 1), old.Seq
	evs := append([]*Event(nil), r.events...)
	evs[i] = &e
	return evs
}

func (r ring) push(e Event) ([]*Event, uint64) {
	e.Count = max(e.Count, 1)
	drop := max(0, len(r.events)+1-r.most)
	evs := make([]*Event, 0, len(r.events)+1-drop)
	return append(append(evs, r.events[drop:]...), &e), r.dropped + uint64(drop)
}

// foldable finds the latest event of the same stream; it is folded into when
// it tells the same about the same range. Those that are about no stream are
// told apart by their message too: it names the nodes concerned.
func (r ring) foldable(e *Event) int {
	for i := len(r.events) - 1; i >= 0; i-- {
		o := r.events[i]
		if o.Task != e.Task || o.Topic != e.Topic || o.Part != e.Part {
			continue
		}
		if o.Code == e.Code && o.From == e.From && o.To == e.To && o.Node == e.Node && o.Who == e.Who && o.Client == e.Client &&
			(o.Task != 0 || o.Message == e.Message) {
			return i
		}
		return -1
	}
	return -1
}

// All are the events of both rings, oldest first.
func (r LinkEvents) All() []*Event {
	all := slices.Concat(r.Events, r.Lasting)
	slices.SortFunc(all, func(a, b *Event) int { return cmp.Compare(a.Seq, b.Seq) })
	return all
}

// newest is the number of the link's newest event.
func (r LinkEvents) newest() uint64 {
	all := r.All()
	return all[len(all)-1].Seq
}

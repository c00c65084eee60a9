package fsm

// EventRing is how many events are kept for each link (and, under LinkID 0,
// for the cluster itself).
const EventRing = 1000

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
	From    int64  `json:"from"` // offsets concerned, From -1: none
	To      int64  `json:"to"`
	First   int64  `json:"first"` // unix ms of the first time
	Last    int64  `json:"last"`  // unix ms of the last time
	Count   uint32 `json:"count"`
}

// LinkEvents is the ring of one link, oldest first.
type LinkEvents struct {
	Link    LinkID   `json:"link"`
	Dropped uint64   `json:"dropped"` // events that fell out of the ring
	Events  []*Event `json:"events"`
}

// addEvent returns the ring with e added; the receiver is unchanged.
func (r LinkEvents) addEvent(e Event) LinkEvents {
	if i := r.foldable(&e); i >= 0 {
		old := *r.Events[i]
		e.First, e.Count, e.Seq = old.First, old.Count+max(e.Count, 1), old.Seq
		evs := append([]*Event(nil), r.Events...)
		evs[i] = &e
		r.Events = evs
		return r
	}
	e.Count = max(e.Count, 1)
	drop := max(0, len(r.Events)+1-EventRing)
	evs := make([]*Event, 0, len(r.Events)+1-drop)
	r.Events = append(append(evs, r.Events[drop:]...), &e)
	r.Dropped += uint64(drop)
	return r
}

// foldable finds the latest event of the same stream; it is folded into when
// it tells the same about the same range. Those that are about no stream are
// told apart by their message too: it names the nodes concerned.
func (r LinkEvents) foldable(e *Event) int {
	for i := len(r.Events) - 1; i >= 0; i-- {
		o := r.Events[i]
		if o.Task != e.Task || o.Topic != e.Topic || o.Part != e.Part {
			continue
		}
		if o.Code == e.Code && o.From == e.From && o.To == e.To && o.Node == e.Node && (o.Task != 0 || o.Message == e.Message) {
			return i
		}
		return -1
	}
	return -1
}

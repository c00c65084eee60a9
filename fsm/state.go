package fsm

import "fmt"

// Refusal says why Apply left the facts as they were. It is an answer, not a
// fault: the proposer reads again and decides again.
type Refusal string

// The refusals.
const (
	RefusedNot      Refusal = ""          // carried out
	RefusedTurn     Refusal = "stale"     // decided on an old turn, version or revision
	RefusedNotFound Refusal = "not-found" // what it names is not there
	RefusedInvalid  Refusal = "invalid"   // contradicts other facts
)

// Result is the answer to an applied command.
type Result struct {
	Index   uint64  `json:"index"` // Raft index of the command
	Refused Refusal `json:"refused,omitempty"`
	Message string  `json:"message,omitempty"` // about the refusal, for a person
}

func refuse(r Refusal, format string, args ...any) Result {
	return Result{Refused: r, Message: fmt.Sprintf(format, args...)}
}

// State applies commands. It is not safe for concurrent use: one caller
// applies and publishes the View for all others.
type State struct {
	view  *View
	byKey map[taskKey]TaskID
}

// taskKey finds a task that exists already.
type taskKey struct {
	kind  Kind
	link  LinkID
	kafka string
	topic string
	part  int32
}

func keyOf(t *Task) taskKey {
	k := taskKey{kind: t.Kind, link: t.Link, kafka: t.Kafka}
	if t.Copy != nil {
		k.topic, k.part = t.Copy.Stream.Topic, t.Copy.Stream.Partition
	}
	return k
}

// NewState returns the empty state.
func NewState() *State {
	return newStateOf(&View{nextLink: 1, nextTask: 1, nextEvent: 1, Feature: 1})
}

func newStateOf(v *View) *State {
	v.changed = v.Index
	s := &State{view: v, byKey: make(map[taskKey]TaskID, v.count)}
	for t := range v.Tasks {
		s.byKey[keyOf(t)] = t.ID
	}
	return s
}

// View returns the state after the last applied command.
func (s *State) View() *View { return s.view }

// edit is one Apply under way: a shallow copy of the View whose chunks are
// copied when first written to.
type edit struct {
	*State
	v     *View
	index uint64
	own   map[int]bool               // chunks that are this edit's own copies
	keys  []func(map[taskKey]TaskID) // changes of byKey, made only when nothing is refused
}

// set replaces (or adds, or with nil removes) the task of an id.
func (e *edit) set(id TaskID, t *Task) {
	n := int(id / chunkSize)
	if len(e.own) == 0 || n >= len(e.v.chunks) {
		chunks := make([]*chunk, max(len(e.v.chunks), n+1))
		copy(chunks, e.v.chunks)
		e.v.chunks = chunks
	}
	if !e.own[n] {
		c := new(chunk)
		if old := e.v.chunks[n]; old != nil {
			*c = *old
		}
		e.v.chunks[n], e.own[n] = c, true
	}
	slot := &e.v.chunks[n][id%chunkSize]
	switch {
	case *slot == nil && t != nil:
		e.v.count++
	case *slot != nil && t == nil:
		e.v.count--
	}
	*slot = t
}

// add gives a new task its id; false: there is one already, which stays as it
// is.
func (e *edit) add(t Task, seen map[taskKey]bool) bool {
	k := keyOf(&t)
	if _, ok := e.byKey[k]; ok || seen[k] {
		return false
	}
	if seen != nil {
		seen[k] = true
	}
	t.ID = e.v.nextTask
	e.v.nextTask++
	e.set(t.ID, &t)
	e.keys = append(e.keys, func(m map[taskKey]TaskID) { m[k] = t.ID })
	return true
}

// event records an event under its link's ring.
func (e *edit) event(ev Event) {
	ev.Seq = e.v.nextEvent
	e.v.nextEvent++
	ring := e.v.LinkEvents(ev.Link)
	if e.v.Feature < featureLasting {
		ring = ring.addEvent(ev)
	} else {
		ring = ring.add(ev)
	}
	e.v.Events = put(e.v.Events, ring, byRing)
}

// taskEvent records an event about a copy task's stream.
func (e *edit) taskEvent(t *Task, ev Event) {
	ev.Link, ev.Task, ev.Topic, ev.Part = t.Link, t.ID, t.Copy.Stream.Topic, t.Copy.Stream.Partition
	if ev.Node == "" {
		ev.Node = e.nodeName(t.Owner)
	}
	e.event(ev)
}

func (e *edit) nodeName(id string) string {
	if n := e.v.Node(id); n != nil {
		return n.Name
	}
	return id
}

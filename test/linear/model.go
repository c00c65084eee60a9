package linear

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// What is asked.
const (
	apply  = "apply"
	pause  = "pause"
	resume = "resume"
	remove = "delete"
	order  = "retry"
	read   = "read"
)

// question is one request about one link or Kafka cluster. What is said of links
// in this package holds for Kafka clusters too, whose datacenter stands where a
// link's limit does; they are not paused, and gone at once.
type question struct {
	link   string
	kafka  bool
	what   string
	limit  string  // of apply: the link's limit
	expect *uint64 // of apply, and of deleting a Kafka cluster: the revision that the caller saw; nil: any
}

func (q question) String() string {
	text := q.what + " " + q.link
	if q.what == apply {
		text += fmt.Sprintf(" limit %q", q.limit)
	}
	if q.expect != nil {
		text += fmt.Sprintf(" expecting %d", *q.expect)
	}
	return text
}

// outcome is what an answer means.
type outcome int

const (
	done    outcome = iota // made, or as wanted already
	shown                  // of read: seen is what holds
	absent                 // refused: there is no such link
	leaving                // refused: it is being deleted
	stale                  // refused: it is not as the caller saw it
	refused                // not made, for reasons that say nothing of the link
	unknown                // made, or not, or still to be made
)

// answer is what the caller was told.
type answer struct {
	outcome outcome
	seen    look   // of shown
	before  uint64 // of apply, and of deleting a Kafka cluster: revision that the plan changes, 0: it creates the object
	changes bool   // of apply: the plan changes something
	text    string // for a person
}

func (a answer) String() string { return a.text }

// look is a link as an answer shows it.
type look struct {
	state    string // running, paused, deleting or gone
	limit    string // "?": not shown
	revision uint64
}

// link is the model: what holds for one name.
type link struct {
	live     bool // there is one that is not being deleted
	paused   bool
	limit    string
	revision uint64 // 0: not known, but greater than after
	after    uint64
	leaving  bool // one of the name may be under deletion still
}

// changed is the link after one more change, as it then is.
func (s link) changed(live, paused bool, limit string) link {
	return link{live: live, paused: paused, limit: limit, after: max(s.after, s.revision), leaving: s.leaving || !live}
}

// is reports whether the link may have a revision, 0: it is not there.
func (s link) is(revision uint64) bool {
	switch {
	case !s.live || revision == 0:
		return !s.live && revision == 0
	case s.revision == 0:
		return revision > s.after
	}
	return s.revision == revision
}

// surely reports whether it has that revision and no other.
func (s link) surely(revision uint64) bool { return s.is(revision) && (!s.live || s.revision != 0) }

// effect is what an act makes of a link; false: it refuses.
func (s link) effect(q question) (link, bool) {
	switch q.what {
	case apply:
		switch {
		case q.expect != nil && !s.is(*q.expect):
			return s, false
		case !s.live:
			return s.changed(true, false, q.limit), true
		case s.limit == q.limit:
			return s, true
		}
		return s.changed(true, s.paused, q.limit), true
	case remove:
		switch {
		case q.expect != nil && !s.is(*q.expect):
			return s, false
		case s.live:
			return s.changed(false, false, ""), true
		}
		return s, s.leaving || q.kafka
	case pause, resume:
		if s.live && s.paused != (q.what == pause) {
			return s.changed(true, q.what == pause, s.limit), true
		}
	}
	return s, s.live
}

// step gives what may hold after an answer, nothing where it cannot be.
func (s link) step(q question, a answer) []link {
	switch a.outcome {
	case done:
		return s.made(q, a)
	case shown:
		return s.seen(a.seen)
	case absent:
		return s.seen(look{state: "gone"})
	case leaving:
		return s.seen(look{state: "deleting"})
	case stale:
		if q.expect != nil && s.surely(*q.expect) {
			return nil
		}
	case unknown:
		if next, ok := s.effect(q); ok && next != s {
			return []link{s, next}
		}
	}
	return []link{s}
}

// made is after an act that was answered well.
func (s link) made(q question, a answer) []link {
	next, ok := s.effect(q)
	if q.what != apply {
		if !ok || q.kafka && s.live && (!a.changes || !s.is(a.before)) { // what was planned is deleted, and nothing else
			return nil
		}
		return []link{next}
	}
	var out []link
	if s.live && s.limit == q.limit { // as wanted already, if by somebody else
		out = append(out, s)
	}
	if ok && a.changes && next != s && s.is(a.before) {
		out = append(out, next)
	}
	return out
}

// seen is after an answer that shows what holds. A link that is being deleted
// goes by itself.
func (s link) seen(l look) []link {
	switch l.state {
	case "gone":
		if s.live {
			return nil
		}
		s.leaving = false
		return []link{s}
	case "deleting":
		if s.live || !s.leaving {
			return nil
		}
		return []link{s}
	}
	if !s.is(l.revision) || l.revision == 0 || s.paused != (l.state == "paused") || l.limit != "?" && s.limit != l.limit {
		return nil
	}
	s.revision = l.revision
	return []link{s}
}

// model is the same for porcupine.
func model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Partition: byLink,
		Init:      func() []any { return []any{link{}} },
		Step: func(state, input, output any) []any {
			var out []any
			for _, s := range state.(link).step(input.(question), output.(answer)) {
				out = append(out, s)
			}
			return out
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%v: %v", input, output) },
		DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
	}
	return m.ToModel()
}

func byLink(history []porcupine.Operation) [][]porcupine.Operation {
	var out [][]porcupine.Operation
	at := map[string]int{}
	for _, o := range history {
		name := o.Input.(question).link
		if _, ok := at[name]; !ok {
			at[name] = len(out)
			out = append(out, nil)
		}
		out[at[name]] = append(out[at[name]], o)
	}
	return out
}

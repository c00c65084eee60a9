package task

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"sluice/fsm"
)

// Status is the small state of a running task that its node reports every
// second to every member.
type Status struct {
	State   fsm.Code // why it waits or what it does
	Message string   // of trouble: which right, which broker; cut at maxMessage bytes
	Rate    int64    // bytes per second: weighs the task when work is spread
	Lag     Lag
	// Detail is JSON of the task's kind, for those who show it; it may be empty.
	// All details of a node together take at most maxDetails bytes, so it is for
	// kinds of which a node runs few.
	Detail []byte
}

// Lag is how far a task is behind its source.
type Lag struct {
	Records int64 // -1: unknown
	Millis  int64 // -1: unknown
}

// Details are the details of a report by task.
type Details map[fsm.TaskID]json.RawMessage

// errMalformed: the bytes are not what Encode made.
var errMalformed = errors.New("malformed states of tasks")

// A report stays small when everything is in trouble: it holds so many
// different messages, each so long; further tasks tell their state alone.
const (
	maxMessages = 64
	maxMessage  = 300     // bytes
	maxDetails  = 1 << 20 // bytes
)

// words are a state with its message.
type words struct {
	state   fsm.Code
	message string
}

// Encode packs the states of a node's tasks: the states and messages that
// occur, then per task id (as a difference), state and message (as a number),
// lags and rate. Ten thousand tasks take about 100 KB. Nodes of other versions
// read these bytes, so they never change; details travel beside them. A detail
// that is no JSON, or for which there is no room, is left out.
func Encode(tasks map[fsm.TaskID]Status) ([]byte, Details) {
	ids := slices.Sorted(maps.Keys(tasks))
	distinct, of := vocabulary(tasks, ids)
	b := binary.AppendUvarint(nil, uint64(len(distinct)))
	for _, w := range distinct {
		b = append(binary.AppendUvarint(b, uint64(len(w.state))), w.state...)
		b = append(binary.AppendUvarint(b, uint64(len(w.message))), w.message...)
	}
	last := fsm.TaskID(0)
	for i, id := range ids {
		s := tasks[id]
		b = binary.AppendUvarint(b, uint64(id-last))
		b = binary.AppendUvarint(b, uint64(of[i]))
		b = binary.AppendVarint(b, s.Lag.Records)
		b = binary.AppendVarint(b, s.Lag.Millis)
		b = binary.AppendVarint(b, s.Rate)
		last = id
	}
	return b, details(tasks, ids)
}

// cut bounds a message, and shows that it did.
func cut(message string) string {
	const more = "…"
	if len(message) <= maxMessage {
		return strings.ToValidUTF8(message, "")
	}
	return strings.ToValidUTF8(message[:maxMessage-len(more)], "") + more
}

// vocabulary lists the different words of tasks, and for each task the number
// of its own.
func vocabulary(tasks map[fsm.TaskID]Status, ids []fsm.TaskID) (distinct []words, of []int) {
	number := map[words]int{}
	of = make([]int, len(ids))
	messages := 0
	for i, id := range ids {
		w := words{tasks[id].State, cut(tasks[id].Message)}
		n, ok := number[w]
		if !ok && w.message != "" && messages == maxMessages {
			w.message = ""
			n, ok = number[w]
		}
		if !ok {
			if w.message != "" {
				messages++
			}
			n = len(distinct)
			number[w], distinct = n, append(distinct, w)
		}
		of[i] = n
	}
	return distinct, of
}

func details(tasks map[fsm.TaskID]Status, ids []fsm.TaskID) Details {
	var out Details
	room := maxDetails
	for _, id := range ids {
		d := tasks[id].Detail
		if len(d) == 0 || len(d) > room || !json.Valid(d) {
			continue
		}
		if out == nil {
			out = Details{}
		}
		out[id] = d
		room -= len(d)
	}
	return out
}

// Decode is the inverse but for the details, which stay apart: they may change
// with each report while nothing else does. It never panics.
func Decode(b []byte) (map[fsm.TaskID]Status, error) {
	r := reader{b: b}
	var distinct []words
	for count := r.uvarint(); count > 0 && !r.bad; count-- {
		distinct = append(distinct, words{fsm.Code(r.text()), r.text()})
	}
	out := map[fsm.TaskID]Status{}
	for id := fsm.TaskID(0); len(r.b) > 0; {
		id += fsm.TaskID(r.uvarint())
		of := r.uvarint()
		s := Status{Lag: Lag{Records: r.varint(), Millis: r.varint()}, Rate: r.varint()}
		if r.bad || of >= uint64(len(distinct)) {
			return nil, errMalformed
		}
		s.State, s.Message = distinct[of].state, distinct[of].message
		out[id] = s
	}
	if r.bad {
		return nil, errMalformed
	}
	return out, nil
}

// reader takes bytes apart; once they are bad nothing is left of them.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

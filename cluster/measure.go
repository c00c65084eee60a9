package cluster

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"

	"sluice/fsm"
)

// Measurement is the small state of a running task that its node reports every
// second to every member.
type Measurement struct {
	State       fsm.Code // why it waits or what it does
	Message     string   // of trouble: which right, which broker; cut at maxMessage bytes
	LagRecords  int64    // behind the source, -1: unknown
	LagMillis   int64    // behind the source, -1: unknown
	BytesPerSec int64    // copied
}

// errMeasurements: the bytes are not what encodeMeasurements made.
var errMeasurements = errors.New("malformed measurements")

// A report stays small when everything is in trouble: it holds so many
// different messages, each so long; further tasks tell their state alone.
const (
	maxMessages = 64
	maxMessage  = 300 // bytes
)

// saying is a state with its message.
type saying struct {
	state   fsm.Code
	message string
}

// encodeMeasurements packs the measurements of a node: the states and
// messages that occur, then per task id (as a difference), state and message
// (as a number), lags and rate. Ten thousand tasks take about 100 KB.
func encodeMeasurements(ms map[fsm.TaskID]Measurement) []byte {
	ids := slices.Sorted(maps.Keys(ms))
	number := map[saying]int{}
	var said []saying
	of := make([]int, len(ids))
	messages := 0
	for i, id := range ids {
		s := saying{ms[id].State, strings.ToValidUTF8(ms[id].Message[:min(len(ms[id].Message), maxMessage)], "")}
		n, ok := number[s]
		if !ok && s.message != "" && messages == maxMessages {
			s.message = ""
			n, ok = number[s]
		}
		if !ok {
			if s.message != "" {
				messages++
			}
			n = len(said)
			number[s], said = n, append(said, s)
		}
		of[i] = n
	}
	b := binary.AppendUvarint(nil, uint64(len(said)))
	for _, s := range said {
		b = append(binary.AppendUvarint(b, uint64(len(s.state))), s.state...)
		b = append(binary.AppendUvarint(b, uint64(len(s.message))), s.message...)
	}
	last := fsm.TaskID(0)
	for i, id := range ids {
		m := ms[id]
		b = binary.AppendUvarint(b, uint64(id-last))
		b = binary.AppendUvarint(b, uint64(of[i]))
		b = binary.AppendVarint(b, m.LagRecords)
		b = binary.AppendVarint(b, m.LagMillis)
		b = binary.AppendVarint(b, m.BytesPerSec)
		last = id
	}
	return b
}

// decodeMeasurements is the inverse; it never panics.
func decodeMeasurements(b []byte) (map[fsm.TaskID]Measurement, error) {
	var bad bool
	uvarint := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			bad, b = true, nil
			return 0
		}
		b = b[n:]
		return v
	}
	varint := func() int64 {
		u := uvarint()
		return int64(u>>1) ^ -int64(u&1)
	}
	text := func() string {
		n := uvarint()
		if n > uint64(len(b)) {
			bad, b = true, nil
			return ""
		}
		s := string(b[:n])
		b = b[n:]
		return s
	}
	var said []saying
	for count := uvarint(); count > 0 && !bad; count-- {
		said = append(said, saying{fsm.Code(text()), text()})
	}
	out := map[fsm.TaskID]Measurement{}
	for id := fsm.TaskID(0); len(b) > 0; {
		id += fsm.TaskID(uvarint())
		of := uvarint()
		m := Measurement{LagRecords: varint(), LagMillis: varint(), BytesPerSec: varint()}
		if bad || of >= uint64(len(said)) {
			return nil, errMeasurements
		}
		m.State, m.Message = said[of].state, said[of].message
		out[id] = m
	}
	if bad {
		return nil, errMeasurements
	}
	return out, nil
}

package rewrite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sluice/kafka"
)

// marker makes a control batch as a transaction coordinator writes it.
func marker(t failer, offset, producer int64, m Marker) kafka.Batch {
	key := binary.BigEndian.AppendUint16([]byte{0, 0}, uint16(m))
	return source{base: offset, producer: producer, attributes: kafka.AttrControl | kafka.AttrTransactional,
		entries: []entry{{Offset: offset, Key: key, Value: []byte{0, 0, 0, 0, 0, 9}}}}.encode(t)
}

func TestAbortedFollowsTransactions(t *testing.T) {
	// Steps: t<producer> data of a transaction, p<producer> plain data,
	// a<producer> abort, c<producer> commit; each takes one offset.
	for _, tc := range []struct {
		name  string
		steps string
		list  []kafka.AbortedTxn
		shown string // the steps' positions that are shown
	}{
		{"nothing aborted", "t1 p2 c1", nil, "0 1"},
		{"one aborted", "t1 t1 a1 t1 c1", []kafka.AbortedTxn{{ProducerID: 1, FirstOffset: 0}}, "3"},
		{"two producers", "t1 t2 t1 a1 t2 c2", []kafka.AbortedTxn{{ProducerID: 1, FirstOffset: 0}}, "1 4"},
		{"both aborted, list unsorted", "t1 t2 a1 t1 a2 c1", []kafka.AbortedTxn{{ProducerID: 2, FirstOffset: 1}, {ProducerID: 1, FirstOffset: 0}}, "3"},
		{"aborted twice", "t1 a1 t1 a1 t1 c1", []kafka.AbortedTxn{{ProducerID: 1, FirstOffset: 0}, {ProducerID: 1, FirstOffset: 2}}, "4"},
		{"committed before the aborted one", "t1 c1 t1 a1", []kafka.AbortedTxn{{ProducerID: 1, FirstOffset: 2}}, "0"},
		{"began before the answer", "t1 a1 p1", []kafka.AbortedTxn{{ProducerID: 1, FirstOffset: -1}}, "2"},
		{"plain data of an aborted producer", "t1 p1 a1", []kafka.AbortedTxn{{ProducerID: 1, FirstOffset: 0}}, "1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := NewAborted(tc.list)
			var shown []string
			for i, step := range strings.Fields(tc.steps) {
				offset, producer := int64(i), int64(step[1]-'0')
				var b kafka.Batch
				switch step[0] {
				case 'a':
					b = marker(t, offset, producer, MarkerAbort)
				case 'c':
					b = marker(t, offset, producer, MarkerCommit)
				default:
					s := source{base: offset, producer: producer, entries: at(offset)}
					if step[0] == 't' {
						s.attributes = kafka.AttrTransactional
					}
					b = s.encode(t)
				}
				skip, err := a.Skip(NewCodec(), b)
				if err != nil {
					t.Fatal(err)
				}
				if !skip && b.Attributes()&kafka.AttrControl == 0 {
					shown = append(shown, fmt.Sprint(i))
				}
			}
			if got := strings.Join(shown, " "); got != tc.shown {
				t.Errorf("shows %q, want %q", got, tc.shown)
			}
		})
	}
}

func TestParseMarker(t *testing.T) {
	c := NewCodec()
	for _, want := range []Marker{MarkerAbort, MarkerCommit, 2} {
		if got, err := c.ParseMarker(marker(t, 5, 1, want)); err != nil || got != want {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
	emptied := source{base: 5, attributes: kafka.AttrControl}.encode(t)
	if got, err := c.ParseMarker(emptied); err != nil || got != MarkerCommit {
		t.Errorf("emptied: %v, %v", got, err)
	}
	short := source{base: 5, attributes: kafka.AttrControl, entries: []entry{{Offset: 5, Key: []byte{0, 0, 1}}}}.encode(t)
	if _, err := c.ParseMarker(short); !errors.Is(err, kafka.ErrCorruptBatch) || !strings.Contains(err.Error(), "offset 5") {
		t.Errorf("short key: %v", err)
	}
}

package record_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sluice/kafka/record"
	"sluice/test/oracle"
)

// marker makes a control batch as a transaction coordinator writes it.
func marker(t oracle.Failer, offset, producer int64, m record.Marker) record.Batch {
	key := binary.BigEndian.AppendUint16([]byte{0, 0}, uint16(m))
	return oracle.Source{Base: offset, Producer: producer, Attributes: record.AttrControl | record.AttrTransactional,
		Entries: []oracle.Entry{{Offset: offset, Key: key, Value: []byte{0, 0, 0, 0, 0, 9}}}}.Encode(t)
}

func TestAbortedFollowsTransactions(t *testing.T) {
	// Steps: t<producer> data of a transaction, p<producer> plain data,
	// a<producer> abort, c<producer> commit; each takes one offset.
	for _, tc := range []struct {
		name  string
		steps string
		list  []record.AbortedTxn
		shown string // the steps' positions that are shown
	}{
		{"nothing aborted", "t1 p2 c1", nil, "0 1"},
		{"one aborted", "t1 t1 a1 t1 c1", []record.AbortedTxn{{ProducerID: 1, FirstOffset: 0}}, "3"},
		{"two producers", "t1 t2 t1 a1 t2 c2", []record.AbortedTxn{{ProducerID: 1, FirstOffset: 0}}, "1 4"},
		{"both aborted, list unsorted", "t1 t2 a1 t1 a2 c1", []record.AbortedTxn{{ProducerID: 2, FirstOffset: 1}, {ProducerID: 1, FirstOffset: 0}}, "3"},
		{"aborted twice", "t1 a1 t1 a1 t1 c1", []record.AbortedTxn{{ProducerID: 1, FirstOffset: 0}, {ProducerID: 1, FirstOffset: 2}}, "4"},
		{"committed before the aborted one", "t1 c1 t1 a1", []record.AbortedTxn{{ProducerID: 1, FirstOffset: 2}}, "0"},
		{"began before the answer", "t1 a1 p1", []record.AbortedTxn{{ProducerID: 1, FirstOffset: -1}}, "2"},
		{"plain data of an aborted producer", "t1 p1 a1", []record.AbortedTxn{{ProducerID: 1, FirstOffset: 0}}, "1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := record.NewAborted(tc.list)
			var shown []string
			for i, step := range strings.Fields(tc.steps) {
				offset, producer := int64(i), int64(step[1]-'0')
				var b record.Batch
				switch step[0] {
				case 'a':
					b = marker(t, offset, producer, record.MarkerAbort)
				case 'c':
					b = marker(t, offset, producer, record.MarkerCommit)
				default:
					s := oracle.Source{Base: offset, Producer: producer, Entries: oracle.At(offset)}
					if step[0] == 't' {
						s.Attributes = record.AttrTransactional
					}
					b = s.Encode(t)
				}
				skip, err := a.Skip(record.NewCodec(), b)
				if err != nil {
					t.Fatal(err)
				}
				if !skip && b.Attributes()&record.AttrControl == 0 {
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
	c := record.NewCodec()
	for _, want := range []record.Marker{record.MarkerAbort, record.MarkerCommit, 2} {
		if got, err := c.ParseMarker(marker(t, 5, 1, want)); err != nil || got != want {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
	emptied := oracle.Source{Base: 5, Attributes: record.AttrControl}.Encode(t)
	if got, err := c.ParseMarker(emptied); err != nil || got != record.MarkerCommit {
		t.Errorf("emptied: %v, %v", got, err)
	}
	short := oracle.Source{Base: 5, Attributes: record.AttrControl, Entries: []oracle.Entry{{Offset: 5, Key: []byte{0, 0, 1}}}}.Encode(t)
	if _, err := c.ParseMarker(short); !errors.Is(err, record.ErrCorruptBatch) || !strings.Contains(err.Error(), "offset 5") {
		t.Errorf("short key: %v", err)
	}
}

package pipe

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/offsets"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
	"sluice/test/oracle"
)

// Times of the tables: a producer is forgotten after an hour.
const (
	wall       = int64(1_700_000_000_000)
	expiration = int64(3600_000)
)

func at() time.Time { return time.Unix(1000, 0) }

// counted is memory that tells how often it is held.
type counted struct{ held int }

func (m *counted) Retain()  { m.held++ }
func (m *counted) Release() { m.held-- }

// entries are young records with these offsets.
func entries(offsets ...int64) []oracle.Entry {
	es := oracle.At(offsets...)
	for i := range es {
		es[i].Timestamp = wall
	}
	return es
}

// span are the offsets [from, to).
func span(from, to int64) []int64 {
	var out []int64
	for o := from; o < to; o++ {
		out = append(out, o)
	}
	return out
}

// data is a batch of records [from, to).
func data(from, to int64) oracle.Source {
	return oracle.Source{Base: from, Producer: -1, Entries: entries(span(from, to)...)}
}

// marker ends a transaction of the producer.
func marker(offset, producer int64, kind record.Marker) oracle.Source {
	e := oracle.Entry{Offset: offset, Timestamp: wall, Key: []byte{0, 0, 0, byte(kind)}}
	return oracle.Source{Base: offset, Producer: producer, Attributes: record.AttrTransactional | record.AttrControl, Entries: []oracle.Entry{e}}
}

// of makes a batch one of the producer's, with attributes.
func of(s oracle.Source, producer int64, a record.Attributes) oracle.Source {
	s.Producer, s.Attributes = producer, s.Attributes|a
	return s
}

func encoded(t oracle.Failer, batches ...oracle.Source) []byte {
	var out []byte
	for _, b := range batches {
		out = append(out, b.Encode(t)...)
	}
	return out
}

func mapping(phase fsm.Phase, segments ...fsm.Segment) fsm.Mapping {
	return fsm.Mapping{Version: 1, Generation: 1, Phase: phase, ProducerID: 7, ProducerEpoch: 2, SequenceZero: segments[0].Target, Segments: segments}
}

func seg(source, target int64) fsm.Segment { return fsm.Segment{Source: source, Target: target} }

// begin is a pipe at a position, guarded.
func begin(m fsm.Mapping, source, target int64) *Pipe {
	return New(Start{
		Mapping: m, Position: recovery.Position{Source: source, Target: target, Sequence: offsets.Sequence(&m, target), LastTime: wall}, Progress: fsm.Progress{Source: source, Target: target},
		TargetEpoch: 5, Expiration: expiration, Guarded: true, Seen: at(), MaxOpened: 1 << 20,
	})
}

// take hands a pipe one answer of the source.
func take(p *Pipe, m Memory, records []byte, aborted ...record.AbortedTxn) {
	r := rewrite.NewRebuilder()
	r.Room = p.maxOpened
	p.Take(&Arrival{Records: records, Aborted: aborted, Stable: 1000, High: 1001, Memory: m}, r)
}

// queue writes what waits: each batch's source range, target offset and the
// keys of its records.
func queue(t testing.TB, p *Pipe) string {
	t.Helper()
	var out []string
	for _, it := range p.out.queue.all() {
		if it.fill > 0 {
			out = append(out, fmt.Sprintf("[%d,%d)@%d filled", it.from, it.sum.Next, it.sum.Target))
			continue
		}
		_, es := oracle.Decode(t, it.batch)
		var keys []string
		for _, e := range es {
			keys = append(keys, strings.TrimPrefix(string(e.Key), "k"))
		}
		out = append(out, fmt.Sprintf("[%d,%d)@%d: %s", it.from, it.sum.Next, it.sum.Target, strings.Join(keys, " ")))
	}
	return strings.Join(out, "; ")
}

func sound(t testing.TB, p *Pipe) {
	t.Helper()
	if err := p.Invariant(); err != nil {
		t.Errorf("invariant: %v", err)
	}
}

// pop puts the next batch in flight; it must be ready.
func pop(t testing.TB, p *Pipe) {
	t.Helper()
	if v := p.Next(at(), wall, never); v != Ready {
		t.Fatalf("%s, want ready", v)
	}
	p.Pop(at())
	sound(t, p)
}

// never is a leader that has confirmed nothing, always one that has.
func never() bool  { return false }
func always() bool { return true }

// drain sends all that waits, each batch acknowledged where it should stand.
func drain(t testing.TB, p *Pipe) {
	t.Helper()
	for p.Sendable() {
		pop(t, p)
		p.Acknowledged(p.out.inFlight.at(0).sum.Target, at())
		sound(t, p)
	}
}

package pipe

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/offsets"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
	"sluice/test/oracle"
)

// partition is a source's log: batches in order, and what a fetch tells of
// their transactions.
type partition struct {
	batches  []oracle.Source
	encoded  [][]byte
	aborted  []record.AbortedTxn
	abortEnd []int64 // offset of each one's marker
	copied   []int64 // offsets of the records that a target must hold, in order
	end      int64
}

const foreignID = 66 // its batches are not copied

// drawPartition draws data, open and closed, transactions, and what compaction
// leaves.
func drawPartition(t *rapid.T) *partition {
	s := &partition{end: int64(rapid.IntRange(0, 3).Draw(t, "log start"))}
	kinds := []string{"data", "data", "data", "append time", "compacted", "emptied", "committed", "aborted", "foreign", "missing", "old", "old wrapper", "old compacted"}
	for range rapid.IntRange(1, 12).Draw(t, "batches") {
		s.draw(t, rapid.SampledFrom(kinds).Draw(t, "kind"))
	}
	return s
}

func (s *partition) draw(t *rapid.T, kind string) {
	n := int64(rapid.IntRange(1, 4).Draw(t, "records"))
	b := data(s.end, s.end+n)
	if rapid.IntRange(0, 2).Draw(t, "old") == 0 {
		for i := range b.Entries {
			b.Entries[i].Timestamp = wall - 2*expiration
		}
	}
	switch kind {
	case "missing":
		s.end += n
		return
	case "old", "old wrapper", "old compacted":
		s.addOld(t, kind, n)
		return
	case "append time":
		b.Attributes, b.MaxStamp = record.AttrLogAppendTime, wall
	case "compacted":
		b.LastDelta = int32(n) + 2
		b.Entries = entries(s.end+1, s.end+n+1)
	case "emptied":
		b.Entries, b.LastDelta = nil, int32(n)
	case "foreign":
		b.Producer = foreignID
	case "committed", "aborted":
		b = of(b, 50, record.AttrTransactional)
	}
	first := s.end
	s.add(t, b, kind != "foreign" && kind != "aborted")
	switch kind {
	case "committed":
		s.add(t, marker(s.end, 50, record.MarkerCommit), false)
	case "aborted":
		s.aborted, s.abortEnd = append(s.aborted, record.AbortedTxn{ProducerID: 50, FirstOffset: first}), append(s.abortEnd, s.end)
		s.add(t, marker(s.end, 50, record.MarkerAbort), false)
	}
}

func (s *partition) add(t *rapid.T, b oracle.Source, copied bool) {
	if copied {
		for _, e := range b.Entries {
			s.copied = append(s.copied, e.Offset)
		}
	}
	raw := b.Encode(t)
	s.batches, s.encoded = append(s.batches, b), append(s.encoded, raw)
	s.end = raw.LastOffset() + 1
}

// addOld adds messages of formats 0 and 1.
func (s *partition) addOld(t *rapid.T, kind string, n int64) {
	m := oracle.Old{Magic: int8(rapid.IntRange(0, 1).Draw(t, "magic")), Entries: entries(span(s.end, s.end+n)...)}
	if kind != "old" {
		m.Codec = record.Attributes(rapid.IntRange(1, 3).Draw(t, "codec"))
	}
	if kind == "old compacted" {
		m.Entries = entries(s.end+1, s.end+3)
	}
	for _, e := range m.Entries {
		s.copied = append(s.copied, e.Offset)
		s.end = e.Offset + 1
	}
	for b := range record.Batches(m.Encode(t)) {
		s.batches, s.encoded = append(s.batches, oracle.Source{Base: m.Entries[0].Offset}), append(s.encoded, b)
	}
}

// fetch answers as a broker does: whole batches from the one that holds the
// offset on, and perhaps part of the next.
func (s *partition) fetch(t *rapid.T, from int64) *Arrival {
	a := &Arrival{Stable: s.end, High: s.end}
	most, last := rapid.IntRange(1, 3).Draw(t, "batches"), int64(-1)
	for _, b := range s.encoded {
		end := record.Batch(b).LastOffset()
		if end < from {
			continue
		}
		if most--; most < 0 {
			if rapid.Bool().Draw(t, "part of another") {
				a.Records = append(a.Records, b[:rapid.IntRange(1, len(b)-1).Draw(t, "bytes")]...)
			}
			break
		}
		a.Records, last = append(a.Records, b...), end
	}
	for i, txn := range s.aborted {
		if txn.FirstOffset <= last && s.abortEnd[i] >= from {
			a.Aborted = append(a.Aborted, txn)
		}
	}
	return a
}

// way is one pipe after another over a partition, with a target that takes
// everything, and clocks.
type way struct {
	source  *partition
	pipe    *Pipe
	mapping fsm.Mapping
	known   []fsm.Segment // all segments of a translated mapping
	target  []int64       // source offsets of the records that stand in it
	sent    [][]int64     // source offsets of each batch in flight
	refuses bool          // the target has a gap behind what it holds
	singly  int64         // as the last pipe left it
	fetched int64         // offset of the next fetch
	fits    int           // bytes of a batch that the target is known to take, 0: any
	now     time.Time
	memory  counted
	codec   *rewrite.Rebuilder
}

func newWay(t *rapid.T) *way {
	w := &way{source: drawPartition(t), now: at(), codec: rewrite.NewRebuilder()}
	phase := rapid.SampledFrom([]fsm.Phase{fsm.PhaseDense, fsm.PhaseTranslated}).Draw(t, "phase")
	w.known = []fsm.Segment{seg(w.source.start(), 0)}
	w.mapping = mapping(phase, w.known...)
	w.open(t, fsm.Progress{Source: w.known[0].Source}, rapid.Bool().Draw(t, "guarded"))
	return w
}

// start is where the log starts.
func (s *partition) start() int64 {
	if len(s.batches) == 0 {
		return s.end
	}
	return s.batches[0].Base
}

func (w *way) open(t *rapid.T, p fsm.Progress, guarded bool) {
	w.pipe = New(Start{
		Mapping: w.mapping, Skip: map[int64]bool{foreignID: true}, Position: recovery.Position{Source: p.Source, Target: p.Target, Sequence: offsets.Sequence(&w.mapping, p.Target), LastTime: wall}, Progress: p,
		Expiration: expiration, Guarded: guarded, OldRequests: rapid.Bool().Draw(t, "old requests"), Seen: w.now, MaxOpened: 1 << 20, MaxBatch: w.fits, Singly: w.singly,
	})
	w.fetched, w.sent, w.refuses = p.Source, nil, false
}

func (w *way) take(t *rapid.T) {
	if !w.pipe.Wants(false) {
		return
	}
	a := w.source.fetch(t, w.fetched)
	a.Memory = &w.memory
	for rest := a.Records; ; {
		b, r, err := record.NextBatch(rest)
		if err != nil || b == nil {
			break
		}
		w.fetched, rest = b.LastOffset()+1, r
	}
	w.pipe.Take(a, w.codec)
}

func (w *way) send(t *rapid.T) {
	switch w.pipe.Next(w.now, wall, func() bool { return rapid.Bool().Draw(t, "leased") }) {
	case Look:
		var f *recovery.Fault
		if rapid.IntRange(0, 4).Draw(t, "moved") == 0 {
			f = &recovery.Fault{Kind: recovery.Retry, Range: recovery.None()}
		}
		w.pipe.Looked(w.now, f)
	case Ready:
		if rapid.Bool().Draw(t, "merged") {
			w.pipe.Merge(64<<10, w.codec, func(int) Memory { return &w.memory })
		}
		w.pop(t)
	case Nothing, Hold:
	}
}

func (w *way) pop(t *rapid.T) {
	b := w.pipe.Pop(w.now)
	es, err := oracle.Read(w.codec.Codec, b, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if h := b.Header(); h.ProducerID != w.mapping.ProducerID || h.ProducerEpoch != w.mapping.ProducerEpoch {
		t.Fatalf("sent under another mapping: %+v", h)
	}
	var of []int64
	for i, e := range es {
		if e.Offset != int64(i) {
			t.Fatalf("record %d stands at %d of its batch", i, e.Offset)
		}
		var o int64
		if _, err := fmt.Sscanf(string(e.Key), "k%d", &o); err != nil {
			t.Fatal(err)
		}
		of = append(of, o)
	}
	w.sent = append(w.sent, of)
}

// answer answers the oldest batch in flight: well, by a time-out although it
// stands in the log, or not at all. What follows one that does not stand there
// is refused by its sequence.
func (w *way) answer(t *rapid.T, how string) {
	if len(w.sent) == 0 {
		return
	}
	of, base := w.sent[0], int64(len(w.target))
	w.sent = w.sent[1:]
	if w.refuses || how == "lost" {
		w.refuses = true
		f := recovery.Fault{Kind: rapid.SampledFrom([]recovery.Kind{recovery.Retry, recovery.Unsure, recovery.Blocked}).Draw(t, "kind"), Range: recovery.None()}
		if f.Kind == recovery.Blocked && rapid.Bool().Draw(t, "too large") {
			f.Code = fsm.CodeRecordTooLarge
		}
		w.pipe.Refused(f)
		return
	}
	w.target = append(w.target, of...)
	if how == "timed out" {
		w.pipe.Refused(recovery.Fault{Kind: recovery.Unsure, Range: recovery.None(), Perhaps: true})
		return
	}
	w.pipe.Acknowledged(base, w.now)
}

// again begins the next pipe where the target's log ends, as recovery would.
func (w *way) again(t *rapid.T) {
	if !w.pipe.Over() {
		return
	}
	r := w.pipe.Result()
	w.singly = r.Singly
	w.known = append(w.known, w.segments(r.Segments)...)
	if w.fits = r.Remember(recovery.Memory{Fits: w.fits}).Fits; w.fits > 0 && rapid.IntRange(0, 3).Draw(t, "smaller yet") == 0 {
		w.fits /= 4
	}
	p := r.Progress
	for _, b := range r.Unacked {
		if b.Target >= p.Target && b.End() <= int64(len(w.target)) {
			w.known = append(w.known, w.segments(b.Segments)...)
			p.Records += int64(b.Count)
			p.Source, p.Target = b.Next, b.End()
		}
	}
	if f := r.Fault; f.Kind == recovery.Gap && f.Range.From == p.Source {
		w.mapping.Phase = fsm.PhaseTranslated
		if f.Range.To > p.Source {
			w.known = append(w.known, seg(f.Range.To, p.Target))
			p.Source = f.Range.To
		}
	}
	w.mapping.Segments = slices.Clone(w.known)
	w.mapping.ProducerEpoch++
	w.mapping.SequenceZero = p.Target
	w.open(t, p, rapid.Bool().Draw(t, "guarded"))
}

func (w *way) checkpoint() {
	_, segments := w.pipe.Checkpoint()
	w.known = append(w.known, w.segments(segments)...)
}

// segments are those of a translated stream.
func (w *way) segments(s []fsm.Segment) []fsm.Segment {
	if w.mapping.Phase == fsm.PhaseDense {
		return nil
	}
	return s
}

// check: the target holds the records of the source that are to be copied, in
// order, each once; progress tells how many, and the mapping where each stands.
func (w *way) check(t *rapid.T) {
	if err := w.pipe.Invariant(); err != nil {
		t.Fatal(err)
	}
	if n := len(w.target); n > len(w.source.copied) || !slices.Equal(w.target, w.source.copied[:n]) {
		t.Fatalf("the target holds %v of %v", w.target, w.source.copied)
	}
	r := w.pipe.Result()
	done, _ := slices.BinarySearch(w.source.copied, r.Progress.Source)
	if r.Progress.Target > int64(len(w.target)) || done != int(r.Progress.Target) || r.Progress.Records != r.Progress.Target {
		t.Fatalf("progress %+v with %d records written", r.Progress, len(w.target))
	}
	m := w.mapping
	m.Segments = append(slices.Clone(w.known), w.segments(r.Segments)...)
	for i, source := range w.target[:r.Progress.Target] {
		if got, ok := offsets.Target(&m, source); got != int64(i) || !ok {
			t.Fatalf("source %d stands at %d, the segments %v have it at %d (%v)", source, i, m.Segments, got, ok)
		}
	}
	if held := w.pipe.out.queue.len() + w.pipe.out.inFlight.len(); w.memory.held != held {
		t.Fatalf("memory is held %d times for %d batches", w.memory.held, held)
	}
}

// TestWay runs pipes over all kinds of batches, through answers good and bad,
// old records, looks and reconnects, and checks after every step.
func TestWay(t *testing.T) {
	for range 20 { // a hundred histories each
		rapid.Check(t, checkWay)
	}
}

func checkWay(t *rapid.T) {
	w := newWay(t)
	t.Repeat(map[string]func(*rapid.T){
		"take":      w.take,
		"send":      w.send,
		"send more": func(t *rapid.T) { w.send(t); w.send(t); w.send(t) },
		"ack":       func(t *rapid.T) { w.answer(t, "well") },
		"copy": func(t *rapid.T) {
			for range 4 {
				w.take(t)
				w.send(t)
				w.answer(t, "well")
			}
		},
		"answer": func(t *rapid.T) {
			w.answer(t, rapid.SampledFrom([]string{"well", "well", "timed out", "lost"}).Draw(t, "how"))
		},
		"look away": func(*rapid.T) { w.now = w.now.Add(LookAfter / 2) },
		"reconnect": func(*rapid.T) {
			if len(w.sent) == 0 {
				w.pipe.Reconnected()
			}
		},
		"checkpoint": func(*rapid.T) { w.checkpoint() },
		"end": func(t *rapid.T) {
			if rapid.IntRange(0, 3).Draw(t, "seldom") == 0 {
				w.pipe.End(recovery.Fault{Kind: recovery.Retry, Range: recovery.None()})
			}
		},
		"again": w.again,
		"":      w.check,
	})
	w.settle(t)
}

// settle: without faults all of the source is copied.
func (w *way) settle(t *rapid.T) {
	for range 200 {
		w.answer(t, "well")
		w.again(t)
		if w.pipe.Life() == Ended {
			continue
		}
		if len(w.sent) == 0 {
			w.take(t)
		}
		w.send(t)
		w.check(t)
		if len(w.target) == len(w.source.copied) {
			return
		}
	}
	t.Fatalf("%d of %d records are copied; %s, fault %+v", len(w.target), len(w.source.copied), w.pipe.Life(), w.pipe.Result().Fault)
}

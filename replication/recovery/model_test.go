package recovery

import (
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
)

// model is one stream, its target's broker and two nodes. The stream's owner
// by the facts knows the mapping as it is; the other may go on by an old one.
type model struct {
	broker  modelBroker
	mapping fsm.Mapping  // the fact
	point   fsm.Progress // the checkpoint
	owner   int          // the fact
	nodes   [2]modelNode
	orphans [][]modelRequest // of dead connections, in order: may still be appended
	first   int64
	skipped map[int64]bool
	lost    bool // the log lost its end, and no checkpoint has told since
	stuck   bool
}

// modelNode runs the stream as replication does.
type modelNode struct {
	m        fsm.Mapping // as it knows it
	p        fsm.Progress
	open     bool
	source   int64 // next to send
	target   int64
	last     int64 // timestamp of the predecessor
	window   int
	clean    bool // derived while no other request was on its way
	seen     bool // has read the log's end or had an answer since the owner last stood still for a quiet wait
	inflight []modelRequest
}

type modelRequest struct {
	batch  modelBatch
	target int64
	next   int64
}

const ourID, theirID = 7, 99

func newModel(t *rapid.T) *model {
	w := &model{skipped: map[int64]bool{}}
	w.first = rapid.SampledFrom([]int64{0, 50}).Draw(t, "source start")
	w.broker = modelBroker{start: rapid.SampledFrom([]int64{0, 3, 1 << 33}).Draw(t, "target start"), state: map[int64][]modelBatch{}}
	zero := w.broker.start
	if rapid.Bool().Draw(t, "near the wrap") && zero > sequences {
		zero -= sequences - 12
	}
	w.mapping = *dense(zero, fsm.Segment{Source: w.first, Target: w.broker.start})
	w.mapping.ProducerID = ourID
	w.point = fsm.Progress{Source: w.first, Target: w.broker.start}
	for i := range w.nodes {
		w.nodes[i] = modelNode{m: w.mapping, p: w.point}
	}
	return w
}

// quiet reports that no request but n's own is on its way.
func (w *model) quiet(i int) bool { return len(w.orphans) == 0 && len(w.nodes[1-i].inflight) == 0 }

// current reports that the node owns the stream and knows it. While the epoch
// of the facts has written nothing, a node behind the facts could slip in
// between: base offsets show that, nothing prevents it (a documented window).
func (w *model) mayAct(i int) bool {
	if i == w.owner {
		return true
	}
	known := w.broker.state[ourID]
	return len(known) > 0 && known[0].epoch == w.mapping.ProducerEpoch || w.nodes[i].m.ProducerEpoch == w.mapping.ProducerEpoch
}

// close ends the node's connection; what is in flight is an orphan.
func (w *model) close(i int) {
	n := &w.nodes[i]
	if len(n.inflight) > 0 {
		w.orphans = append(w.orphans, n.inflight)
	}
	n.inflight, n.open = nil, false
}

func (w *model) derive(t *rapid.T, i int) {
	n := &w.nodes[i]
	w.close(i)
	if w.stuck {
		return
	}
	if i == w.owner {
		n.m = w.mapping
	}
	o := w.broker.read(n.m.ProducerID)
	pos := Derive(&n.m, n.p, o, nil)
	switch pos.Outcome {
	case Found, LostAcked:
		n.open, n.source, n.target, n.last, n.window = true, pos.Source, pos.Target, pos.LastTime, 1
		n.clean, n.seen = w.quiet(i), true
		n.p = fsm.Progress{Source: pos.Source, Target: pos.Target}
	case RaiseEpoch:
		if i == w.owner && w.quiet(i) {
			source := Source(&n.m, o.LogEnd)
			w.change(i, Cut(&n.m, o.LogEnd), source)
		}
	case Foreign:
		if i == w.owner && w.quiet(i) {
			w.behindForeign(i, pos)
		}
	case Truncated:
		if i == w.owner && w.quiet(i) {
			w.skipTo(i, w.mapping.Segments[0].Source)
		}
	case Unknown:
		w.stuck = true // a foreign writer and a lost end: only copying anew helps
	default:
		t.Fatalf("%+v", pos)
	}
}

// change commits a mapping with new segments and a raised epoch.
func (w *model) change(i int, segments []fsm.Segment, source int64) {
	n := &w.nodes[i]
	w.mapping.Version++
	w.mapping.Segments = segments
	w.mapping.ProducerEpoch++
	w.mapping.SequenceZero = w.broker.end()
	w.point = fsm.Progress{Source: source, Target: w.broker.end()}
	n.m, n.p = w.mapping, w.point
}

// skipTo commits a segment behind the log end that begins at source.
func (w *model) skipTo(i int, source int64) {
	w.change(i, Behind(&w.mapping, source, w.broker.end()), source)
}

// behindForeign looks, as replication does, for our batches in the log.
func (w *model) behindForeign(i int, pos Position) {
	ours, near := pos.Ours, w.nodes[i].p.Target
	var placed []Placed
	for _, b := range w.broker.log {
		if behind := OffsetOf(&w.mapping, b.seq, near) + int64(b.count); b.pid == ourID && b.epoch == w.mapping.ProducerEpoch && behind > near {
			placed, ours = append(placed, Placed{BaseOffset: b.base, BaseSequence: b.seq}), max(ours, behind)
		}
	}
	if ours < near && near <= w.broker.end() {
		ours = near
	}
	if ours < 0 {
		w.stuck = true
		return
	}
	source := Source(&w.mapping, ours)
	w.mapping.Segments = Moved(&w.mapping, near, placed)
	w.skipTo(i, source)
}

// timeOf is the timestamp of a source record: runs of old and young ones.
func timeOf(source int64) int64 {
	if source/3%2 == 1 {
		return tooOld
	}
	return young
}

func (w *model) send(t *rapid.T, i int) {
	n := &w.nodes[i]
	time := timeOf(n.source)
	guarded := n.last == young && time == young
	if n.open && guarded && i != w.owner && !n.seen && len(n.inflight) == 0 { // no leader confirms it: it looks again
		w.derive(t, i)
		return
	}
	if !n.open || len(n.inflight) >= n.window || !guarded && (len(n.inflight) > 0 || i != w.owner || !n.clean || !w.quiet(i)) {
		return
	}
	count := int32(rapid.IntRange(1, 4).Draw(t, "records"))
	for k := int32(1); k < count; k++ { // a batch reaches over no gap
		if s := n.source + int64(k); Source(&n.m, n.target+int64(k)) != s || timeOf(s) != time {
			count = k
		}
	}
	b := modelBatch{pid: ourID, epoch: n.m.ProducerEpoch, seq: Sequence(&n.m, n.target), count: count, time: time, source: n.source}
	r := modelRequest{b, n.target, n.source + int64(count)}
	n.target += int64(count)
	n.source = max(r.next, Source(&n.m, n.target))
	n.last = time
	if !guarded {
		n.window = 1
		w.nodes[1-i].seen = false // a quiet wait came first, in which the other appended nothing
	}
	n.inflight = append(n.inflight, r)
}

// deliver appends the oldest request in flight; its answer may get lost.
func (w *model) deliver(i int, lost bool) {
	n := &w.nodes[i]
	if len(n.inflight) == 0 {
		return
	}
	r := n.inflight[0]
	n.inflight = n.inflight[1:]
	base, err := w.broker.append(r.batch)
	if lost || err != nil || base != r.target {
		w.close(i)
		return
	}
	n.p, n.seen = fsm.Progress{Source: r.next, Target: r.target + int64(r.batch.count)}, true
	if r.batch.time == young {
		n.window = 5
	}
}

func (w *model) orphan(t *rapid.T, arrives bool) {
	if len(w.orphans) == 0 {
		return
	}
	k := rapid.IntRange(0, len(w.orphans)-1).Draw(t, "connection")
	if arrives {
		_, _ = w.broker.append(w.orphans[k][0].batch)
		w.orphans[k] = w.orphans[k][1:]
	}
	if !arrives || len(w.orphans[k]) == 0 {
		w.orphans = append(w.orphans[:k:k], w.orphans[k+1:]...)
	}
}

// lose is an unclean election: what is on its way goes to a leader that was.
func (w *model) lose(t *rapid.T) {
	if len(w.broker.log) < 2 {
		return
	}
	w.orphans, w.lost = nil, true
	for i := range w.nodes {
		w.nodes[i].inflight = nil
		w.close(i)
	}
	w.broker.lose(rapid.IntRange(1, len(w.broker.log)).Draw(t, "batches left"))
}

// TestNeverTwiceNeverMissing runs two nodes of one stream through lost
// answers, requests that arrive after their sender's death, takeovers while
// the predecessor goes on, expired producer state, unclean elections, foreign
// writers, gaps and raised epochs.
func TestNeverTwiceNeverMissing(t *testing.T) {
	for range 100 { // a hundred histories each
		rapid.Check(t, checkHistory)
	}
}

func checkHistory(t *rapid.T) {
	w := newModel(t)
	node := func() int { return rapid.IntRange(0, 1).Draw(t, "node") }
	t.Repeat(map[string]func(*rapid.T){
		"derive": func(t *rapid.T) {
			if i := node(); w.mayAct(i) {
				w.derive(t, i)
			}
		},
		"send": func(t *rapid.T) {
			if i := node(); w.mayAct(i) {
				w.send(t, i)
			}
		},
		"send more": func(t *rapid.T) {
			for i := node(); w.mayAct(i) && w.nodes[i].open && len(w.nodes[i].inflight) < w.nodes[i].window && w.nodes[i].last == young && timeOf(w.nodes[i].source) == young; {
				w.send(t, i)
			}
		},
		"copy": func(t *rapid.T) {
			for i, k := node(), 0; k < 5 && w.mayAct(i); k++ {
				w.send(t, i)
				w.deliver(i, false)
			}
		},
		"deliver":        func(t *rapid.T) { w.deliver(node(), false) },
		"lose an answer": func(t *rapid.T) { w.deliver(node(), true) },
		"orphan arrives": func(t *rapid.T) { w.orphan(t, true) },
		"orphan dies":    func(t *rapid.T) { w.orphan(t, false) },
		"takeover":       func(t *rapid.T) { w.takeOver() },
		"checkpoint": func(t *rapid.T) {
			if n := w.nodes[w.owner]; n.open {
				w.point, w.lost = n.p, false
			}
		},
		"die":          func(t *rapid.T) { w.close(node()) },
		"expire":       func(t *rapid.T) { w.broker.expire() },
		"lose the end": func(t *rapid.T) { w.lose(t) },
		"foreign": func(t *rapid.T) {
			if w.lost {
				return // it would hide that the end was lost: not told apart
			}
			_, _ = w.broker.append(modelBatch{pid: theirID, epoch: 0, seq: w.theirs(), count: int32(rapid.IntRange(1, 3).Draw(t, "records")), time: young, source: -1})
		},
		"gap": func(t *rapid.T) {
			i := w.owner
			if n := &w.nodes[i]; n.open && w.quiet(i) && len(n.inflight) == 0 && n.target == w.broker.end() {
				to := n.source + int64(rapid.IntRange(1, 5).Draw(t, "records"))
				for s := n.source; s < to; s++ {
					w.skipped[s] = true
				}
				w.skipTo(i, to)
				w.close(i)
			}
		},
		"": func(t *rapid.T) {
			if err := w.broker.check(w.first, w.skipped); err != nil {
				t.Fatal(err)
			}
		},
	})
	w.settle(t)
}

// takeOver gives the stream to the other node, which begins at the facts.
func (w *model) takeOver() {
	w.owner = 1 - w.owner
	w.close(w.owner)
	w.nodes[w.owner].m, w.nodes[w.owner].p = w.mapping, w.point
}

func (w *model) theirs() int32 {
	if known := w.broker.state[theirID]; len(known) > 0 {
		return known[len(known)-1].lastSeq() + 1
	}
	return 0
}

// settle: the faults are over, the owner alone goes on and must get anywhere.
func (w *model) settle(t *rapid.T) {
	i := w.owner
	w.close(1 - i)
	w.nodes[1-i].inflight, w.orphans = nil, nil
	for range 4 {
		w.derive(t, i)
		w.orphans = nil
	}
	if w.stuck {
		return
	}
	if !w.nodes[i].open {
		t.Fatalf("the stream does not go on: %+v of %+v", w.broker.read(ourID), w.mapping)
	}
	for range 8 {
		w.send(t, i)
		w.deliver(i, false)
	}
	if err := w.broker.check(w.first, w.skipped); err != nil {
		t.Fatal(err)
	}
	if n := w.nodes[i]; n.p.Target != w.broker.end() || Source(&w.mapping, n.p.Target) < n.p.Source {
		t.Fatalf("progress %+v, log end %d", n.p, w.broker.end())
	}
}

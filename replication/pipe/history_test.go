package pipe_test

import (
	"flag"
	"os"
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
	"sluice/replication/offsets"
	"sluice/replication/pipe"
	"sluice/replication/recovery"
)

// TestNeverTwiceNeverMissing runs two nodes of one stream through lost
// answers, requests that arrive after their sender's death, takeovers while
// the predecessor goes on, expired producer state, unclean elections, foreign
// writers, gaps, retention that overtakes the stream, and raised epochs.
func TestNeverTwiceNeverMissing(t *testing.T) {
	for range 100 { // a hundred histories each
		rapid.Check(t, checkHistory)
	}
}

func checkHistory(t *rapid.T) {
	w := newModel(t)
	node := func() int { return rapid.IntRange(0, 1).Draw(t, "node") }
	acting := func(f func(int)) func(*rapid.T) {
		return func(t *rapid.T) {
			if i := node(); w.mayAct(i) {
				f(i)
			}
		}
	}
	t.Repeat(map[string]func(*rapid.T){
		"recover": acting(func(i int) { w.recover(t, i) }),
		"fetch":   acting(func(i int) { w.fetch(t, i) }),
		"send":    acting(func(i int) { w.send(t, i) }),
		"send more": acting(func(i int) {
			for range 5 {
				w.fetch(t, i)
				w.send(t, i)
			}
		}),
		"copy": acting(func(i int) {
			for k := 0; k < 5 && w.mayAct(i); k++ {
				w.copyOne(t, i)
			}
		}),
		"deliver":        func(t *rapid.T) { w.deliver(node(), false) },
		"lose an answer": func(t *rapid.T) { w.deliver(node(), true) },
		"orphan arrives": func(t *rapid.T) { w.orphan(t, true) },
		"orphan dies":    func(t *rapid.T) { w.orphan(t, false) },
		"takeover": func(t *rapid.T) {
			w.owner = 1 - w.owner
			w.begin(w.owner)
		},
		"checkpoint":   func(t *rapid.T) { w.checkpoint() },
		"die":          func(t *rapid.T) { w.die(node()) },
		"expire":       func(t *rapid.T) { w.broker.expire() },
		"lose the end": func(t *rapid.T) { w.lose(t) },
		"foreign":      func(t *rapid.T) { w.foreign(t) },
		"retention":    func(t *rapid.T) { w.trim(t) },
		"gap":          func(t *rapid.T) { w.gap(t, false) },
		"transaction":  func(t *rapid.T) { w.gap(t, true) },
		"fill":         acting(func(i int) { w.fillOn(t, i) }),
		"":             w.check,
	})
	w.settle(t)
}

// check: each record stands in the target once and in order, and both pipes
// keep what they promise.
func (w *model) check(t *rapid.T) {
	if err := w.broker.check(w.start, w.skipped); err != nil {
		t.Fatal(err)
	}
	for i := range w.nodes {
		if p := w.nodes[i].pipe; p != nil {
			if err := p.Invariant(); err != nil {
				t.Fatalf("node %d: %v", i, err)
			}
		}
	}
}

func (w *model) orphan(t *rapid.T, arrives bool) {
	if len(w.orphans) == 0 {
		return
	}
	k := rapid.IntRange(0, len(w.orphans)-1).Draw(t, "connection")
	if arrives {
		_, _ = w.broker.append(w.orphans[k][0])
		w.orphans[k] = w.orphans[k][1:]
	}
	if !arrives || len(w.orphans[k]) == 0 {
		w.orphans = append(w.orphans[:k:k], w.orphans[k+1:]...)
	}
}

func (w *model) copyOne(t *rapid.T, i int) {
	w.recover(t, i)
	w.fetch(t, i)
	w.send(t, i)
	w.deliver(i, false)
	w.fillOn(t, i)
	w.fillOn(t, i)
}

// checkpoint commits the owner's progress, with its segments.
func (w *model) checkpoint() {
	n := &w.nodes[w.owner]
	if n.pipe == nil || n.pipe.Life() == pipe.Ended || n.task.Mapping.Version != w.task.Mapping.Version {
		return
	}
	p, segments := n.pipe.Checkpoint()
	w.task.Progress, w.lost = p, false
	if w.task.Mapping.Phase == fsm.PhaseTranslated {
		m := *w.task.Mapping
		m.Segments = append(append(append([]fsm.Segment(nil), m.Segments...), n.memory.Unsaved...), segments...)
		w.task.Mapping = &m
		n.memory.Unsaved = nil
		n.task.Mapping = &m
	}
}

// die is a process that begins anew, on the same node.
func (w *model) die(i int) {
	w.close(i)
	w.nodes[i].pipe = nil
	if i == w.owner {
		w.begin(i)
		return
	}
	w.nodes[i].over = true
}

func (w *model) foreign(t *rapid.T) {
	if w.lost {
		return // it would hide that the end was lost: not told apart
	}
	seq := int32(0)
	if known := w.broker.state[theirID]; len(known) > 0 {
		seq = known[len(known)-1].lastSeq() + 1
	}
	_, _ = w.broker.append(modelBatch{pid: theirID, seq: seq, count: int32(rapid.IntRange(1, 3).Draw(t, "records")), time: young, source: -1})
}

// trim is retention that passes what the owner copied.
func (w *model) trim(t *rapid.T) {
	n := &w.nodes[w.owner]
	if n.pipe == nil || len(n.inFlight) > 0 || !w.quiet(w.owner) {
		return
	}
	at := n.pipe.Status().Progress.Source
	if offsets.Source(n.task.Mapping, w.broker.end()) != at {
		return
	}
	to := at + int64(rapid.IntRange(1, 5).Draw(t, "records"))
	for s := at; s < to; s++ {
		w.skipped[s] = true
	}
	w.first = to
	for i := range w.nodes { // what was fetched before would still be copied
		w.close(i)
		if p := w.nodes[i].pipe; p != nil {
			p.End(recovery.AtSource(recovery.OutOfRange, fsm.CodePositionLost, -1, -1, "out of range"))
			w.ended(i)
		}
	}
}

// past is the first source offset from at on that no gap holds. A gap may lie
// over what was copied before: the source has lost it since.
func (w *model) past(at int64) int64 {
	for moved := true; moved; {
		moved = false
		for from, to := range w.gaps {
			if from <= at && at < to {
				at, moved = to, true
			}
		}
	}
	return at
}

// gap puts a gap behind all that anybody has fetched.
func (w *model) gap(t *rapid.T, transaction bool) {
	if !transaction && rapid.IntRange(0, 9).Draw(t, "seldom") > 0 {
		return
	}
	at := max(w.nodes[0].fetched, w.nodes[1].fetched, w.first) + int64(rapid.IntRange(0, 3).Draw(t, "ahead"))
	to := at + int64(rapid.IntRange(1, 3).Draw(t, "offsets"))
	if transaction && at < w.seen {
		return // there was a record
	}
	for s := at; s < to; s++ {
		if w.past(s) != s {
			return
		}
	}
	for s := at; s < to; s++ {
		w.skipped[s] = true
	}
	w.gaps[at], w.marks[at] = to, transaction
}

// settle: the faults are over, the owner alone goes on and must get anywhere.
func (w *model) settle(t *rapid.T) {
	i := w.owner
	w.die(1 - i)
	w.orphans = nil
	for range 12 {
		w.recover(t, i)
		w.orphans = nil
		if w.nodes[i].pipe == nil {
			w.nodes[i].memory.Attempts = max(w.nodes[i].memory.Attempts, 10)
		}
	}
	if w.stuck {
		return
	}
	if w.nodes[i].pipe == nil {
		t.Fatalf("the stream does not go on: %+v of %+v, fault %v", w.broker.read(ourID), w.task.Mapping, w.nodes[i].fault)
	}
	for range 12 {
		w.deliver(i, false)
		w.copyOne(t, i)
	}
	if w.stuck {
		return
	}
	w.check(t)
	for range 12 {
		w.deliver(i, false)
		w.fillOn(t, i)
		w.recover(t, i)
	}
	n := &w.nodes[i]
	if n.pipe == nil {
		t.Fatalf("it stands: %+v, log end %d, fault %+v, mapping %+v", n.memory, w.broker.end(), n.fault, n.task.Mapping)
	}
	p, m := n.pipe.Status().Progress, n.task.Mapping
	if p.Target != w.broker.end() || m.Phase == fsm.PhaseDense && offsets.Source(m, p.Target) < p.Source {
		t.Fatalf("progress %+v, log end %d of %+v", p, w.broker.end(), m)
	}
}

// TestMain makes histories longer than rapid's default.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("rapid.steps", "80"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// align holds the source against what the target has behind a known place.
func (w *model) align(n *modelNode, s *recovery.Situation, known fsm.Progress) *recovery.Alignment {
	var source, target []recovery.Seen
	for _, b := range w.broker.log {
		for k := range int64(b.count) {
			if at := b.base + k; at >= known.Target && at < s.Log.LogEnd {
				target = append(target, recovery.Seen{Offset: at, Sum: uint64(b.source + k), Other: b.source == -1, Filler: b.source == fillerID})
			}
		}
	}
	for at := max(known.Source, w.first); int64(len(source)) < s.Log.LogEnd-known.Target; at++ {
		at = w.past(at)
		source = append(source, recovery.Seen{Offset: at, Sum: uint64(at)})
	}
	a := recovery.Align(recovery.Logs{Source: source, Again: source, SourceEnd: s.Source.End, Target: target, TargetStart: known.Target, TargetEnd: s.Log.LogEnd}, known)
	return &a
}

package pipe_test

import (
	"encoding/binary"
	"errors"
	"time"

	"pgregory.net/rapid"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/pipe"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
)

// model is one stream, its target's broker and two nodes that run the real
// pipe and the real recovery. The stream's owner by the facts knows the facts
// as they are; the other may go on by old ones.
type model struct {
	broker  modelBroker
	task    fsm.Copy // the facts
	spec    fsm.LinkSpec
	owner   int // the fact
	nodes   [2]modelNode
	orphans [][]modelBatch // requests of dead connections, in order: may still be appended
	start   int64          // source offset of the first record
	first   int64          // the source's log start
	skipped map[int64]bool
	gaps    map[int64]int64 // source offset without a record -> the next one that has one
	marks   map[int64]bool  // of these, those that a transaction takes
	clock   time.Time
	births  int   // requests sent so far
	seen    int64 // source offset that was fetched last
	lost    bool  // the log lost its end, and no checkpoint has told since
	stuck   bool  // only copying anew helps
	codec   *rewrite.Rebuilder
}

// modelNode runs the stream as the shell does.
type modelNode struct {
	task     fsm.Copy // the facts as it knows them
	memory   recovery.Memory
	fault    *recovery.Fault
	pipe     *pipe.Pipe // nil: not open
	fetched  int64      // source offset of the next fetch
	inFlight []modelBatch
	waited   int  // requests sent when it was given the stream, or last waited for old ones
	clean    bool // derived while no later request was on its way
	over     bool // it has heard that it does not own the stream
	fence    int  // its filler's
	filling  bool
	filled   int // steps of its filler that are done
}

// debug tells each step of a history that failed.
const debug = false

const ourID, theirID, fillerID = 7, 99, -2

// kept is memory that nobody counts.
type kept struct{}

func (kept) Retain()  {}
func (kept) Release() {}

func newModel(t *rapid.T) *model {
	w := &model{skipped: map[int64]bool{}, gaps: map[int64]int64{}, marks: map[int64]bool{}, clock: time.Unix(1, 0), codec: rewrite.NewRebuilder()}
	w.start = rapid.SampledFrom([]int64{0, 50}).Draw(t, "source start")
	w.first = w.start
	w.broker = modelBroker{start: rapid.SampledFrom([]int64{0, 3, 1 << 33}).Draw(t, "target start"), state: map[int64][]modelBatch{}}
	w.broker.most = rapid.SampledFrom([]int32{0, 0, 1, 2, 3}).Draw(t, "records of a batch at most")
	zero := w.broker.start
	if rapid.Bool().Draw(t, "near the wrap") && zero > sequences {
		zero -= sequences - 12
	}
	w.spec = fsm.LinkSpec{OnLoss: fsm.OnLossContinue, Offsets: fsm.OffsetsAuto}
	w.task = fsm.Copy{
		Start: w.start, Progress: fsm.Progress{Source: w.start, Target: w.broker.start, SourceEpoch: -1},
		Mapping: &fsm.Mapping{Version: 1, Generation: 1, Phase: fsm.PhaseDense, ProducerID: ourID, SequenceZero: zero,
			Segments: []fsm.Segment{{Source: w.start, Target: w.broker.start}}},
	}
	for i := range w.nodes {
		w.begin(i)
		w.nodes[i].memory.OldRequests = false
	}
	return w
}

// begin makes the node a process that has just been given the stream.
func (w *model) begin(i int) {
	w.close(i)
	w.nodes[i] = modelNode{task: w.task, waited: w.births, memory: recovery.Memory{Version: w.task.Mapping.Version, Last: w.task.Progress, Refused: -1, OldRequests: true}}
}

// heldUp reports that a request is on its way which another sent after the node
// had waited for all that were: a young batch of a node that is cut off. What
// it may do is a documented window.
func (w *model) heldUp(i int) bool {
	for _, requests := range append([][]modelBatch{w.nodes[1-i].inFlight}, w.orphans...) {
		for _, b := range requests {
			if b.born > w.nodes[i].waited {
				return true
			}
		}
	}
	return false
}

// quiet reports that no request but the node's own is on its way.
func (w *model) quiet(i int) bool {
	return len(w.orphans) == 0 && len(w.nodes[1-i].inFlight) == 0 && len(w.nodes[i].inFlight) == 0
}

// mayAct: while the epoch of the facts has written nothing, a node behind the
// facts could slip in between: base offsets show that, nothing prevents it (a
// documented window).
func (w *model) mayAct(i int) bool {
	if w.nodes[i].over {
		return false
	}
	if i == w.owner {
		return true
	}
	known := w.broker.state[ourID]
	epoch := w.task.Mapping.ProducerEpoch
	return len(known) > 0 && known[0].epoch == epoch || w.nodes[i].task.Mapping.ProducerEpoch == epoch
}

// close ends the node's connection; what is in flight is an orphan.
func (w *model) close(i int) {
	n := &w.nodes[i]
	if len(n.inFlight) > 0 {
		w.orphans = append(w.orphans, n.inFlight)
	}
	for range n.inFlight {
		n.pipe.Refused(recovery.Fault{Kind: recovery.Unsure, Code: fsm.CodeUnreachable, Range: recovery.None(), Perhaps: true})
	}
	n.inFlight = nil
	w.ended(i)
}

// ended takes an ended pipe off.
func (w *model) ended(i int) {
	n := &w.nodes[i]
	if n.pipe == nil || !n.pipe.Over() {
		return
	}
	r := n.pipe.Result()
	n.memory = r.Remember(n.memory)
	n.memory.Attempts++
	n.pipe, n.fault = nil, &r.Fault
}

// recover goes from step to step until a pipe is open or there is something to
// wait for.
func (w *model) recover(t *rapid.T, i int) {
	n := &w.nodes[i]
	if n.pipe != nil || w.stuck {
		return
	}
	if i == w.owner {
		n.task = w.task
	}
	s := w.situation(i)
	for range 50 {
		step := recovery.Next(s)
		if debug {
			t.Logf("node %d: %T %+v; log %v", i, step, step, w.broker.log)
		}
		switch step := step.(type) {
		case recovery.Gather:
			if !w.gather(t, i, &s, step) {
				return
			}
		case recovery.Commit:
			if i != w.owner || w.task.Mapping.Version+1 != step.Mapping.Version {
				return // refused: it has changed hands
			}
			m := step.Mapping
			w.task.Mapping, w.task.Progress, w.task.Stop = &m, step.Progress, nil
			n.task, n.fault = w.task, nil
			n.memory.Kept = nil
			n.memory.Version, n.memory.Last, n.memory.Unsaved, n.memory.Unacked, n.memory.Misplaced = m.Version, step.Progress, nil, nil, nil
			s = w.situation(i)
		case recovery.Halt:
			if i != w.owner {
				return
			}
			if step.Fault.Code == fsm.CodePositionUnknown {
				w.stuck = true
				return
			}
			w.task.Stop = &fsm.Stop{Code: step.Fault.Code, From: step.Fault.Range.From, To: step.Fault.Range.To, Target: !step.Fault.Source}
			n.task, n.fault = w.task, nil
			s = w.situation(i)
		case recovery.Restart:
			n.fault = &step.Fault
			n.memory.Attempts++
			s = w.situation(i)
		case recovery.Wait:
			n.fault = nil
			w.stuck = w.stuck || i == w.owner && w.task.Stop != nil // an operator has to empty the target
			return
		case recovery.Alone:
			return
		case recovery.End:
			n.over = true
			return
		case recovery.Open:
			w.open(i, step)
			return
		}
	}
	t.Fatalf("it goes round: %+v", s)
}

func (w *model) situation(i int) recovery.Situation {
	n := &w.nodes[i]
	return recovery.Situation{Task: &n.task, Spec: &w.spec, Memory: n.memory, Fault: n.fault, Now: young, Expiration: expiration, ProducerID: ourID, Gaps: recovery.Gaps{Fills: true}}
}

// gather answers what is asked; false: it has to wait.
func (w *model) gather(t *rapid.T, i int, s *recovery.Situation, g recovery.Gather) bool {
	n := &w.nodes[i]
	switch g.What {
	case recovery.NeedPlaces:
		s.Places = &recovery.Places{}
	case recovery.NeedLog:
		s.Log = &recovery.TargetLog{Observed: w.broker.read(n.task.Mapping.ProducerID), High: w.broker.end()}
	case recovery.NeedSource:
		s.Source = &recovery.SourceLog{First: w.first, End: 1 << 40}
	case recovery.NeedOwner:
		switch {
		case i == w.owner:
			s.Owner = recovery.OwnerConfirmed
		case rapid.Bool().Draw(t, "cut off"):
			s.Owner = recovery.OwnerUnknown
		default:
			s.Owner = recovery.OwnerLost
		}
	case recovery.NeedOldRequests:
		if i != w.owner || !w.quiet(i) {
			return false
		}
		w.clock = w.clock.Add(2 * time.Second)
		n.waited = w.births
		n.memory.OldRequests, s.Memory.OldRequests = false, false
		s.Waited, s.Log, s.Gaps = true, nil, recovery.Gaps{Fills: true}
	case recovery.NeedEpochEnd:
		end := int64(1 << 40)
		s.EpochEnd = &end
	case recovery.NeedOurs:
		s.Ours = []recovery.Batch{}
		for _, b := range w.broker.log {
			if b.pid == ourID && b.epoch == n.task.Mapping.ProducerEpoch && b.base+int64(b.count) > g.From {
				s.Ours = append(s.Ours, recovery.Batch{Sequence: b.seq, Target: b.base, Count: b.count})
			}
		}
	case recovery.NeedFence:
		n.fence = w.broker.fenceFiller()
		n.memory.Fenced(s.Log.LogEnd)
		s.Memory.Fenced(s.Log.LogEnd)
		s.Gaps.Fenced, s.Log, s.Owner = true, nil, recovery.OwnerUnasked
	case recovery.NeedKept:
		end := w.broker.epochEnd(g.Epoch)
		s.Gaps.Kept = &end
	case recovery.NeedData:
		s.Gaps.Data = w.lastData(g.From, g.All)
	case recovery.NeedAhead:
		s.Gaps.Ahead = &recovery.Ahead{Data: true, Offset: w.past(g.From)}
	case recovery.NeedAlignment:
		s.Aligned = w.align(n, s, g.Known)
	default:
		t.Fatalf("asked for %s", g.What)
	}
	return true
}

func (w *model) open(i int, o recovery.Open) {
	n := &w.nodes[i]
	o.Progress.TargetEpoch = w.broker.lead
	n.memory.Last, n.memory.Version, n.memory.Unacked = o.Progress, n.task.Mapping.Version, nil
	n.memory.Unsaved = append(n.memory.Unsaved, o.Segments...)
	n.memory.Kept = nil
	n.fault, n.fetched, n.clean, n.filling = nil, o.Source, !w.heldUp(i), false
	n.pipe = pipe.New(pipe.Start{
		Mapping: *n.task.Mapping, Position: o.Position, Progress: o.Progress, TargetEpoch: w.broker.lead, Expiration: expiration, Guarded: o.Guarded,
		OldRequests: n.memory.OldRequests, Seen: w.clock, MaxOpened: 1 << 20, MaxBatch: n.memory.Fits,
	})
}

// sent is a batch as it goes to the broker.
func (w *model) sent(t *rapid.T, b record.Batch) modelBatch {
	h := b.Header()
	rs, err := w.codec.Codec.Open(b, nil, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	source := int64(-1)
	for rec, err := range rs.All() {
		at := int64(-1)
		if err == nil {
			at = int64(binary.BigEndian.Uint64(rec.Value))
		}
		if source < 0 {
			source = at - rec.Offset
		}
		if err != nil || at != source+rec.Offset {
			t.Fatalf("record %d of a batch that begins with source %d holds %d, %v", rec.Offset, source, at, err)
		}
	}
	w.births++
	return modelBatch{born: w.births, pid: h.ProducerID, epoch: h.ProducerEpoch, seq: h.BaseSequence, count: h.Count, time: h.MaxTimestamp, source: source}
}

func (w *model) send(t *rapid.T, i int) {
	n := &w.nodes[i]
	if n.pipe == nil {
		return
	}
	switch n.pipe.Next(w.clock, young, func() bool { return i == w.owner }) {
	case pipe.Look: // no leader confirms it: it derives again
		n.pipe.Looked(w.clock, &recovery.Fault{Kind: recovery.Retry, Range: recovery.None()})
	case pipe.Ready:
		unguarded := n.pipe.Route() == pipe.Unguarded
		if unguarded && (i != w.owner || w.heldUp(i)) {
			return // the lease is over
		}
		if unguarded && !n.clean {
			n.pipe.End(recovery.Fault{Kind: recovery.Retry, Range: recovery.None()})
			break
		}
		if unguarded {
			w.clock = w.clock.Add(2 * time.Second) // a quiet wait came first, in which the other appended nothing
		}
		if rapid.Bool().Draw(t, "merged") {
			n.pipe.Merge(1<<20, w.codec, func(int) pipe.Memory { return kept{} })
		}
		n.inFlight = append(n.inFlight, w.sent(t, n.pipe.Pop(w.clock)))
	case pipe.Fill:
		n.filling, n.filled = true, 0
	case pipe.Nothing, pipe.Hold:
	}
	w.ended(i)
}

// deliver appends the oldest request in flight; its answer may get lost.
func (w *model) deliver(i int, lost bool) {
	n := &w.nodes[i]
	if len(n.inFlight) == 0 {
		return
	}
	base, err := w.broker.append(n.inFlight[0])
	if lost {
		n.inFlight = n.inFlight[1:]
		n.pipe.Refused(recovery.Fault{Kind: recovery.Unsure, Code: fsm.CodeUnreachable, Range: recovery.None(), Perhaps: true})
		w.close(i)
		return
	}
	n.inFlight = n.inFlight[1:]
	if errors.Is(err, errSize) {
		n.pipe.Refused(recovery.Faulty(recovery.Blocked, fsm.CodeRecordTooLarge, "too large"))
	} else if err != nil {
		n.pipe.Refused(recovery.Fault{Kind: recovery.Unsure, Code: fsm.CodeStarting, Range: recovery.None(), Refused: true})
	} else {
		n.pipe.Acknowledged(base, w.clock)
	}
	w.ended(i)
}

// lose is an unclean election: what is on its way goes to a leader that was.
func (w *model) lose(t *rapid.T) {
	if len(w.broker.log) < 2 {
		return
	}
	w.lost = true
	for i := range w.nodes {
		w.close(i)
		if p := w.nodes[i].pipe; p != nil {
			p.End(recovery.Fault{Kind: recovery.TopicChanged, Code: fsm.CodeStarting, Range: recovery.None()})
			w.ended(i)
		}
	}
	w.orphans = nil
	w.broker.lose(rapid.IntRange(1, len(w.broker.log)).Draw(t, "batches left"))
	next := w.start
	for _, b := range w.broker.log {
		if b.source >= 0 {
			next = b.source + int64(b.count)
		}
	}
	for s := next; s < w.first; s++ {
		w.skipped[s] = true // retention took them from the source: they are nowhere
	}
}

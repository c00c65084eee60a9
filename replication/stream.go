package replication

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/replication/position"
)

// Stream is the control of one stream: one goroutine that opens a flow,
// waits for its end, and remedies what ended it.
type Stream struct {
	r    *Runner
	id   fsm.TaskID
	turn uint64
	link fsm.LinkID
	key  fsm.StreamKey
	src  *site
	dst  *site
	log  *slog.Logger

	ctx    context.Context
	cancel context.CancelFunc
	drain  chan struct{} // closed: finish what is in flight, then end
	once   sync.Once
	done   chan struct{}

	caution // of the control goroutine only

	reporting sync.Mutex // of what moves segments on; taken before mu
	mu        sync.Mutex
	standing
}

// caution is what the next position has to mind.
type caution struct {
	wary    time.Time // until then a request of an earlier owner or connection may still be appended; zero: none since the quiet wait
	quiet   bool      // the next position needs the quiet wait whatever the guard says
	refused int64     // target offset at which the last flow's sequence was refused, -1: it was not
	tried   int       // troubles in a row without progress
	looked  time.Time // when the target was last read
}

// standing is how far a stream is, and how it fares.
type standing struct {
	flow     *flow
	state    fsm.Code
	message  string
	last     fsm.Progress  // acknowledged by this process, or the checkpoint
	segments []fsm.Segment // not checkpointed yet
	unsure   []item        // of the last flow
	wrong    []written     // of the last flow
	version  uint32        // of the mapping that last lies in
	held     bool          // last is not known to be replicated yet
	reported fsm.Progress  // as last handed to the control plane
	handed   []fsm.Segment // the last ones handed over under this mapping; perhaps not committed yet
}

func newStream(ctx context.Context, r *Runner, t *fsm.Task) *Stream {
	v := r.ctl.View()
	l := v.Link(t.Link)
	s := &Stream{
		r: r, id: t.ID, turn: t.Turn, link: t.Link, key: t.Copy.Stream,
		drain: make(chan struct{}), done: make(chan struct{}), caution: caution{refused: -1},
		standing: standing{state: fsm.CodeStarting, last: t.Copy.Progress, reported: t.Copy.Progress},
	}
	s.ctx, s.cancel = context.WithCancel(ctx)
	if l != nil {
		s.src, s.dst = r.site(l.Spec.Source), r.site(l.Spec.Target)
		s.log = r.log.With("link", l.Spec.Name, "topic", t.Copy.Stream.Topic, "partition", t.Copy.Stream.Partition)
	}
	if t.Copy.Mapping != nil {
		s.version = t.Copy.Mapping.Version
		// Somebody wrote under this mapping before: an earlier owner, or this
		// node before it started again.
		s.wary = r.now().Add(r.cfg.Lease + r.cfg.Lifetime)
	}
	return s
}

// Task returns the id of the stream's task.
func (s *Stream) Task() fsm.TaskID { return s.id }

// Done is closed when the stream has ended.
func (s *Stream) Done() <-chan struct{} { return s.done }

// Drain asks the stream to finish what is in flight, hand in its last
// progress, and end. It returns at once.
func (s *Stream) Drain() { s.once.Do(func() { close(s.drain) }) }

func (s *Stream) draining() bool {
	select {
	case <-s.drain:
		return true
	default:
		return s.ctx.Err() != nil
	}
}

// task is the stream's task as the View has it now; nil when it is not this
// stream's any more.
func (s *Stream) task() *fsm.Task {
	t := s.r.ctl.View().Task(s.id)
	if t == nil || t.Turn != s.turn || t.Owner != s.r.cfg.Node {
		return nil
	}
	return t
}

func (s *Stream) spec() *fsm.LinkSpec {
	if l := s.r.ctl.View().Link(s.link); l != nil {
		return &l.Spec
	}
	return &fsm.LinkSpec{}
}

// run opens flow after flow until the stream is stopped, drained or lost.
func (s *Stream) run() {
	defer close(s.done)
	defer s.report()
	defer s.cancel()
	if s.src == nil {
		return
	}
	for !s.draining() {
		t := s.task()
		if t == nil {
			return
		}
		if t.Copy.Stop != nil {
			s.set(t.Copy.Stop.Code, t.Copy.Stop.Message)
			if !s.obey(t) {
				s.pause(100 * time.Millisecond)
			}
			continue
		}
		f, err := s.open(t)
		if err == nil {
			err = s.watch(f)
		}
		if err != nil && !s.draining() && !s.remedy(err) {
			return
		}
	}
}

// failure carries trouble as an error through the control's calls.
type failure struct{ trouble }

func (f failure) Error() string { return f.trouble.String() }

func fail(t trouble) error { return failure{t} }

// troubleIn turns any error of the control's calls into trouble.
func troubleIn(err error, source bool) trouble {
	var f failure
	if errors.As(err, &f) {
		return f.trouble
	}
	return troubleOf(err, source)
}

// watch waits for the end of a flow and returns its trouble.
func (s *Stream) watch(f *flow) error {
	tick := time.NewTicker(s.r.cfg.LookupEvery)
	defer tick.Stop()
	for {
		select {
		case <-f.quiet:
			return fail(s.close(f))
		case <-s.drain:
			f.stop(trouble{remedy: again, code: fsm.CodeHandover, from: -1, to: -1, msg: "drained"})
			s.await(f)
			return nil
		case <-s.ctx.Done():
			f.stop(trouble{remedy: again, code: fsm.CodeHandover, from: -1, to: -1, msg: "stopped"})
			s.close(f)
			return nil
		case <-f.look:
			s.look(f)
		case <-tick.C:
			s.lookAround(f)
		}
	}
}

// await waits until nothing of a stopped flow is in flight, then closes it.
func (s *Stream) await(f *flow) {
	select {
	case <-f.quiet:
	case <-s.ctx.Done():
	}
	s.close(f)
}

// look reads the target for a flow that is to go on although no leader has
// confirmed its turn lately. Where anything has changed, the flow ends and the
// position is derived anew.
func (s *Stream) look(f *flow) {
	f.mu.Lock()
	at, expiration := f.acked, f.expiration
	f.mu.Unlock()
	obs, err := s.read(s.ctx, place{topicID: f.m.TargetTopicID, leader: f.guarded.key.broker, epoch: f.tgtEpoch}, &f.m)
	if err != nil {
		t := troubleIn(err, false)
		f.looked(&t)
		return
	}
	pos := position.Derive(&f.m, at, obs.Observed, s.known)
	if pos.Outcome != position.Found || pos.Target != at.Target || !position.Guarded(pos.LastTime, s.r.nowMs(), expiration) {
		f.looked(&trouble{remedy: later, code: fsm.CodeStarting, from: -1, to: -1, msg: "the target is not as it was left"})
		return
	}
	f.looked(nil)
}

// lookAround ends an idle flow that is another node's by now, or whose
// partition moved: a new leader may have lost what the old one acknowledged,
// and only deriving anew shows it.
func (s *Stream) lookAround(f *flow) {
	if s.task() == nil {
		f.stop(trouble{remedy: later, code: fsm.CodeHandover, from: -1, to: -1, msg: "the task changed hands"})
		return
	}
	f.expires(s.dst.expiryOf(s.ctx, f.guarded.key.broker))
	dst, err := s.dst.topo.find(s.ctx, s.key.TargetTopic, s.key.Partition, false)
	if isAny(err, kerr.UnknownTopicOrPartition, kerr.UnknownTopicID) {
		f.stop(trouble{remedy: checkTopic, from: -1, to: -1, msg: "the target topic is gone"})
		return
	}
	if err == nil && (dst.epoch != f.tgtEpoch || dst.topicID != f.m.TargetTopicID) {
		f.stop(trouble{remedy: checkTopic, code: fsm.CodeStarting, from: -1, to: -1, msg: "the target's leader changed"})
		if f.unanswered() > s.r.cfg.LookupEvery {
			f.out.hangUp() // a former leader that hangs answers only by a time-out
		}
		return
	}
	src, err := s.src.topo.find(s.ctx, s.key.Topic, s.key.Partition, false)
	if err == nil && (src.leader != f.lane.broker || src.topicID != f.m.SourceTopicID) {
		f.stop(trouble{remedy: checkTopic, code: fsm.CodeStarting, source: true, from: -1, to: -1, msg: "the source's leader changed"})
	} else if err == nil {
		s.openTransaction(f, src)
	}
	if !maps.Equal(f.skip, s.r.ctl.View().LoopIDs(s.spec())) {
		f.stop(trouble{remedy: later, code: fsm.CodeStarting, from: -1, to: -1, msg: "other links write into the source now"})
		return
	}
	s.replicated(f)
}

// close takes the flow off its connections and keeps what it knew; it returns
// the flow's trouble.
func (s *Stream) close(f *flow) trouble {
	f.lane.detach(f)
	f.guarded.detach(f)
	f.alone.detach(f)
	s.reporting.Lock()
	defer s.reporting.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flow = nil
	if f.acked.Target > s.last.Target || f.acked.Records > s.last.Records {
		s.held = false
		s.tried = 0
	}
	s.last = f.acked
	s.segments = append(s.segments, f.segments...)
	s.unsure, s.wrong = f.unsure, f.wrong
	s.refused = -1
	if f.trouble.refused {
		s.refused = f.acked.Target
	}
	if f.trouble.perhaps || len(f.inflight) > 0 {
		s.wary = s.r.now().Add(s.r.cfg.Lease + s.r.cfg.Lifetime)
	}
	return f.trouble
}

// set publishes the stream's state.
func (s *Stream) set(code fsm.Code, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.message = code, message
}

// pause waits, or less when the stream is to end.
func (s *Stream) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.drain:
	case <-s.ctx.Done():
	}
}

// event records something about this stream.
func (s *Stream) event(code fsm.Code, from, to int64, message string) {
	now := s.r.nowMs()
	s.r.ctl.Record(fsm.Event{
		Link: s.link, Task: s.id, Topic: s.key.Topic, Part: s.key.Partition, Node: s.r.cfg.Name,
		Code: code, Message: message, From: from, To: to, First: now, Last: now,
	})
}

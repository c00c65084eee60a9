package replication

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/position"
	"sluice/replication/rewrite"
)

// errorOf gives a broker's error code as an error.
func errorOf(code int16) error { return kerr.ErrorForCode(code) }

// open resolves the mapping if there is none, derives the position and starts
// a flow there.
func (s *Stream) open(t *fsm.Task) (*flow, error) {
	s.set(fsm.CodeStarting, "")
	src, dst, err := s.places()
	if err != nil {
		return nil, err
	}
	if t.Copy.Mapping == nil {
		if t, err = s.begin(t, src, dst); err != nil {
			return nil, err
		}
	}
	if err := s.checkIDs(t.Copy.Mapping, src, dst); err != nil {
		return nil, err
	}
	s.adoptCheckpoint(t)
	expiration := s.dst.expiryOf(s.ctx, dst.leader)
	pos, high, err := s.locate(t, dst)
	if err != nil {
		return nil, err
	}
	guarded := position.Guarded(pos.LastTime, s.r.nowMs(), expiration)
	if s.quiet || !guarded && !s.wary.IsZero() {
		if err := s.waitQuietly(dst); err != nil {
			return nil, err
		}
		if pos, high, err = s.locate(t, dst); err != nil {
			return nil, err
		}
		guarded = position.Guarded(pos.LastTime, s.r.nowMs(), expiration)
	}
	if guarded && !s.wary.IsZero() {
		s.waryOfGuarded()
	}
	epoch, err := s.compareSource(t, src, dst, pos, high)
	if err != nil {
		return nil, err
	}
	s.settle(t, pos, high, epoch)
	return s.start(t.Copy.Mapping, src, dst, pos, expiration, guarded), nil
}

// places finds both partitions, as brokers say now.
func (s *Stream) places() (src, dst place, err error) {
	if src, err = s.src.topo.find(s.ctx, s.key.Topic, s.key.Partition, true); err != nil {
		return src, dst, fail(troubleIn(err, true))
	}
	if dst, err = s.dst.topo.find(s.ctx, s.key.TargetTopic, s.key.Partition, true); err != nil {
		return src, dst, fail(troubleIn(err, false))
	}
	for _, p := range []struct {
		place
		source bool
		topic  string
	}{{src, true, s.key.Topic}, {dst, false, s.key.TargetTopic}} {
		if p.leader < 0 {
			return src, dst, fail(trouble{remedy: later, code: fsm.CodeUnreachable, source: p.source, from: -1, to: -1,
				msg: fmt.Sprintf("%s/%d has no leader", p.topic, s.key.Partition)})
		}
	}
	return src, dst, nil
}

// checkIDs compares the topics' ids with those that the mapping was made for.
func (s *Stream) checkIDs(m *fsm.Mapping, src, dst place) error {
	switch {
	case m.SourceTopicID != fsm.TopicID(src.topicID):
		return fail(trouble{remedy: halt, code: fsm.CodeSourceRecreated, source: true, from: 0, to: s.progress().Source,
			msg: "the source topic was deleted and created again: what was copied belongs to the old one"})
	case m.TargetTopicID != fsm.TopicID(dst.topicID):
		return fail(trouble{remedy: halt, code: fsm.CodeTargetRecreated, from: 0, to: s.progress().Target,
			msg: "the target topic was deleted and created again: the copy is gone"})
	}
	return nil
}

// begin resolves the start of a stream that has none, and commits it as its
// first mapping. It is never resolved again.
func (s *Stream) begin(t *fsm.Task, src, dst place) (*fsm.Task, error) {
	pid, err := s.producer(dst)
	if err != nil {
		return nil, err
	}
	start := t.Copy.Start
	if start < 0 {
		err := s.src.call(s.ctx, src.leader, func(ctx context.Context, b kafka.Broker) (err error) {
			start, err = one(b.ListOffsets(ctx, kafka.ReadUncommitted, []kafka.OffsetQuery{
				{Topic: s.key.Topic, Partition: s.key.Partition, LeaderEpoch: src.epoch, Timestamp: kafka.Earliest}}))
			return err
		})
		if err != nil {
			return nil, fail(troubleIn(err, true))
		}
	}
	obs, err := s.read(s.ctx, dst, nil)
	if err != nil {
		return nil, fail(troubleIn(err, false))
	}
	if obs.LogEnd > obs.LogStart && s.spec().Writers != fsm.WritersShared {
		return nil, fail(trouble{remedy: halt, code: fsm.CodeNotEmpty, from: obs.LogStart, to: obs.LogEnd,
			msg: "the target partition holds records that this link did not write"})
	}
	if err := s.identityAt(start, obs.LogEnd); err != nil {
		return nil, err
	}
	m := s.firstMapping(src, dst, fsm.Segment{Source: start, Target: obs.LogEnd}, pid)
	return s.commit(t, m, s.progressAt(start, obs.LogEnd, 0), nil)
}

// firstMapping is that of a stream which has none.
func (s *Stream) firstMapping(src, dst place, start fsm.Segment, pid int64) fsm.Mapping {
	return fsm.Mapping{
		Version: 1, Generation: 1, Phase: s.phase(), SourceTopicID: src.topicID, TargetTopicID: dst.topicID,
		Segments: []fsm.Segment{start}, ProducerID: pid, SequenceZero: start.Target,
	}
}

// phase is the one that a generation begins in.
func (s *Stream) phase() fsm.Phase {
	if s.spec().Offsets == fsm.OffsetsTranslated {
		return fsm.PhaseTranslated
	}
	return fsm.PhaseDense
}

// identityAt refuses a start that gives other offsets where they have to be
// identical.
func (s *Stream) identityAt(source, target int64) error {
	if s.spec().Offsets != fsm.OffsetsIdentical || source == target {
		return nil
	}
	return fail(trouble{remedy: halt, code: fsm.CodeIdentityLost, from: target, to: source,
		msg: fmt.Sprintf("offsets: identical needs the source to start where the target ends, at %d, but it starts at %d", target, source)})
}

// producer returns the link's producer id at the target, asking for one when
// there is none yet; the first that is committed wins.
func (s *Stream) producer(dst place) (int64, error) {
	l := s.r.ctl.View().Link(s.link)
	if l == nil {
		return 0, fail(trouble{remedy: later, code: fsm.CodeStarting, from: -1, to: -1, msg: "the link is gone"})
	}
	if l.ProducerID >= 0 {
		return l.ProducerID, nil
	}
	id, err := s.newProducer(dst)
	if err != nil {
		return 0, err
	}
	if _, err := s.propose(&fsm.LinkProducer{Link: s.link, ProducerID: id, Prev: -1}); err != nil {
		return 0, err
	}
	if l = s.r.ctl.View().Link(s.link); l == nil || l.ProducerID < 0 {
		return 0, fail(trouble{remedy: later, code: fsm.CodeStarting, from: -1, to: -1, msg: "the link has no producer id yet"})
	}
	return l.ProducerID, nil
}

func (s *Stream) newProducer(dst place) (id int64, err error) {
	err = s.dst.call(s.ctx, dst.leader, func(ctx context.Context, b kafka.Broker) (err error) {
		id, _, err = b.InitProducerID(ctx)
		return err
	})
	if err != nil {
		return 0, fail(troubleIn(err, false))
	}
	return id, nil
}

// propose commits a command; a failure without an answer is tried later.
func (s *Stream) propose(c fsm.Command) (fsm.Result, error) {
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second)
	defer cancel()
	res, err := s.r.ctl.Propose(ctx, c)
	if err != nil {
		return res, fail(trouble{remedy: later, code: fsm.CodeWaiting, from: -1, to: -1, msg: "the cluster did not commit: " + err.Error()})
	}
	return res, nil
}

// commit puts a mapping into the FSM, before any batch that rests on it.
func (s *Stream) commit(t *fsm.Task, m fsm.Mapping, p fsm.Progress, ev *fsm.Event) (*fsm.Task, error) {
	now := s.r.nowMs()
	if ev != nil {
		ev.First, ev.Last, ev.Node = now, now, s.r.cfg.Name
	}
	res, err := s.propose(&fsm.MappingPut{Task: t.ID, Turn: s.turn, Mapping: m, Progress: p, Event: ev, At: now})
	if err != nil {
		return nil, err
	}
	if res.Refused == fsm.RefusedInvalid {
		return nil, fail(trouble{remedy: later, code: fsm.CodeStarting, from: -1, to: -1, msg: res.Message})
	}
	// Refused as stale or not, what counts is what the View says now.
	now2 := s.task()
	if now2 == nil || now2.Copy.Mapping == nil {
		return nil, fail(trouble{remedy: again, code: fsm.CodeLostRace, from: -1, to: -1, msg: "the task changed hands"})
	}
	s.reporting.Lock()
	defer s.reporting.Unlock()
	s.mu.Lock()
	s.last, s.version, s.segments, s.handed, s.unsure = now2.Copy.Progress, now2.Copy.Mapping.Version, nil, nil, nil
	s.mu.Unlock()
	return now2, nil
}

// locate derives where the stream goes on.
func (s *Stream) locate(t *fsm.Task, dst place) (position.Position, int64, error) {
	obs, err := s.read(s.ctx, dst, t.Copy.Mapping)
	if err != nil {
		return position.Position{}, 0, fail(troubleIn(err, false))
	}
	s.looked = s.r.now()
	pos := position.Derive(t.Copy.Mapping, s.progress(), obs.Observed, s.known)
	switch pos.Outcome {
	case position.Found, position.LostAcked:
		// Brokers may refuse any sequence but 0 of a producer that they forgot.
		if obs.Producer == nil && pos.Target == s.refused && pos.Target != t.Copy.Mapping.SequenceZero {
			return pos, 0, fail(trouble{remedy: newEpoch, code: fsm.CodeEpochRaised, from: pos.Target, to: pos.Target,
				msg: "the broker forgot our producer and refuses its next sequence"})
		}
		return pos, obs.high, nil
	}
	trouble := troubleAt(pos)
	if pos.Outcome == position.Unknown && s.tried < 8 { // about five seconds: a predecessor's last progress may still be on its way
		trouble.remedy = later
	}
	return pos, 0, fail(trouble)
}

// troubleAt is what stands against going on at a position that was derived,
// where it was neither Found nor LostAcked.
func troubleAt(pos position.Position) trouble {
	t := trouble{remedy: halt, from: pos.From, to: pos.To, msg: pos.Detail}
	switch pos.Outcome {
	case position.Foreign:
		t.code = fsm.CodeForeignWriter
	case position.Unknown:
		t.code = fsm.CodePositionUnknown
	case position.Truncated:
		t.code = fsm.CodeTargetTruncated
	case position.RaiseEpoch:
		t.remedy, t.code, t.from, t.to = newEpoch, fsm.CodeEpochRaised, pos.Target, pos.Target
	default:
		t = trouble{remedy: later, code: fsm.CodeStarting, from: -1, to: -1, msg: "the end of the target's log could not be read"}
	}
	return t
}

// adoptCheckpoint takes a checkpoint that came after this stream started: the
// last words of whoever ran it before, at the same turn.
func (s *Stream) adoptCheckpoint(t *fsm.Task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := t.Copy.Progress; s.version <= t.Copy.Mapping.Version && p.Target > s.last.Target && p.Source >= s.last.Source {
		s.last, s.version, s.reported = p, t.Copy.Mapping.Version, p
	}
}

// known gives the source offset for a log end from what this process sent.
func (s *Stream) known(target int64) (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.Target == target && s.last.Source >= 0 {
		return s.last.Source, true
	}
	for _, it := range s.unsure {
		if it.target+int64(it.count) == target {
			return it.next, true
		}
	}
	return 0, false
}

// settle makes the derived position the stream's progress; epoch is the
// source's leader epoch before it.
func (s *Stream) settle(t *fsm.Task, pos position.Position, high int64, epoch int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.unsure {
		if it.target >= s.last.Target && it.target+int64(it.count) <= pos.Target {
			s.segments = append(s.segments, it.segments...)
		}
	}
	s.unsure = nil
	s.last.SourceEpoch = epoch
	if s.last.Target != pos.Target {
		s.last.TargetEpoch = -1
		s.last.Records = max(0, s.last.Records+pos.Target-s.last.Target)
	}
	s.last.Source, s.last.Target, s.last.At = pos.Source, pos.Target, s.r.nowMs()
	s.version = t.Copy.Mapping.Version
	s.held = high < pos.Target
}

// start joins lane and outlets at the position.
func (s *Stream) start(m *fsm.Mapping, src, dst place, pos position.Position, expiration int64, guarded bool) *flow {
	last := s.progress()
	f := &flow{
		s: s, m: *m, skip: s.r.ctl.View().LoopIDs(s.spec()), tgtEpoch: dst.epoch, limit: s.r.limiter(s.link), lane: s.src.lane(src.leader, s.link),
		guarded: s.dst.outlet(dst.leader, true, s.id), alone: s.dst.outlet(dst.leader, false, s.id), quiet: make(chan struct{}), look: make(chan struct{}, 1),
		taken:        taken{high: -1},
		sending:      sending{window: 1, expiration: expiration, sentTime: pos.LastTime, seen: s.looked, wary: !s.wary.IsZero()},
		acknowledged: acknowledged{acked: last, ackTime: pos.LastTime, lastMove: s.r.now()},
	}
	f.out = f.alone
	if guarded {
		f.out = f.guarded
	}
	shift := m.Segments[len(m.Segments)-1].Shift()
	if m.Phase == fsm.PhaseDense {
		shift = pos.Target - pos.Source
	}
	f.cursor = rewrite.Cursor{Source: pos.Source, Target: pos.Target, Shift: shift}
	s.mu.Lock()
	s.flow = f
	s.state, s.message = fsm.CodeCopying, ""
	s.mu.Unlock()
	f.guarded.attach(f)
	f.alone.attach(f)
	if pos.Outcome == position.LostAcked {
		s.event(fsm.CodeTargetLostAcked, pos.From, pos.To, pos.Detail)
	}
	f.lane.attach(f, kafka.FetchPartition{
		Topic: s.key.Topic, TopicID: src.topicID, Partition: s.key.Partition, Offset: pos.Source,
		LeaderEpoch: src.epoch, LastFetchedEpoch: last.SourceEpoch,
	})
	return f
}

package verify

import (
	"errors"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
)

// stream is one partition to compare.
type stream struct {
	key       fsm.StreamKey
	task      fsm.TaskID
	sourceEnd int64     // last stable offset when the job began
	targetEnd int64     // high watermark before that
	keeps     retention // at the source
	there     retention // at the target
	seen      seen
	total     atomic.Int64 // source offsets to compare, as far as known
	at        atomic.Int64 // source offsets passed
	records   atomic.Int64 // compared
	err       error        // its positions could not be taken
	pair      *pair        // nil: not begun
}

func newStream(t *fsm.Task) *stream {
	s := &stream{key: t.Copy.Stream, task: t.ID}
	s.total.Store(-1)
	return s
}

func (s *stream) source() catalog.Partition {
	return catalog.Partition{Topic: s.key.Topic, Number: s.key.Partition}
}

func (s *stream) target() catalog.Partition {
	return catalog.Partition{Topic: s.key.TargetTopic, Number: s.key.Partition}
}

// whyBehind says why a stream is behind the end that its source had when the
// job began.
func whyBehind(v *fsm.View, t *fsm.Task, k fsm.StreamKey, behind int64) LeftOut {
	if t == nil {
		return leftOut(k, NoStream, behind, "its stream has ended")
	}
	link := v.Link(t.Link)
	switch {
	case link == nil:
		return leftOut(k, NoStream, behind, "the link was deleted")
	case t.Copy.Stop != nil:
		return leftOut(k, Stopped, behind, "its stream is stopped (%s); see `sluice link describe %s`", t.Copy.Stop.Code, link.Spec.Name)
	case !link.Running():
		return leftOut(k, Paused, behind, "the link is paused; resume it with `sluice link resume %s`", link.Spec.Name)
	case t.Owner == "":
		return leftOut(k, NotReplicated, behind, "no node copies it yet")
	case t.Copy.Mapping == nil:
		return leftOut(k, NotReplicated, behind, "its stream has not begun")
	}
	return leftOut(k, NotReplicated, behind, "the source had more when the comparison began than was replicated soon after; compare again when the lag is smaller")
}

// errMappingChanged says that the comparison held records against places that
// were not theirs any more.
var errMappingChanged = errors.New("the stream went on elsewhere while it was compared (see `sluice events`); compare again")

// again forgets what was compared.
func (s *stream) again() {
	s.pair = nil
	s.at.Store(0)
	s.records.Store(0)
}

// nothing is about a stream of which nothing was copied.
func (s *stream) nothing(at seen, v *fsm.View) found {
	f := found{counts: Counts{Behind: at.behind}, compare: Range{Topic: s.key.Topic, Partition: s.key.Partition, From: -1, To: -1}}
	switch {
	case at.behind > 0 || at.task == nil || at.task.Copy.Stop != nil:
		f.left = []LeftOut{whyBehind(v, at.task, s.key, at.behind)}
	case at.targetNow > at.targetHead:
		f.left = []LeftOut{leftOut(s.key, NotReplicated, 0, "its stream has not begun, and the target holds records (offsets %d to %d) that are not from it", at.targetHead, at.targetNow-1)}
	}
	return f
}

// unread is about a stream whose comparison did not come to its end.
func (s *stream) unread(err error) found {
	why := Unreadable
	if errors.Is(err, errTopicChanged) || errors.Is(err, kerr.UnknownTopicOrPartition) {
		why = TopicChanged
	}
	f := found{compare: Range{Topic: s.key.Topic, Partition: s.key.Partition, From: -1, To: -1}}
	if s.pair != nil { // what was found up to there holds
		f.counts, f.faults = s.pair.all.counts, s.pair.all.faults
		f.compare.Compared = f.counts.Compared
	}
	f.left = []LeftOut{leftOut(s.key, why, max(0, s.sourceEnd-s.at.Load()), "%s", kafka.Explain(err))}
	return f
}

package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/fsm"
)

// owns returns the copy tasks of a node.
func (s *sim) owns(n *simNode) (out []*fsm.Task) {
	s.t.Helper()
	for task := range n.View().Tasks {
		if task.Owner == n.self.ServerID && task.Kind == fsm.KindCopy {
			out = append(out, task)
		}
	}
	if len(out) == 0 {
		s.t.Fatalf("node %d owns nothing", n.i)
	}
	return out
}

// owned returns a copy task of a node.
func (s *sim) owned(n *simNode) *fsm.Task {
	s.t.Helper()
	return s.owns(n)[0]
}

// mapped gives a task a mapping, so that progress counts.
func (s *sim) mapped(n *simNode, task *fsm.Task) {
	s.t.Helper()
	s.propose(n, &fsm.MappingPut{Task: task.ID, Turn: task.Turn, Mapping: fsm.Mapping{
		Version: 1, Generation: 1, Phase: fsm.PhaseTranslated, Segments: []fsm.Segment{{}},
	}})
}

func item(task *fsm.Task, records int64, segments ...fsm.Segment) fsm.ProgressItem {
	return fsm.ProgressItem{
		Task: task.ID, Turn: task.Turn, Version: 1, Segments: segments,
		Progress: fsm.Progress{Source: records, Target: records, Records: records},
	}
}

func TestPaceOfProgress(t *testing.T) {
	for _, c := range []struct {
		perSecond    int64
		commits, max uint64
	}{{100, 5, 8}, {100_000, 25, 32}} {
		t.Run(fmt.Sprint(c.perSecond), func(t *testing.T) {
			runSim(t, func(s *sim) {
				s.start(1)
				s.until("a leader", 20*time.Second, func() bool { return s.leader() != nil })
				s.addTasks(1)
				s.until("assigned", 5*time.Second, func() bool { return s.world.settled(2) })
				n := s.nodes[1]
				task := s.owned(n)
				s.mapped(n, task)
				before := n.View().Index
				for tenth := range int64(300) {
					n.Progress(item(task, tenth*c.perSecond/10))
					time.Sleep(100 * time.Millisecond)
				}
				canaries := uint64(6)
				if got := n.View().Index - before - canaries; got < c.commits-1 || got > c.max {
					s.t.Errorf("%d commits in 30 seconds", got)
				}
				s.until("the last one is in", 6*time.Second, func() bool { return n.View().Task(task.ID).Copy.Progress.Records == 299*c.perSecond/10 })
			})
		})
	}
}

// TestProgressWaitsForAQuorum: nothing is lost meanwhile, segments neither.
func TestProgressWaitsForAQuorum(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		n := s.follower()
		task := s.owned(n)
		s.mapped(n, task)
		s.net.CutBoth(ipOf(1), ipOf(2))
		s.net.CutBoth(ipOf(1), ipOf(3))
		s.net.CutBoth(ipOf(2), ipOf(3))
		var want []fsm.Segment
		for i := range int64(30) {
			seg := fsm.Segment{Source: 10 * (i + 1), Target: 9 * (i + 1)}
			want = append(want, seg)
			n.Progress(item(task, 10*(i+1), seg))
			n.Record(fsm.Event{Code: fsm.CodeNewSegment, Link: 1, Part: int32(i), Message: "x", From: -1, To: -1})
			time.Sleep(time.Second)
		}
		for i := 1; i <= 3; i++ {
			s.rejoin(i)
		}
		s.until("all of it is there", time.Minute, func() bool {
			got := n.View().Task(task.ID)
			return got.Copy.Progress.Source == 300 && len(got.Copy.Mapping.Segments) == 1+len(want)
		})
		s.until("and the events", time.Minute, func() bool {
			ring := n.View().LinkEvents(1)
			count := 0
			for _, e := range ring.All() {
				if e.Code == fsm.CodeNewSegment {
					count++
				}
			}
			return count == 30
		})
		s.equal()
	})
}

// TestManySegmentsWithoutAQuorum: what waits is thinned out and stays small,
// and when the quorum is back all positions and the newest segments are there.
func TestManySegmentsWithoutAQuorum(t *testing.T) {
	const (
		reports   = 10_000
		perReport = 3 // segments
		length    = 10
	)
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		n := s.follower()
		tasks := s.owns(n)[:3]
		for _, task := range tasks {
			s.mapped(n, task)
		}
		s.net.CutBoth(ipOf(1), ipOf(2))
		s.net.CutBoth(ipOf(1), ipOf(3))
		s.net.CutBoth(ipOf(2), ipOf(3))
		time.Sleep(20 * time.Second) // nobody leads
		at, most := int64(0), 0
		for range reports {
			var segments []fsm.Segment
			for range perReport {
				at += length
				segments = append(segments, fsm.Segment{Source: at, Target: at - at/length})
			}
			for _, task := range tasks {
				n.Progress(item(task, at, slices.Clone(segments)...))
			}
			most = max(most, n.progress.held())
			time.Sleep(10 * time.Millisecond)
		}
		if bound := len(tasks) * fsm.MaxSegments; most > bound || most < bound/2 {
			s.t.Errorf("room for %d segments is held, not for %d at most", most, bound)
		}
		for i := 1; i <= 3; i++ {
			s.rejoin(i)
		}
		for _, task := range tasks {
			s.until("the newest position", time.Minute, func() bool { return n.View().Task(task.ID).Copy.Progress.Source == at })
			got := n.View().Task(task.ID).Copy.Mapping.Segments
			if len(got) < fsm.MaxSegments/2 || len(got) > fsm.MaxSegments || got[len(got)-1].Source != at {
				s.t.Errorf("task %d has %d segments up to %v", task.ID, len(got), got[len(got)-1])
			}
			for _, seg := range got {
				if seg.Target != seg.Source-seg.Source/length {
					s.t.Fatalf("%v is not exact", seg)
				}
			}
		}
		s.equal()
	})
}

// held is for how many segments there is room in what waits.
func (p *progressSink) held() (segments int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, have := range p.pending {
		segments += cap(have.item.Segments)
	}
	return segments
}

// TestLastEventsAreTold: what a node records until its tasks have stopped is
// committed before it ends.
func TestLastEventsAreTold(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(3)
		s.until("assigned", 5*time.Second, func() bool { return s.world.settled(4) })
		n := s.follower()
		const count = 2*eventBatch + 1
		for i := range count {
			n.Record(fsm.Event{Code: fsm.CodeTakeover, Link: 1, From: -1, To: -1, Message: fmt.Sprint(i)})
		}
		n.stop()
		if err := <-n.done; err != nil {
			s.t.Error(err)
		}
		delete(s.nodes, n.i)
		told := 0
		for _, e := range s.leader().View().LinkEvents(1).All() {
			if e.Code == fsm.CodeTakeover {
				told += int(e.Count)
			}
		}
		if told != count {
			s.t.Errorf("%d of %d events are told", told, count)
		}
	})
}

// TestLastingEventsWaitLonger: without a quorum what is of the day does not
// push out what has to be found later, and one event tells how many were
// dropped.
func TestLastingEventsWaitLonger(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(3)
		s.until("assigned", 5*time.Second, func() bool { return s.world.settled(4) })
		n := s.follower()
		s.net.CutBoth(ipOf(1), ipOf(2))
		s.net.CutBoth(ipOf(1), ipOf(3))
		s.net.CutBoth(ipOf(2), ipOf(3))
		time.Sleep(20 * time.Second) // nobody leads
		const lasting, brief = 10, 2*eventBuffer + 7
		for i := range lasting {
			n.Record(fsm.Event{Code: fsm.CodeRecopied, Link: 1, From: -1, To: -1, Message: fmt.Sprint(i)})
		}
		for i := range brief {
			n.Record(fsm.Event{Code: fsm.CodeTakeover, Link: 1, From: -1, To: -1, Message: fmt.Sprint(i)})
		}
		n.Record(fsm.Event{Code: fsm.CodeRecopied, Link: 1, From: -1, To: -1, Message: "last"})
		for i := 1; i <= 3; i++ {
			s.rejoin(i)
		}
		told := func(link fsm.LinkID, code fsm.Code) (messages []string) {
			for _, e := range n.View().LinkEvents(link).All() {
				if e.Code == code {
					messages = append(messages, e.Message)
				}
			}
			return messages
		}
		s.until("it is told that some were dropped", time.Minute, func() bool { return len(told(0, fsm.CodeEventsDropped)) > 0 })
		if got := told(0, fsm.CodeEventsDropped); len(got) != 1 || !strings.Contains(got[0], fmt.Sprintf("dropped 0 events about losses, stops and the like and %d others", brief-eventBuffer)) {
			s.t.Errorf("%q", got)
		}
		if got := told(1, fsm.CodeRecopied); len(got) != lasting+1 || got[0] != "0" || got[lasting] != "last" {
			s.t.Errorf("lasting events: %q", got)
		}
		if got := told(1, fsm.CodeTakeover); len(got) < eventBuffer-100 || got[len(got)-1] != fmt.Sprint(brief-1) {
			s.t.Errorf("%d others, the last one %q", len(got), got[len(got)-1])
		}
		s.equal()
	})
}

func TestEventsAreBounded(t *testing.T) {
	runSim(t, func(s *sim) {
		n := s.start(1, 2) // its peer is silent: no leader
		for range eventBuffer + 5 {
			n.Record(fsm.Event{Code: fsm.CodeTakeover})
		}
		if waiting, dropped := n.events.state(); waiting != eventBuffer || dropped != 5 {
			s.t.Errorf("%d wait, %d dropped", waiting, dropped)
		}
		for range eventBuffer + 3 {
			n.Record(fsm.Event{Code: fsm.CodeRecopied})
		}
		if waiting, dropped := n.events.state(); waiting != 2*eventBuffer || dropped != 8 {
			s.t.Errorf("%d wait, %d dropped", waiting, dropped)
		}
	})
}

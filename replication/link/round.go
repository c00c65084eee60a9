package link

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/kafka"
)

// run looks at both Kafka clusters again and again until ctx ends. What goes
// wrong in a round is shown by Measure, recorded as an event, and tried again
// in the next one.
func (t *Task) run(ctx context.Context) {
	defer close(t.done)
	defer t.cancel()
	tick := time.NewTicker(t.cfg.Interval)
	defer tick.Stop()
	for {
		t.once(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// once runs a round and shows how it went.
func (t *Task) once(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Timeout)
	defer cancel()
	m := t.Measure() // a round that fails, or is not made, leaves what was seen before, with its age
	m.State, m.Message = fsm.CodeIdle, ""
	link := t.ctl.View().Link(t.link)
	if link == nil || !link.Running() {
		m.State = fsm.CodePaused
		if link != nil && link.Held != "" {
			m.State, m.Message = fsm.CodeClaimed, "it is, or was, the Sluice cluster "+link.Held+"'s"
		}
		t.measure.Store(&m)
		return
	}
	before := m.Seen
	m.Seen = Seen{}
	err := t.round(ctx, link, &m)
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return // told to end
	}
	if err != nil {
		m.State, m.Message = codeOf(err), kafka.Explain(err)
		t.log.Warn("topics are not in step; it is tried again", "error", kafka.Explained(err))
	}
	if m.Differences = t.alike.differences(); m.losing != "" && m.State == fsm.CodeIdle {
		m.State, m.Message = fsm.CodeTargetLost, m.losing
	}
	t.recordRefused(err, m.Refused)
	if m.At == 0 { // its topics are not all done: to count them as copied would look too good
		m.Seen = before
	}
	t.measure.Store(&m)
}

// concern keeps one thing of a link in step: it gathers what it needs beyond
// the snapshot, decides, applies, and notes in m what it shows. An error ends
// the round.
type concern func(ctx context.Context, s *snapshot, m *Measurement) error

// concerns are in order: nothing is touched of a link that is not ours.
func (t *Task) concerns() []concern { return []concern{t.keepClaim, t.keepTopics, t.keepAlike} }

// round is one snapshot and what follows from it.
func (t *Task) round(ctx context.Context, link *fsm.Link, m *Measurement) error {
	s, err := t.snapshot(ctx, link)
	if err != nil {
		return err
	}
	for _, keep := range t.concerns() {
		if err := keep(ctx, s, m); err != nil {
			return err
		}
	}
	return nil
}

// snapshot asks both Kafka clusters, and pins their ids.
func (t *Task) snapshot(ctx context.Context, link *fsm.Link) (*snapshot, error) {
	s := &snapshot{link: link, source: side{Cluster: t.catalog.Cluster(link.Spec.Source)}, target: side{Cluster: t.catalog.Cluster(link.Spec.Target)}}
	g, gctx := errgroup.WithContext(ctx)
	for _, at := range []*side{&s.source, &s.target} {
		g.Go(func() error {
			if err := at.look(gctx, t.cfg.Interval/4); err != nil { // links share a look
				return fmt.Errorf("asking Kafka cluster %s: %w", at.Name(), err)
			}
			return t.pin(gctx, at)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	s.view = t.ctl.View()
	return s, nil
}

// pin keeps a Kafka cluster's id for good.
func (t *Task) pin(ctx context.Context, at *side) error {
	spec := at.client.Spec()
	if spec.ClusterID != "" || at.meta.ClusterID == "" {
		return nil
	}
	if err := t.propose(ctx, &fsm.KafkaPin{Name: at.Name(), ClusterID: at.meta.ClusterID, Revision: spec.Revision}); err != nil {
		return fmt.Errorf("pinning the cluster id of Kafka cluster %s: %w", at.Name(), err)
	}
	return nil
}

// recordRefused records an event for what was not recorded before, of the link
// as a whole and of topics, and one for what is over.
func (t *Task) recordRefused(err error, refused []Refused) {
	if t.recorded == nil {
		t.recorded = refusedBefore(t.ctl.View().LinkEvents(t.link), t.id)
	}
	now := foldRefused(refused, t.recorded)
	if err != nil { // the round did not get to look at every topic
		seen := now
		now = maps.Clone(t.recorded)
		maps.Copy(now, seen)
		now[subject{}] = told{Refused: Refused{Code: codeOf(err), Message: kafka.Explain(err)}}
	}
	for of, f := range now {
		if old, ok := t.recorded[of]; !ok || f.news(&old) {
			t.record(of.topic, f.Code, f.Message)
		}
	}
	still := map[string]bool{} // topics, told one by one or together
	for _, r := range refused {
		still[r.Topic] = true
	}
	for of, old := range t.recorded {
		if _, is := now[of]; !is && !still[of.topic] {
			t.record(of.topic, fsm.CodeResolved, over(old.Code)+old.Message)
		}
	}
	t.recorded = now
}

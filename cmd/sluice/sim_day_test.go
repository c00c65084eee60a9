package main

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"testing"
	"time"

	"sluice/api"
	"sluice/fsm"
	"sluice/fsm/reason"
	"sluice/test/claim"
)

// dayLong is the last seed of a full proof that lasts a whole day.
const dayLong = 1

// TestSimDay: twenty minutes of an operator who does what comes into his head,
// beside nodes, wires and brokers that fail; longer where it is to be proved, up
// to a day.
// Whenever all is at rest, status, verify and the logs of both Kafka clusters
// say the same, whatever was not copied has been told, and whatever waits for a
// person goes on by a way that it names.
func TestSimDay(t *testing.T) {
	runSim(t, nil, func(s *sim) {
		long := 20 * time.Minute
		switch {
		case claim.Full() && s.seed <= dayLong:
			long = 24 * time.Hour
		case claim.Long():
			long = 45 * time.Minute
		}
		d := newDay(s)
		defer d.close()
		defer d.healSome(true)
		d.begin()
		for end := time.Now().Add(long); time.Now().Before(end) && !d.t.Failed(); {
			for range 1 + d.rand.IntN(6) {
				d.something()
				d.pass(time.Duration(d.rand.IntN(45_000)) * time.Millisecond)
			}
			d.rest(d.rand.IntN(3) == 0)
		}
		d.rest(false)
		for _, what := range slices.Sorted(maps.Keys(d.done)) {
			d.t.Logf("%5d %s", d.done[what], what)
		}
		d.t.Logf("%d records written", d.writer.acked)
	})
}

func (d *simDay) begin() {
	for i := 1; i <= trio; i++ {
		d.start(i)
	}
	d.until("there is a leader", time.Minute, func() bool { return d.leader() != 0 && len(d.view().Nodes) == trio })
	d.until("all nodes vote and know all", time.Minute, func() bool { return d.voters() == trio && d.view().Feature >= fsm.FeatureLevel })
	if err := d.apply(1); err != nil {
		d.t.Fatal(err)
	}
}

// something happens.
func (d *simDay) something() {
	switch d.rand.IntN(8) {
	case 0, 1, 2:
		d.misfortune()
	case 3:
		d.healSome(false)
	default:
		d.deed()
	}
}

// rest ends all faults and all writing, and compares the views when everything
// stands still; then every state that waits for a person is left by one of the
// ways that it names, unless it is left as it is.
func (d *simDay) rest(leave bool) {
	d.healSome(true)
	d.writer.hold()
	defer d.writer.release()
	d.say("at rest")
	d.reconcile()
	if !leave {
		d.settle(0) // a link that is being deleted cannot be applied
		d.declareAll()
		d.reconcile()
	}
	d.settle(compared)
	d.views()
	if leave {
		return
	}
	for try := 1; !d.t.Failed(); try++ {
		ts, err := d.troubles()
		if err != nil {
			d.t.Fatal(err)
		}
		if len(ts) == 0 {
			break
		}
		if try > 12 {
			d.t.Errorf("no way out worked: %+v", ts)
			d.dump()
			break
		}
		d.leaveBy(ts)
	}
	d.trim()
}

// leaveBy carries out a way out of the troubles, one of each topic, for what
// is done for one partition may help the others. Then it is gone.
func (d *simDay) leaveBy(ts []trouble) {
	tried := map[string]string{}
	topics := map[string]bool{}
	for _, t := range ts {
		if at := t.w.name + " " + t.topic; topics[at] {
			continue
		} else {
			topics[at] = true
		}
		way, err := d.wayOut(t)
		if err != nil {
			d.t.Errorf("%s: %s, and its way out fails: %v", t.where(), t.message, err)
		}
		tried[t.where()] = way
	}
	d.settle(compared)
	d.views()
	left, err := d.troubles()
	if err != nil {
		d.t.Fatal(err)
	}
	for _, t := range left {
		if way := tried[t.where()]; way != "" {
			d.t.Errorf("%s: %s; its way out did not help: %s", t.where(), t.message, way)
		}
	}
}

// refusal is a topic that keeps a link from being applied.
var refusal = regexp.MustCompile(`link (\S+): topic (\S+) \((\S+)\)`)

// reconcile makes what the operator wants true, where a fault kept it from
// being taken.
func (d *simDay) reconcile() {
	for start := time.Now(); ; d.pass(5 * time.Second) {
		err := d.apply(d.healthy())
		if err == nil {
			break
		}
		if time.Since(start) > 5*time.Minute {
			d.t.Fatalf("all is well, and for 5 minutes nothing can be applied: %v", err)
		}
		if m := refusal.FindStringSubmatch(err.Error()); m != nil {
			w := d.links[slices.IndexFunc(d.links, func(w *wanted) bool { return w.name == m[1] })]
			if _, err := d.wayOut(trouble{w, m[2], -1, -1, fsm.Code(m[3]), err.Error()}); err != nil {
				d.say("%v", err)
			}
		}
	}
	for _, w := range d.links {
		if w.deleted {
			_ = d.ask(d.healthy(), http.MethodDelete, "/v1/links/"+w.name, nil, new(api.Ack)) // it may be gone
		}
	}
}

// declareAll ends what the operator only tried: links run, with most of their
// topics, and most topics are there.
func (d *simDay) declareAll() {
	for _, w := range d.links {
		w.paused, w.deleted = false, false
		for _, t := range slices.Sorted(maps.Keys(w.out)) {
			if d.rand.IntN(2) == 0 {
				delete(w.out, t)
			}
		}
	}
	for _, x := range d.writer.all {
		if !x.there && d.rand.IntN(2) == 0 {
			d.writer.create(x)
		}
	}
}

// compared is how long it takes at most until the link tasks have compared all
// topics with their sources.
const compared = 70 * time.Second

// settle waits until nothing moves any more: what copies has copied all, and
// what does not says why.
func (d *simDay) settle(least time.Duration) {
	d.t.Helper()
	d.pass(least)
	calm := 0
	for start := time.Now(); calm < 2; d.pass(3 * time.Second) {
		why := d.moving()
		if why == "" {
			calm++
			continue
		}
		calm = 0
		if time.Since(start) > 20*time.Minute {
			d.t.Errorf("nothing is written and no fault holds for 20 minutes, and %s", why)
			d.dump()
			return
		}
	}
}

// moving says what is not at rest yet; empty: all is.
func (d *simDay) moving() string {
	s, err := d.status(d.healthy())
	switch {
	case err != nil:
		return err.Error()
	case !s.Quorum || s.Leader == "":
		return "there is no quorum"
	}
	for _, n := range s.Nodes {
		if n.State != "alive" {
			return n.Name + " is " + n.State
		}
	}
	for _, l := range s.Links {
		w := d.links[slices.IndexFunc(d.links, func(w *wanted) bool { return w.name == l.Name })]
		if w.deleted {
			return l.Name + " is not deleted yet"
		}
		if l.State == "running" && l.Topics.Selected == nil {
			return l.Name + " does not know its topics"
		}
	}
	for _, t := range s.Tasks {
		at := fmt.Sprintf("%s %s/%d is %s (%s)", t.Link, t.Topic, t.Partition, t.State, t.Message)
		switch t.Severity {
		case reason.Working.String():
			if !d.waitsForTopic(s, &t) {
				return at
			}
		case reason.Waiting.String():
			if t.State != fsm.CodeTargetLost && t.State != fsm.CodeTopicMissing {
				return at
			}
		case reason.Good.String():
			if t.Kind == fsm.KindCopy.String() && (t.LagRecords == nil || *t.LagRecords != 0) {
				return at + " with a lag"
			}
		}
	}
	return ""
}

// waitsForTopic reports whether a stream that had not begun when its target
// topic was deleted waits for it with the others, which say what to do.
func (d *simDay) waitsForTopic(s *api.Status, t *api.Task) bool {
	return t.Phase == "" && slices.ContainsFunc(s.Tasks, func(x api.Task) bool {
		return x.Link == t.Link && x.TargetTopic == t.TargetTopic && x.State == fsm.CodeTargetDeleted
	})
}

// trim is retention that takes the same from both sides, so that logs do not
// grow all day.
func (d *simDay) trim() {
	for _, x := range d.writer.all {
		if !x.there || d.rand.IntN(4) != 0 {
			continue
		}
		for p := range x.parts {
			d.trimEverywhere(x, p)
		}
	}
}

func (d *simDay) trimEverywhere(x *written, p int32) {
	source, err := x.at.read(x.name, p)
	if err != nil || len(source.records) < 20 {
		return
	}
	first := source.records[len(source.records)-10]
	var copies []func()
	for _, w := range d.links {
		if w.source != x.at || w.deleted || !w.selects(x.name) {
			continue
		}
		target, err := w.target.read(w.prefix+x.name, p)
		if err != nil {
			return
		}
		i := slices.IndexFunc(target.records, func(r kept) bool { return r.id == first.id })
		if i < 0 {
			return // it is not at rest
		}
		copies = append(copies, func() { _ = w.target.kafka.DeleteRecords(w.prefix+x.name, p, target.records[i].offset) })
		d.ledger.condemn(streamOf{w.name, x.name, p}, source, first.offset, x.since)
		d.ledger.copied(streamOf{w.name, x.name, p}, target)
	}
	if err := x.at.kafka.DeleteRecords(x.name, p, first.offset); err != nil {
		d.t.Errorf("retention: %v", err)
	}
	for _, f := range copies {
		f()
	}
}

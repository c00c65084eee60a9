package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"sluice/api"
	"sluice/fsm"
	"sluice/fsm/reason"
	"sluice/task"
)

// seen is what three views say of a link at rest: status, verify, and both
// logs.
type seen struct {
	w      *wanted
	detail *api.LinkDetail
	events []api.Event
	verify *api.VerifyJob
	rows   []seenStream

	missing, silent int // records at the source alone; those of them that nobody was told of
}

type seenStream struct {
	streamOf
	task   *api.Task // nil: status does not show it
	facts  *fsm.Copy
	target partLog
	comparison
	untold []kept // of missing: what nobody was told of
	lost   bool   // status says that the target alone removed records
}

// good reports whether status says that all of the stream is copied, and still
// there.
func (x *seenStream) good() bool {
	return x.task != nil && !x.lost && x.task.Severity == reason.Good.String() && x.task.LagRecords != nil && *x.task.LagRecords == 0
}

// views compares the three views of every link. Nothing is written meanwhile,
// and no fault holds.
func (d *simDay) views() {
	d.t.Helper()
	status, err := d.status(d.healthy())
	if err != nil {
		d.t.Errorf("status at rest: %v", err)
		return
	}
	d.agree(status)
	for _, w := range d.links {
		if w.deleted {
			continue
		}
		v, err := d.look(w)
		if err != nil {
			d.t.Errorf("looking at %s at rest: %v", w.name, err)
			continue
		}
		d.done["looks"]++
		d.done["verify: "+verdictOf(v.verify)]++
		faults := v.faults(status)
		for i := range v.rows {
			faults = append(faults, d.losses(v, &v.rows[i])...)
		}
		for _, text := range faults {
			d.t.Errorf("link %s: %s", w.name, text)
		}
		if len(faults) > 0 {
			d.show(status, v)
		}
	}
}

func verdictOf(j *api.VerifyJob) string {
	if j.Verdict == nil {
		return j.State
	}
	return string(*j.Verdict)
}

// agree compares what the nodes say.
func (d *simDay) agree(first *api.Status) {
	for i := range d.nodes {
		s, err := d.status(i)
		if err != nil {
			d.t.Errorf("status of node %d: %v", i, err)
			continue
		}
		if s.Health != first.Health || s.TaskCount != first.TaskCount || s.Totals.Stopped != first.Totals.Stopped || s.Totals.LagUnknown != first.Totals.LagUnknown {
			d.t.Errorf("nodes disagree at rest: %s is %s, %+v, %q; %s is %s, %+v, %q", s.Node, s.Health, s.Totals, s.Problems, first.Node, first.Health, first.Totals, first.Problems)
		}
	}
}

// look gathers the three views of a link.
func (d *simDay) look(w *wanted) (*seen, error) {
	v := &seen{w: w}
	var err error
	if v.verify, err = d.verify(d.healthy(), w.name); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	if v.detail, err = d.detail(d.healthy(), w.name); err != nil {
		return nil, err
	}
	if v.events, err = d.events(d.healthy(), w.name); err != nil {
		return nil, err
	}
	facts := map[streamOf]*fsm.Copy{}
	for t := range d.view().Tasks {
		if t.Copy != nil && t.Link == v.detail.ID {
			facts[streamOf{w.name, t.Copy.Stream.Topic, t.Copy.Stream.Partition}] = t.Copy
		}
	}
	for _, topic := range d.topics(w) {
		x := d.writer.of(topic)
		for p := range x.parts {
			row := seenStream{streamOf: streamOf{w.name, topic, p}}
			if i := slices.IndexFunc(v.detail.Tasks, func(t api.Task) bool { return t.Kind == fsm.KindCopy.String() && t.Topic == topic && t.Partition == p }); i >= 0 {
				row.task = &v.detail.Tasks[i]
			}
			source, err := w.source.read(topic, p)
			if err != nil {
				return nil, err
			}
			if row.target, err = w.target.read(w.prefix+topic, p); err != nil {
				return nil, err
			}
			var m *fsm.Mapping
			if row.facts = facts[row.streamOf]; row.facts != nil {
				m = row.facts.Mapping
			}
			row.lost = slices.ContainsFunc(lostAtTarget(v.detail, v.events), func(x targetLost) bool { return x.topic == topic && x.partition == p })
			row.comparison = compareLogs(fmt.Sprintf("%s/%d", topic, p), source, row.target, m)
			for _, r := range row.missing {
				if !told(v.events, row.streamOf, r, x.since) {
					row.untold = append(row.untold, r)
				}
			}
			v.missing, v.silent = v.missing+len(row.missing), v.silent+len(row.untold)
			v.rows = append(v.rows, row)
		}
	}
	return v, nil
}

// targetLost is a partition that a link says has lost records at the target.
type targetLost struct {
	topic     string
	partition int32
}

// partitionsLost are those that an event names.
var partitionsLost = regexp.MustCompile(`partition (\d+) \[`)

// lostAtTarget are the partitions that status says so of now: the link's state
// says that there are some, the newest event of each topic which.
func lostAtTarget(l *api.LinkDetail, events []api.Event) []targetLost {
	if !slices.ContainsFunc(l.Tasks, func(t api.Task) bool { return t.State == fsm.CodeTargetLost }) {
		return nil
	}
	newest := map[string]api.Event{}
	for _, e := range events {
		if e.Code == fsm.CodeTargetLost || e.Code == fsm.CodeTargetWhole {
			newest[e.Topic] = e
		}
	}
	var out []targetLost
	for topic, e := range newest {
		for _, m := range partitionsLost.FindAllStringSubmatch(e.Message, -1) {
			p, _ := strconv.Atoi(m[1])
			out = append(out, targetLost{topic, int32(p)})
		}
	}
	slices.SortFunc(out, func(a, b targetLost) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
	return out
}

// faults are the ways in which the views contradict one another, or what may
// never be.
func (v *seen) faults(status *api.Status) []string {
	var out []string
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	equal := v.verify.State == "done" && *v.verify.Verdict == api.VerdictEqual
	wrong := false
	for i := range v.rows {
		x := &v.rows[i]
		at := fmt.Sprintf("%s/%d", x.topic, x.partition)
		for _, text := range x.wrong {
			wrong = true
			bad("%s: %s", at, text)
		}
		if x.good() && len(x.untold) > 0 {
			bad("%s: status says %s and lag 0, and the target lacks %s", at, x.task.State, spans(x.untold))
		}
		if x.task == nil && !v.w.paused && !v.excused(x.topic) {
			bad("%s: status shows no stream of it and does not say why", at)
		}
		if equal && len(x.missing) > 0 {
			bad("%s: verify says equal, and the target lacks %s", at, spans(x.missing))
		}
		j := slices.IndexFunc(v.verify.Ranges, func(r api.VerifyRange) bool { return r.Topic == x.topic && r.Partition == x.partition })
		if equal && (j < 0 || v.verify.Ranges[j].Records != x.same) {
			bad("%s: verify says equal, and compared %+v of %d records", at, v.verify.Ranges, x.same)
		}
	}
	// A paused link is in no sum: its own row says that nothing of it is copied.
	if v.w.paused {
		if v.detail.State != "paused" || v.detail.Totals.LagRecords != nil && *v.detail.Totals.LagRecords == 0 && v.detail.Totals.Streams > 0 && v.silent > 0 {
			bad("it is paused, and its row says %s, %+v", v.detail.State, v.detail.Totals)
		}
	} else if status.Health == api.Healthy && status.Totals.LagRecords != nil && *status.Totals.LagRecords == 0 && v.silent > 0 {
		bad("status is healthy with lag 0, and the target lacks %d records", v.silent)
	}
	if wrong && equal {
		bad("verify says equal")
	}
	switch verdict := verdictOf(v.verify); verdict {
	case string(api.VerdictDiffers):
		if v.missing == 0 && !wrong {
			bad("verify says differs, and both logs are the same")
		}
	case string(api.VerdictEqual):
	case string(api.VerdictIncomplete):
		if text := v.needless(); text != "" {
			bad("verify leaves out what it could compare: %s", text)
		}
	default:
		bad("verify %s: %s", verdict, v.verify.Error)
	}
	return out
}

// excused reports whether status says why a topic is not copied, or that
// another partition of it is stopped.
func (v *seen) excused(topic string) bool {
	if slices.ContainsFunc(v.detail.Tasks, func(t api.Task) bool { return t.Topic == topic && t.Severity == reason.Stopped.String() }) {
		return true
	}
	for _, x := range v.detail.NotCopied {
		if x.Topic == topic {
			return true
		}
	}
	return slices.ContainsFunc(v.detail.LeftOut, func(x task.TopicLeftOut) bool { return x.Topic == topic })
}

// needless names what verify left out though status says that all is well and
// nothing was ever gone past.
func (v *seen) needless() string {
	if v.detail.Severity != reason.Good.String() || v.missing > 0 {
		return ""
	}
	for _, l := range v.verify.LeftOut {
		switch l.Reason {
		case "passed-over", "gone-at-source", "nothing-selected", "place-unknown": // of what is no more, or is not told apart
		default:
			return fmt.Sprintf("%+v", l)
		}
	}
	return ""
}

// losses are the records that the source lost before they were copied, and that
// nobody was told of, of a stream that is said to be well.
func (d *simDay) losses(v *seen, x *seenStream) []string {
	d.ledger.copied(x.streamOf, x.target)
	if !x.good() || x.facts == nil {
		return nil
	}
	lost := d.ledger.unnamed(x.streamOf, v.events, x.facts.Mapping)
	d.ledger.forgetStream(x.streamOf)
	if len(lost) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s/%d: %d records are lost and no event names them, first %s", x.topic, x.partition, len(lost), lost[0])}
}

// show writes down what the views say.
func (d *simDay) show(status *api.Status, v *seen) {
	d.t.Logf("status: %s %q %+v", status.Health, status.Problems, status.Totals)
	d.t.Logf("link %s: %s, topics %+v, not copied %+v", v.w.name, v.detail.Condition, v.detail.Topics, v.detail.NotCopied)
	d.t.Logf("verify: %s, counts %+v, left out %+v, ranges %+v, faults %+v", verdictOf(v.verify), v.verify.Counts, v.verify.LeftOut, v.verify.Ranges, v.verify.Faults)
	for _, x := range v.rows {
		d.t.Logf("%s/%d: %d the same, missing %s, untold %s, wrong %q, target [%d, %d)", x.topic, x.partition, x.same, spans(x.missing), spans(x.untold), x.wrong, x.target.start, x.target.end)
		if x.task != nil {
			d.t.Logf("  %s %s %q", x.task.Severity, x.task.State, x.task.Message)
		}
		if x.facts != nil {
			d.t.Logf("  progress %+v stop %+v", x.facts.Progress, x.facts.Stop)
			if m := x.facts.Mapping; m != nil {
				d.t.Logf("  generation %d, phase %v, segments %v", m.Generation, m.Phase, m.Segments[max(0, len(m.Segments)-8):])
			}
		}
	}
	for _, e := range v.events[max(0, len(v.events)-40):] {
		at := "-"
		if e.Partition != nil {
			at = fmt.Sprint(*e.Partition)
		}
		d.t.Logf("  event %s %s %s/%s %q", e.Last.Format("15:04:05"), e.Code, e.Topic, at, e.Message)
	}
}

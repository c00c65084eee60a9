package main

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"sluice/api"
	"sluice/fsm"
	"sluice/fsm/reason"
)

// trouble is a state that waits for a person, and where.
type trouble struct {
	w         *wanted
	topic     string
	partition int32 // -1: the topic's
	from      int64 // first offset that it is about, -1: none
	code      fsm.Code
	message   string
}

func (t *trouble) where() string {
	at := ""
	if t.from >= 0 {
		at = fmt.Sprint(" at ", t.from)
	}
	return fmt.Sprintf("%s %s/%d is %s%s", t.w.name, t.topic, t.partition, t.code, at)
}

// troubles are all that status shows.
func (d *simDay) troubles() ([]trouble, error) {
	var out []trouble
	for _, w := range d.links {
		if w.deleted || w.paused {
			continue
		}
		l, err := d.detail(d.healthy(), w.name)
		if err != nil {
			return nil, err
		}
		for _, t := range l.Tasks {
			if t.Kind == fsm.KindCopy.String() && (t.Severity == reason.Stopped.String() || t.Severity == reason.Waiting.String()) {
				x := trouble{w, t.Topic, t.Partition, -1, t.State, t.Message}
				if t.From != nil {
					x.from = *t.From
				}
				out = append(out, x)
			}
		}
		events, err := d.events(d.healthy(), w.name)
		if err != nil {
			return nil, err
		}
		for _, x := range lostAtTarget(l, events) {
			out = append(out, trouble{w, x.topic, x.partition, -1, fsm.CodeTargetLost, "the target removed records"})
		}
		for _, x := range l.NotCopied {
			if !slices.ContainsFunc(out, func(t trouble) bool { return t.w == w && t.topic == x.Topic }) {
				out = append(out, trouble{w, x.Topic, -1, -1, x.Code, x.Message})
			}
		}
	}
	return out, nil
}

// choices are the orders that an advice names.
var choices = regexp.MustCompile(`--(continue|recopy|end)\b|link (retry)`)

// wayOut carries out one of the ways that the state's own advice names, and
// tells which.
func (d *simDay) wayOut(t trouble) (way string, err error) {
	var ways []string
	for _, m := range choices.FindAllStringSubmatch(reason.Of(t.code).Advice, -1) {
		ways = append(ways, m[1]+m[2])
	}
	switch t.code {
	case fsm.CodeSourceDeleted:
		ways = append(ways, "create source")
	case fsm.CodeTopicMissing:
		ways = []string{"create source", "exclude"}
	case fsm.CodeNotEmpty, fsm.CodePartitionMismatch:
		ways = []string{"delete target", "exclude"}
	case fsm.CodeTargetLost:
		ways = []string{"renew target", "trim source too"}
	case fsm.CodeTargetDeleted:
		ways = append(ways, "exclude")
	case fsm.CodeRecordTooLarge:
		ways = []string{"continue", "widen", "widen"} // the next batch may be too large too
	}
	if len(ways) == 0 {
		return "", fmt.Errorf("%s names no way out", t.code)
	}
	way = ways[d.rand.IntN(len(ways))]
	d.done[fmt.Sprintf("way out of %s: %s", t.code, way)]++
	d.say("%s (%s): %s", t.where(), t.message, way)
	return way, d.carryOut(t, way)
}

func (d *simDay) carryOut(t trouble, way string) error {
	sel := api.StreamSelector{Topic: t.topic}
	if t.partition >= 0 && (way == "recopy" || way != "end" && d.rand.IntN(2) == 0) { // else all that are stopped of the topic
		sel.Partition = &t.partition
	}
	target := t.w.prefix + t.topic
	switch way {
	case "create source":
		if x := d.writer.of(t.topic); !x.there {
			d.writer.create(x)
		}
		return nil
	case "exclude":
		t.w.out[t.topic] = true
		d.ledger.forget(t.w.name, t.topic)
		return d.apply(d.healthy())
	case "delete target":
		return d.renew(t, false)
	case "renew target":
		return d.renew(t, true)
	case "trim source too":
		return d.trimBoth(t.w, t.topic, t.partition)
	case "widen":
		if t.w.target.kafka.TopicInfo(target) != nil { // else trying again says that it was deleted
			if err := d.setLimit(t.w.target, target, 1<<20); err != nil {
				return err
			}
		}
		way = "retry"
	case "recopy":
		if info := t.w.target.kafka.PartitionInfo(target, t.partition); info != nil && info.HighWatermark > info.LogStartOffset { // "in an emptied target"
			if err := d.spare(t.w, target); err != nil {
				return err
			}
			if err := t.w.target.kafka.DeleteRecords(target, t.partition, -1); err != nil {
				return err
			}
		}
	}
	return d.order(t.w.name, way, sel)
}

// renew deletes a target topic, and has it copied again where that is wanted.
func (d *simDay) renew(t trouble, recopy bool) error {
	target := t.w.prefix + t.topic
	if t.w.target.kafka.TopicInfo(target) == nil {
		return nil
	}
	if err := d.spare(t.w, target); err != nil {
		return err
	}
	if err := t.w.target.deleteTopic(target); err != nil || !recopy {
		return err
	}
	d.until("the streams of "+target+" stop", 2*time.Minute, func() bool {
		l, err := d.detail(d.healthy(), t.w.name)
		return err == nil && !slices.ContainsFunc(l.Tasks, func(x api.Task) bool {
			return x.Topic == t.topic && x.Kind == fsm.KindCopy.String() && x.Severity != reason.Stopped.String()
		})
	})
	return d.order(t.w.name, "recopy", api.StreamSelector{Topic: t.topic})
}

// trimBoth takes from a source what its target has removed already.
func (d *simDay) trimBoth(w *wanted, topic string, p int32) error {
	source, err := w.source.read(topic, p)
	if err != nil {
		return err
	}
	target, err := w.target.read(w.prefix+topic, p)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, r := range target.records {
		there[r.id] = true
	}
	to := source.end
	if i := slices.IndexFunc(source.records, func(r kept) bool { return there[r.id] }); i >= 0 {
		to = source.records[i].offset
	}
	for _, other := range d.links { // the other links have their copy: all is at rest
		if other != w && other.source == w.source && other.selects(topic) && !other.deleted {
			d.ledger.condemn(streamOf{other.name, topic, p}, source, to, d.writer.of(topic).since)
			l, err := other.target.read(other.prefix+topic, p)
			if err != nil {
				return err
			}
			d.ledger.copied(streamOf{other.name, topic, p}, l)
		}
	}
	return w.source.kafka.DeleteRecords(topic, p, to)
}

package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"sluice/api"
	"sluice/fsm"
)

// streamOf names a stream of a link by its source.
type streamOf struct {
	link, topic string
	partition   int32
}

// ledger holds the records that a source lost and that a target did not have
// when that was looked at last: either they come yet, or somebody is told.
type ledger struct{ doomed map[streamOf][]doom }

type doom struct {
	kept
	born, at time.Time // of its topic; when it was lost
}

func newLedger() *ledger { return &ledger{map[streamOf][]doom{}} }

// condemn adds the records of a log before an offset.
func (l *ledger) condemn(k streamOf, log partLog, to int64, born time.Time) {
	for _, r := range log.records {
		if r.offset < to {
			l.doomed[k] = append(l.doomed[k], doom{r, born, time.Now()})
		}
	}
}

// copied takes out what a target holds.
func (l *ledger) copied(k streamOf, target partLog) {
	if len(l.doomed[k]) == 0 {
		return
	}
	there := make(map[string]bool, len(target.records))
	for _, r := range target.records {
		there[r.id] = true
	}
	l.doomed[k] = slices.DeleteFunc(l.doomed[k], func(x doom) bool { return there[x.id] })
}

// forget takes out what an operator wants no more; an empty topic: all of the
// link.
func (l *ledger) forget(link, topic string) {
	for k := range l.doomed {
		if k.link == link && (topic == "" || k.topic == topic) {
			delete(l.doomed, k)
		}
	}
}

// forgetStream takes out what is accounted for.
func (l *ledger) forgetStream(k streamOf) { delete(l.doomed, k) }

// went tells where a stream went on.
var went = regexp.MustCompile(`went on past (\S+): source offset (\d+) stands`)

// told reports whether an event names a source record as one that was not
// copied: by its range, or since the stream went on behind it. What events told
// before the record was there is not of it.
func told(events []api.Event, k streamOf, r kept, since time.Time) bool {
	return slices.ContainsFunc(events, func(e api.Event) bool {
		if e.Topic != k.topic || e.Partition != nil && *e.Partition != k.partition || e.Last.Before(since) {
			return false
		}
		in := e.From != nil && *e.From <= r.offset && r.offset < *e.To
		m := went.FindStringSubmatch(e.Message)
		switch {
		case e.Code != fsm.CodeNewSegment || m == nil:
			return in && e.Code == fsm.CodePositionLost
		case slices.Contains([]fsm.Code{fsm.CodeTargetRecreated, fsm.CodeTargetDeleted, fsm.CodeTargetTruncated, fsm.CodeForeignWriter}, fsm.Code(m[1])):
			to, _ := strconv.ParseInt(m[2], 10, 64)
			return r.offset < to
		}
		return in
	})
}

// unnamed are the records that a source lost before they were copied and that
// nobody was told of.
func (l *ledger) unnamed(k streamOf, events []api.Event, m *fsm.Mapping) []string {
	var out []string
	for _, x := range l.doomed[k] {
		whole := slices.ContainsFunc(events, func(e api.Event) bool { // the topic, or its copy, went with all that was in it
			return (e.Topic == k.topic || e.Topic == "") && !e.Last.Before(x.at) && slices.Contains([]fsm.Code{
				fsm.CodeSourceDeleted, fsm.CodeSourceRecreated, fsm.CodeTargetRecreated, fsm.CodeTargetDeleted, fsm.CodeTopicEnded, fsm.CodeRecopied,
			}, e.Code)
		})
		begun := m != nil && m.Generation == 1 && x.offset < m.Segments[0].Source // lost before the stream began
		if !whole && !begun && !told(events, k, x.kept, x.born) {
			out = append(out, fmt.Sprintf("source offset %d (%s), lost at %s", x.offset, x.id, x.at.UTC().Format("15:04:05")))
		}
	}
	return out
}

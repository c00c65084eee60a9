package verify

import (
	"fmt"
	"strings"

	"sluice/fsm"
	"sluice/kafka"
)

// pair is the comparison of one stream under way. It outlives a try that
// fails: the next one goes on where that stood.
type pair struct {
	all    *comparison
	in, to *reader // of the source, of the target
	bounds bounds
	behind LeftOut // what is said if something was behind
	unsure error   // retention could not be asked about

	mapping *fsm.Mapping // as it was when it began
}

// take compares what was read.
func (p *pair) take(in, to chunk) {
	p.all.trim(in.floor, to.floor)
	p.all.leaveOut(in.holes, to.holes)
	p.all.counts.Filtered += in.left
	p.all.blind[atSource] = p.all.blind[atSource] || in.left > 0 // a record that is left out may have had others of its key removed
	p.all.push(in.items, to.items, in.end, to.end)
}

// undecided is why not all records could be decided.
func (p *pair) undecided() string {
	if p.all.halved > 0 {
		return fmt.Sprintf("more than %d keys wait for a later record, so one of %d keys was checked", p.all.most, uint64(1)<<p.all.halved)
	}
	return "a later record of their keys may be among those that are not compared"
}

// found is what a comparison that came to its end has found.
func (p *pair) found(k fsm.StreamKey) found {
	f := found{counts: p.all.counts, faults: p.all.faults, compare: Range{
		Topic: k.Topic, Partition: k.Partition, From: p.bounds.sourceFrom, To: p.bounds.sourceTo, Compared: p.all.counts.Compared,
	}}
	add := func(l LeftOut) { f.left = append(f.left, l) }
	n := &f.counts
	if n.Behind > 0 {
		add(p.behind)
	}
	if n.Skipped > 0 {
		add(leftOut(k, PassedOver, n.Skipped, "the link went on behind source records without copying them; `sluice events` names them"))
	}
	if n.TooLarge > 0 || len(p.all.holes.names) > 0 {
		add(leftOut(k, BatchTooLarge, n.TooLarge, "batches of more than %d MiB decompressed, or %d records: %s", p.in.limits.Budget>>20, p.in.limits.Records, strings.Join(p.all.holes.names, ", ")))
	}
	if n.Inexact > 0 {
		add(leftOut(k, PlaceUnknown, n.Inexact, "one side's log starts where it is not known exactly any more which records belong together, and the first records of either side were not found at the other"))
	}
	if n.Undecided > 0 {
		add(leftOut(k, CompactionUnsure, n.Undecided, "records are at one side only, and whether compaction removed them at the other was not found out: %s", p.undecided()))
	}
	if n.SourceGone > 0 && n.Compared == 0 && n.Faults() == 0 {
		add(leftOut(k, GoneAtSource, n.SourceGone, "the source deleted all records that the target has: there is nothing to compare them with"))
	}
	if p.unsure != nil {
		add(leftOut(k, RetentionUnsure, n.Trimmed, "records are gone at the target, and whether the source's retention deletes them too could not be asked: %s", kafka.Explain(p.unsure)))
	}
	return f
}

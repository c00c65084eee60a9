package recovery

import "sluice/fsm"

// Seen is one record of a log, told apart by a hash of all that it holds.
type Seen struct {
	Offset int64
	Sum    uint64
	Other  bool // at the target: another writer's
	Filler bool // at the target: takes the offset of a transaction of the source
}

// Alignment says how far the records of a translated stream, which no offset
// counts, stand in the target behind its checkpoint.
type Alignment struct {
	Source   int64         // next source offset: what stands before it was copied
	Repeats  int64         // records that may have been copied too and would be again; 0: it is exact
	Segments []fsm.Segment // of what was found behind the checkpoint
}

// Align finds where a translated stream goes on from the records at both sides
// behind the checkpoint p: source holds, in order, those to be copied, as many as
// the target has room for, before its end; target holds what is there, up to its
// log end.
//
// What was copied stands in the order of the source, so each record of the
// source is looked for behind the one before it. Cleaners may have run at
// either side. A record that only the target has is gone from the source. One
// that only the source has was not copied yet, or is gone from the target, which
// leaves an offset empty there: that is sure only where something that was
// copied later follows it. Records that are equal in all they hold, timestamp
// and headers too, count as one and the same.
func Align(source, target []Seen, p fsm.Progress, sourceEnd, end int64) Alignment {
	w := alignment{places: make(map[uint64][]int, len(target)), target: target, source: p.Source, shift: p.Target - p.Source}
	for i, t := range target {
		if !t.Other && !t.Filler {
			w.places[t.Sum] = append(w.places[t.Sum], i)
		}
	}
	empty := end - p.Target - int64(len(target))
	missing := int64(0) // records of the source, one after the other, that were not found
	for i, s := range source {
		at := w.place(s.Sum)
		switch {
		case at < 0:
			if missing++; missing == 1 {
				w.waits = s.Offset
			}
			continue
		case missing > empty:
			return w.doubtful(source[i:])
		}
		empty, missing = empty-missing, 0
		w.found(s, at)
	}
	if missing == 0 {
		w.waits = sourceEnd
	}
	return w.result(end, empty)
}

// alignment is one Align under way.
type alignment struct {
	places map[uint64][]int // in target, by hash, ascending
	target []Seen
	next   int // of target, behind the record that was found last

	source   int64 // behind the record that was found last
	waits    int64 // offset of the source's first record behind it, or the source's end
	shift    int64 // of that one
	segments []fsm.Segment
}

// place is where a record stands behind the one that was found last, -1:
// nowhere.
func (w *alignment) place(sum uint64) int {
	list := w.places[sum]
	for len(list) > 0 && list[0] < w.next {
		list = list[1:]
	}
	w.places[sum] = list
	if len(list) == 0 {
		return -1
	}
	return list[0]
}

func (w *alignment) found(s Seen, at int) {
	target := w.target[at].Offset
	w.follow(s.Offset, target)
	w.next, w.source = at+1, s.Offset+1
}

// follow notes that a source offset stands at a target offset.
func (w *alignment) follow(source, target int64) {
	if shift := target - source; shift != w.shift {
		w.shift = shift
		w.segments = append(w.segments, fsm.Segment{Source: source, Target: target})
	}
}

// doubtful ends at a record that was not found although later ones, the given,
// were.
func (w *alignment) doubtful(later []Seen) Alignment {
	out := Alignment{Source: w.source, Segments: w.segments}
	for _, s := range later {
		if at := w.place(s.Sum); at >= 0 {
			w.next = at + 1
			out.Repeats++
		}
	}
	return out
}

// result is that of a walk to the end of what the source holds; empty is how
// many offsets of the target hold nothing and are not explained. What stands
// behind the record that was found last is gone from the source, where each took
// an offset of its own; without room for them there they are something else.
func (w *alignment) result(end, empty int64) Alignment {
	behind := w.behind(end)
	if behind > 0 && (empty > 0 || w.source+behind > w.waits) {
		return Alignment{Source: w.source, Repeats: behind, Segments: w.segments}
	}
	w.source += behind
	w.follow(w.source, end)
	return Alignment{Source: w.source, Segments: w.segments}
}

// behind counts the target's offsets behind the record that was found last that
// are ours or empty.
func (w *alignment) behind(end int64) int64 {
	from := w.source + w.shift
	others := int64(0)
	for _, t := range w.target[w.next:] {
		if t.Other {
			others++
		}
	}
	return end - from - others
}

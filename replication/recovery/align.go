package recovery

import "sluice/fsm"

// Seen is one record of a log, told apart by a hash of all that it holds.
type Seen struct {
	Offset  int64
	Sum     uint64
	Key     uint64 // a hash of its key
	Deletes bool   // it has no value: a cleaner removes it too, some time after the records of its key
	Other   bool   // at the target: another writer's
	Filler  bool   // at the target: takes the offset of a transaction of the source
}

// Logs is what both sides hold behind a place that is known.
type Logs struct {
	Source      []Seen // those to be copied, in order, as many as the target has room for
	Again       []Seen // Source as it was read once more, after Source and Target; nil: it was not
	SourceEnd   int64  // up to where Source was read, if it is not full
	Target      []Seen // in order
	TargetStart int64  // where Target begins: behind the place, where the target's log lost its head
	TargetEnd   int64  // the target's log end
	Shared      bool   // others may write to the target
	Recent      bool   // the target still has every deletion that was copied behind the place
}

// Alignment says how far the records of a translated stream, which no offset
// counts, stand in the target behind its checkpoint.
type Alignment struct {
	Source   int64         // next source offset: what stands before it was copied
	Repeats  int64         // records that may have been copied too and would be again; 0: it is exact but for Deleted
	Deleted  int64         // records of deleted keys that may be copied again, as the target keeps no trace of them
	Again    bool          // Logs.Again is needed; nothing else is known
	Segments []fsm.Segment // of what was found behind the checkpoint
}

// Align finds where a translated stream goes on from the records at both sides
// behind the checkpoint p.
//
// What was copied stands in the order of the source, so each record of the source
// is looked for behind the one before it, and all up to the last one that is found
// was copied. Records that are equal in all they hold, timestamp and headers too,
// count as one and the same.
//
// What the target holds behind that is gone from the source: a cleaner took it
// there, for a later record of its key. A record of the source behind the last one
// found either was not copied, or a cleaner took it from the target for a later
// record of its key, which is still there; as that one was not found, a cleaner
// has taken it from the source, and with it all earlier ones of its key. So what
// the source still holds when it is read again was not copied. Only of a key whose
// deletion is gone from the target too, nothing tells that.
func Align(l Logs, p fsm.Progress) Alignment {
	w := alignment{Logs: l, places: make(map[uint64][]int, len(l.Target)), source: p.Source, shift: p.Target - p.Source}
	for i, t := range l.Target {
		if !t.Other && !t.Filler {
			w.places[t.Sum] = append(w.places[t.Sum], i)
		}
		w.Shared = w.Shared || t.Other
	}
	empty := l.TargetEnd - p.Target - int64(len(l.Target))
	missing := int64(0) // records of the source, one after the other, that were not found
	for i, s := range l.Source {
		at := w.place(s.Sum)
		switch {
		case at < 0:
			missing++
			continue
		case missing > empty:
			return w.doubtful(l.Source[i:])
		}
		empty, missing = empty-missing, 0
		w.found(i, at)
	}
	return w.result()
}

// alignment is one Align under way.
type alignment struct {
	Logs
	places map[uint64][]int // in Target, by hash, ascending
	last   int              // of Source, behind the record that was found last
	next   int              // of Target, behind that record
	before struct {         // that record was found
		shift    int64
		segments int
	}

	source   int64 // offset behind it
	shift    int64 // of it
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

// found notes that the record i of the source is the record at of the target.
func (w *alignment) found(i, at int) {
	s := w.Source[i]
	w.before.shift, w.before.segments = w.shift, len(w.segments)
	w.last, w.next, w.source = i+1, at+1, s.Offset+1
	w.follow(s.Offset, w.Target[at].Offset)
}

// latest takes the last one of the records that equal the one found last: nothing
// behind it is in the source, so the others are not either.
func (w *alignment) latest() {
	if w.last == 0 {
		return
	}
	list := w.places[w.Source[w.last-1].Sum]
	if len(list) == 0 || list[len(list)-1] < w.next {
		return
	}
	w.shift, w.segments = w.before.shift, w.segments[:w.before.segments]
	w.found(w.last-1, list[len(list)-1])
}

// follow notes that a source offset stands at a target offset.
func (w *alignment) follow(source, target int64) {
	if shift := target - source; shift != w.shift {
		w.shift = shift
		w.segments = append(w.segments, fsm.Segment{Source: source, Target: target})
	}
}

// doubtful ends at a record that was not found although later ones, the given,
// were, and no cleaner can have taken it from the target.
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

// result is that of a walk to the end of what the source holds.
func (w *alignment) result() Alignment {
	w.latest()
	here, empty := w.behind()
	least := w.source + here // each took an offset of its own
	if !w.Shared {
		least += empty
	}
	switch {
	case here == 0 && empty == 0:
		return w.exact(w.source, 0)
	case w.last == 0 && w.TargetStart > w.source+w.shift: // what stood there may have been any of them
		return Alignment{Source: w.source, Repeats: here + empty, Segments: w.segments}
	case empty > 0 && w.Again == nil:
		return Alignment{Again: true}
	}
	rest, deleted := w.Source[w.last:], map[uint64]int64{}
	if empty > 0 {
		rest, deleted = w.again()
	}
	untold := func() bool { // nothing tells if the next one was copied
		if len(rest) == 0 {
			return false
		}
		at, ok := deleted[rest[0].Key]
		return ok && rest[0].Offset <= at
	}
	for untold() && rest[0].Offset < least {
		rest = rest[1:]
	}
	to := w.SourceEnd
	if len(rest) > 0 {
		to = rest[0].Offset
	}
	if w.source+here > to { // no room for what the target holds: it is something else
		return Alignment{Source: w.source, Repeats: here, Segments: w.segments}
	}
	perhaps := int64(0)
	for ; untold() && perhaps < empty; perhaps++ {
		rest = rest[1:]
	}
	return w.exact(to, perhaps)
}

// again is what the source still holds behind the record that was found last, and
// where each key is deleted there for the last time: of records up to there, no
// trace need be left in the target.
func (w *alignment) again() (rest []Seen, deleted map[uint64]int64) {
	for rest = w.Again; len(rest) > 0 && rest[0].Offset < w.source; {
		rest = rest[1:]
	}
	deleted = map[uint64]int64{}
	for _, s := range rest {
		if s.Deletes && !w.Recent {
			deleted[s.Key] = s.Offset
		}
	}
	return rest, deleted
}

// exact goes on at a source offset.
func (w *alignment) exact(source, deleted int64) Alignment {
	w.follow(source, w.TargetEnd)
	return Alignment{Source: source, Deleted: deleted, Segments: w.segments}
}

// behind counts the target's offsets behind the record that was found last that
// hold a record of ours, and those that are empty.
func (w *alignment) behind() (here, empty int64) {
	rest := w.Target[w.next:]
	for _, t := range rest {
		if !t.Other && !t.Filler {
			here++
		}
	}
	return here, w.TargetEnd - (w.source + w.shift) - int64(len(rest))
}

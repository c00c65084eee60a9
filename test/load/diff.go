package load

import "fmt"

// entry is a record that waits for its counterpart: where it is and what it holds.
type entry struct {
	offset int64
	hash   uint64 // of key, value, headers and timestamp
}

// Kind says what is wrong with a record.
type Kind string

// The kinds of differences between a source and its copy.
const (
	Missing        Kind = "missing"         // in the source, not in the target
	Duplicate      Kind = "duplicate"       // more often in the target than in the source
	OutOfOrder     Kind = "out of order"    // in the target behind a later record of the source
	Differing      Kind = "differing"       // at its place in the target, but with another content
	OffsetMismatch Kind = "offset mismatch" // in the target, not at the offset where it should be
	Extra          Kind = "extra"           // in the target, never in the source
)

// Difference is one record that is not as it should be.
type Difference struct {
	Topic        string // of the source
	Partition    int32
	Kind         Kind
	SourceOffset int64 // -1 where the source has no such record
	TargetOffset int64 // -1 where the target has none
	Detail       string
}

func (d Difference) String() string {
	s := fmt.Sprintf("%s/%d %s: source offset %d, target offset %d", d.Topic, d.Partition, d.Kind, d.SourceOffset, d.TargetOffset)
	if d.Detail != "" {
		s += " (" + d.Detail + ")"
	}
	return s
}

// differ compares the two sides of one partition. Sides are fed in order, in any alternation; as long
// as they are equal it keeps 8 bytes per record.
type differ struct {
	shift     int64 // target offset = source offset + shift
	noOffsets bool  // offsets are not compared
	report    func(Kind, int64, int64)

	equal  []uint64 // hashes of the source's records that met their equals in order
	source []entry  // the rest
	target []entry
}

// feed adds what was read and takes off what is equal on both sides.
func (d *differ) feed(source, target []entry) {
	d.source, d.target = append(d.source, source...), append(d.target, target...)
	n := 0
	for n < len(d.source) && n < len(d.target) && d.source[n].hash == d.target[n].hash {
		d.checkOffset(d.source[n], d.target[n])
		d.equal = append(d.equal, d.source[n].hash)
		n++
	}
	d.source, d.target = d.source[n:], d.target[n:]
}

func (d *differ) checkOffset(s, t entry) {
	if !d.noOffsets && t.offset != s.offset+d.shift {
		d.report(OffsetMismatch, s.offset, t.offset)
	}
}

// finish judges what is left when both sides were fed to their ends.
func (d *differ) finish() {
	if len(d.source) == 0 && len(d.target) == 0 {
		return
	}
	unused := map[uint64][]int{} // places in the source of each content, those not yet matched
	for i, s := range d.source {
		unused[s.hash] = append(unused[s.hash], i)
	}
	known := map[uint64]bool{}
	for _, h := range d.equal {
		known[h] = true
	}
	targetOf := make([]int, len(d.source)) // place in the target of each source record, -1 for none
	for i := range targetOf {
		targetOf[i] = -1
	}
	extra := map[int]bool{} // places in the target of what the source never had
	latest := -1
	for j, t := range d.target {
		places := unused[t.hash]
		if len(places) == 0 {
			if known[t.hash] {
				d.report(Duplicate, -1, t.offset)
			} else {
				extra[j] = true
			}
			continue
		}
		i := places[0]
		unused[t.hash], targetOf[i] = places[1:], j
		known[t.hash] = true
		if i < latest {
			d.report(OutOfOrder, d.source[i].offset, t.offset)
		}
		latest = max(latest, i)
		d.checkOffset(d.source[i], t)
	}
	d.judgeRest(targetOf, extra)
}

// judgeRest tells differing records, which have their place in the target taken by something that
// the source never had, from missing ones.
func (d *differ) judgeRest(targetOf []int, extra map[int]bool) {
	byOffset := map[int64]int{}
	for j := range extra {
		byOffset[d.target[j].offset] = j
	}
	before := -1 // place in the target of the source record before
	for i, s := range d.source {
		j := targetOf[i]
		if j < 0 {
			j = before + 1
			if at, ok := byOffset[s.offset+d.shift]; ok && !d.noOffsets {
				j = at
			}
			if !extra[j] {
				d.report(Missing, s.offset, -1)
				continue
			}
			delete(extra, j)
			d.report(Differing, s.offset, d.target[j].offset)
			d.checkOffset(s, d.target[j])
		}
		before = j
	}
	for j, t := range d.target {
		if extra[j] {
			d.report(Extra, -1, t.offset)
		}
	}
}

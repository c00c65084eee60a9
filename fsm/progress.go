package fsm

import (
	"encoding/binary"
	"fmt"
)

// ProgressBatch reports changed positions of one node's tasks. It is the one
// frequent command, so it has its own compact form.
type ProgressBatch struct {
	Node  string // the owner's ID; items of other owners or turns are ignored
	At    int64  // unix ms
	Items []ProgressItem
}

// ProgressItem is the progress of one task. Release gives the task to its
// Next owner: the stream is drained and this is its last position.
type ProgressItem struct {
	Task     TaskID
	Turn     uint64
	Version  uint32 // of the mapping that the progress lies in
	Progress Progress
	Segments []Segment // of a translated stream: new since the last report
	Release  bool
}

// Type implements Command.
func (*ProgressBatch) Type() Type { return TypeProgress }

// MaxProgressBytes bounds one encoded ProgressBatch; a node with more to
// report sends several.
const MaxProgressBytes = 64 << 10

// Bounds of an encoded item: ten varints, and two for each segment. One with
// MaxSegments takes less than a fifth of MaxProgressBytes.
const (
	maxItem    = 10 * binary.MaxVarintLen64
	maxSegment = 2 * binary.MaxVarintLen64
)

// Split cuts the batch into batches that each encode to at most
// MaxProgressBytes. Of an item's segments there are MaxSegments at most in them:
// it cannot be cut, for its position rests on all of its segments.
func (p *ProgressBatch) Split() []*ProgressBatch {
	var out []*ProgressBatch
	size, from := 0, 0
	for i := range p.Items {
		it := &p.Items[i]
		it.Segments = thin(it.Segments)
		n := maxItem + len(it.Segments)*maxSegment
		if size+n > MaxProgressBytes-512 && i > from {
			out = append(out, &ProgressBatch{Node: p.Node, At: p.At, Items: p.Items[from:i]})
			size, from = 0, i
		}
		size += n
	}
	if from < len(p.Items) {
		out = append(out, &ProgressBatch{Node: p.Node, At: p.At, Items: p.Items[from:]})
	}
	return out
}

// Flags of an item: what follows, or is so.
const (
	flagRelease  = 1
	flagSegments = 2
)

// append encodes: node, at, count, then per item: task (delta to the one
// before), turn, version, flags, source, then
// target minus source, epochs, records, at minus batch at, segments.
func (p *ProgressBatch) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(p.Node)))
	b = append(b, p.Node...)
	b = binary.AppendVarint(b, p.At)
	b = binary.AppendUvarint(b, uint64(len(p.Items)))
	var last TaskID
	for _, it := range p.Items {
		b = binary.AppendVarint(b, int64(it.Task-last))
		last = it.Task
		b = binary.AppendUvarint(b, it.Turn)
		b = binary.AppendUvarint(b, uint64(it.Version))
		flags := byte(0)
		if it.Release {
			flags |= flagRelease
		}
		if len(it.Segments) > 0 {
			flags |= flagSegments
		}
		b = append(b, flags)
		g := it.Progress
		b = binary.AppendVarint(b, g.Source)
		b = binary.AppendVarint(b, g.Target-g.Source)
		b = binary.AppendVarint(b, int64(g.SourceEpoch))
		b = binary.AppendVarint(b, int64(g.TargetEpoch))
		b = binary.AppendVarint(b, g.Records)
		b = binary.AppendVarint(b, g.At-p.At)
		if len(it.Segments) > 0 {
			b = binary.AppendUvarint(b, uint64(len(it.Segments)))
			for _, s := range it.Segments {
				b = binary.AppendVarint(b, s.Source)
				b = binary.AppendVarint(b, s.Target)
			}
		}
	}
	return b
}

func (p *ProgressBatch) parse(b []byte) error {
	d := &reader{b: b}
	p.Node = d.str()
	p.At = d.varint()
	n := d.count(8)
	p.Items = make([]ProgressItem, 0, n)
	var last TaskID
	unknown := false
	for range n {
		it := ProgressItem{Task: last + TaskID(d.varint())}
		last = it.Task
		it.Turn = d.uvarint()
		it.Version = uint32(d.uvarint())
		flags := d.byte()
		unknown = unknown || flags > flagRelease|flagSegments
		it.Release = flags&flagRelease != 0
		it.Progress.Source = d.varint()
		it.Progress.Target = it.Progress.Source + d.varint()
		it.Progress.SourceEpoch = int32(d.varint())
		it.Progress.TargetEpoch = int32(d.varint())
		it.Progress.Records = d.varint()
		it.Progress.At = p.At + d.varint()
		if flags&flagSegments != 0 {
			for range d.count(2) {
				it.Segments = append(it.Segments, Segment{Source: d.varint(), Target: d.varint()})
			}
		}
		p.Items = append(p.Items, it)
	}
	switch {
	case unknown:
		return fmt.Errorf("decoding progress: %w", ErrUnknown)
	case d.bad || len(d.b) != 0:
		return fmt.Errorf("decoding progress: %w", ErrCorrupt)
	}
	return nil
}

// reader reads varints and remembers whether anything was malformed, so that
// a decoder checks once at its end.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	return r.step(v, n)
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	return int64(r.step(uint64(v), n))
}

func (r *reader) step(v uint64, n int) uint64 {
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

// count reads the number of items of at least so many bytes each that follow; a
// number that cannot be true is malformed, so that none is allocated for.
func (r *reader) count(least int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/least) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

func (r *reader) str() string {
	n := r.count(1)
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

package rewrite

import (
	"fmt"
	"math"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/filter"
)

// Job is one way through the slow path: several source batches in, one batch
// for the target out.
type Job struct {
	Batches []record.Batch // in the order of their offsets, no control or aborted ones
	Cursor  Cursor         // records below Cursor.Source are dropped
	Filter  *filter.Filter // nil: all records are written, as they are
	// Limits, 0: none. Where one is met, the cursor of the result stands
	// before the first record that did not fit, perhaps inside a batch, and
	// Rebuild goes on from there.
	MaxRecords int
	MaxBytes   int   // of the records before compression; one record always fits
	Until      int64 // source offset that is not reached any more
}

// Rebuilt is what became of a Job.
type Rebuilt struct {
	Batch    record.Batch // nil: no record is left to write
	Segments []fsm.Segment
	Cursor   Cursor
	Done     int // batches of the Job that are done with

	Filtered filter.Counts
	Stuck    string // why the record at the cursor cannot be judged by the filter, which ends the Job in front of it; empty: none
}

// Rebuilder is the slow path with its buffers, kept from batch to batch. Not
// safe for concurrent use.
type Rebuilder struct {
	// Codec opens and builds; the owner may use it between two Rebuilds.
	Codec *record.Codec
	// Room bounds what one batch may decompress to, in bytes.
	Room int

	scratch []byte // records of the batch being read
	builder record.Builder
	judging *filter.Scratch
	parts   parts // of the batch being split
}

// parts is one batch that becomes several.
type parts struct {
	rs          record.Records
	packed, raw int // bytes of it as it came, and before compression
}

// NewRebuilder returns a Rebuilder with a Codec of its own, and room for any
// batch; it holds no memory yet.
func NewRebuilder() *Rebuilder {
	return &Rebuilder{Codec: record.NewCodec(), Room: math.MaxInt, judging: new(filter.Scratch)}
}

// FirstRoom is the room that opening a batch is likely to need, at most most.
func FirstRoom(b record.Batch, most int) int {
	if b.Attributes()&record.AttrCodecMask == record.CodecNone {
		return min(len(b), most)
	}
	return min(usualRatio*len(b), most)
}

// NextRoom is what to try when room was not enough: all that is done in vain is
// less than what is done then.
func NextRoom(room, most int) int { return min(2*room, most) }

// usualRatio is how many times its size most batches decompress to at most.
const usualRatio = 4

// Memory is how many bytes are used while a batch is open that decompresses to
// at most room: what is decompressed, while that grows, the records that are
// kept of it, and the history and state of the codecs.
func Memory(room int) int { return 4*room + record.MaxKept }

// Rebuild opens the batches and builds one of what is to be written, with the
// codec of the first one, appended to dst[:0] where its capacity suffices; dst
// may be the memory of the batches, which are not read any more then.
// Offset deltas are consecutive and timestamps are CreateTime, those of
// LogAppendTime batches the append time. Segments are those that begin inside
// the batch; they have to be recorded before it is sent (dense) or together
// with progress (translated).
//
// On an error nothing is returned of the batches before the one that failed:
// call it again without that batch.
func (r *Rebuilder) Rebuild(job Job, dst []byte) (Rebuilt, error) {
	defer r.shrink()
	out := Rebuilt{Cursor: job.Cursor}
	r.builder.Reset()
	codec := record.CodecNone
	for i, b := range job.Batches {
		rs, err := r.open(b)
		if err != nil {
			return Rebuilt{}, err
		}
		r.builder.Grow(rs.Size())
		if i == 0 {
			codec = rs.Header.Attributes & record.AttrCodecMask
		}
		whole, err := r.take(&rs, &job, &out)
		if err != nil {
			return Rebuilt{}, err
		}
		if !whole {
			break
		}
		out.Cursor.Skip(&rs.Header) // over the offsets after the last record
		out.Done++
	}
	var err error
	out.Batch, err = r.Codec.Build(dst[:0], codec, &r.builder)
	return out, err
}

// Open opens one batch for reading. Its records are valid until the next call.
func (r *Rebuilder) Open(b record.Batch) (record.Records, error) {
	defer r.shrink()
	return r.open(b)
}

func (r *Rebuilder) open(b record.Batch) (record.Records, error) {
	rs, err := r.Codec.Open(b, r.scratch, r.Room)
	if err == nil {
		r.scratch = rs.Scratch
	}
	return rs, err
}

// keepMost is how many bytes of each of its buffers a Rebuilder keeps: no
// budget knows of them.
const keepMost = 1 << 20

// shrink lets go of what an unusually large batch has made grow.
func (r *Rebuilder) shrink() {
	if cap(r.scratch) > keepMost || r.builder.Size() > keepMost {
		r.scratch, r.builder = nil, record.Builder{}
	}
	r.judging.Shrink(keepMost)
}

// take adds the records of one batch; false when a limit was met, or a record that
// cannot be judged.
func (r *Rebuilder) take(rs *record.Records, job *Job, out *Rebuilt) (whole bool, err error) {
	maxRecords := job.MaxRecords
	if maxRecords <= 0 {
		maxRecords = math.MaxInt32
	}
	var rec record.Record
	before := *rs
	for limited := job.MaxRecords > 0 || job.MaxBytes > 0 || job.Until > 0; ; {
		if limited {
			before = *rs
		}
		more, err := rs.Next(&rec)
		if err != nil || !more {
			return true, err
		}
		if rec.Offset < out.Cursor.Source {
			continue
		}
		if job.Until > 0 && rec.Offset >= job.Until {
			*rs = before
			return false, nil
		}
		judged := out.Filtered
		if job.Filter != nil {
			kept, err := r.judge(job.Filter, &rec, out, &judged)
			if err != nil || out.Stuck != "" {
				return false, err
			}
			if !kept {
				out.Cursor.Source, out.Filtered = rec.Offset+1, judged
				continue
			}
		}
		full := r.builder.Count() >= maxRecords || job.MaxBytes > 0 && r.builder.Count() > 0 &&
			r.builder.Size()+len(rec.Key)+len(rec.Value)+len(rec.RawHeaders)+recordOverhead > job.MaxBytes
		if full {
			*rs = before
			return false, nil
		}
		if seg, changed := out.Cursor.write(rec.Offset); changed {
			out.Segments = append(out.Segments, seg)
		}
		r.builder.Add(&rec)
		out.Filtered = judged
	}
}

// judge asks the filter about a record, and counts what it says.
func (r *Rebuilder) judge(f *filter.Filter, rec *record.Record, out *Rebuilt, n *filter.Counts) (kept bool, err error) {
	r.judging.Room = r.Room
	switch verdict, why := f.Apply(rec, r.judging); verdict {
	case filter.Kept:
		return true, nil
	case filter.Changed:
		n.Changed++
		return true, nil
	case filter.Dropped:
		n.Dropped++
	case filter.Unparseable:
		if n.Unparseable++; !f.Drops() {
			out.Stuck, out.Cursor.Source = why, rec.Offset
		}
	case filter.Outgrown:
		return false, fmt.Errorf("masking fields of the record at offset %d: %w", rec.Offset, record.ErrOverBudget)
	}
	return false, nil
}

// recordOverhead is the most that lengths, deltas and attributes of a record
// take, in bytes.
const recordOverhead = 5 + 1 + 10 + 5 + 5 + 5 + 5

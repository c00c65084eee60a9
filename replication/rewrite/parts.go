package rewrite

import "sluice/kafka/record"

// Split opens a batch that is to become several, which NextPart builds.
func (r *Rebuilder) Split(b record.Batch) error {
	rs, err := r.open(b)
	r.parts = parts{rs: rs, packed: len(b), raw: record.HeaderSize + rs.Size()}
	return err
}

// NextPart builds the next batch of the one that is split, in memory of its own,
// by the job's Filter: from the cursor on, up to job.Until, and of about most
// bytes (0: any), if its records compress as all of them do. A record that is
// larger stands alone. Filtered records may grow: a part takes no more than the
// whole batch did. Done is 1 when nothing is left.
func (r *Rebuilder) NextPart(job Job, most int) (Rebuilt, error) {
	p := &r.parts
	if job.Filter != nil {
		job.MaxBytes = p.raw + recordOverhead
	}
	if most > 0 {
		job.MaxBytes = max(int(int64(most)*int64(p.raw)/int64(p.packed)), 1)
	}
	out := Rebuilt{Cursor: job.Cursor}
	r.builder.Reset()
	whole, err := r.take(&p.rs, &job, &out)
	if err == nil {
		out.Batch, err = r.Codec.Build(nil, p.rs.Header.Attributes&record.AttrCodecMask, &r.builder)
	}
	if whole && err == nil {
		out.Cursor.Skip(&p.rs.Header) // over the offsets after the last record
		out.Done = 1
	}
	if whole || err != nil || out.Stuck != "" {
		r.parts = parts{}
		r.shrink()
	}
	return out, err
}

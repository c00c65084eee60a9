package rewrite

import (
	"iter"

	"sluice/kafka/record"
)

// MergeRoom is the room to merge batches in that are together at most most
// bytes large.
func MergeRoom(most int) int { return min(usualRatio*most, keepMost) }

// Merge builds one batch of the records of several, which have one codec and hold
// a record for each of their offsets, appended to dst[:0] where its capacity
// suffices. It stops before one that cannot be opened, or with which they would
// decompress to more than Room, and tells how many it has taken. Base offset and
// producer are to be set (record.Rewrite).
//
// Batches that are not compressed are not taken to pieces: see
// record.Builder.Join.
func (r *Rebuilder) Merge(batches iter.Seq[record.Batch], dst []byte) (merged record.Batch, taken int, err error) {
	defer r.shrink()
	r.builder.Reset()
	codec := record.CodecNone
	for b := range batches {
		if taken == 0 {
			codec = b.Attributes() & record.AttrCodecMask
		}
		rs, unread := r.open(b)
		if unread != nil || taken > 0 && r.builder.Size()+rs.Size() > r.Room || r.builder.Join(&rs) != nil {
			break
		}
		taken++
	}
	merged, err = r.Codec.Build(dst[:0], codec, &r.builder)
	return merged, taken, err
}

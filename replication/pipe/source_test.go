package pipe_test

import (
	"encoding/binary"

	"pgregory.net/rapid"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/pipe"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
)

// timeOf is the timestamp of a source record: runs of old and young ones.
func timeOf(source int64) int64 {
	if source/3%2 == 1 {
		return tooOld
	}
	return young
}

// fetch hands the node's pipe the next batch of the source.
func (w *model) fetch(t *rapid.T, i int) {
	n := &w.nodes[i]
	if n.pipe == nil || n.pipe.Life() != pipe.Taking || n.pipe.Held() > 1000 {
		return
	}
	if n.fetched < w.first {
		n.pipe.End(recovery.AtSource(recovery.OutOfRange, fsm.CodePositionLost, -1, -1, "out of range"))
		w.ended(i)
		return
	}
	if to, ok := w.gaps[n.fetched]; ok && w.marks[n.fetched] {
		from := n.fetched
		n.fetched = to
		n.pipe.Take(&pipe.Arrival{Records: markersAt(w.codec, from, to), Stable: to, High: to, Memory: kept{}}, w.codec)
		w.ended(i)
		return
	}
	at := w.past(n.fetched)
	for from := range w.marks {
		if n.fetched < from && from < at {
			at = from // what is missing before it comes first
		}
	}
	if at > n.fetched && w.past(at) != at {
		n.fetched = at
		return
	}
	count := int64(rapid.IntRange(1, 4).Draw(t, "records"))
	for k := int64(1); k < count; k++ {
		if w.past(at+k) != at+k || timeOf(at+k) != timeOf(at) {
			count = k
		}
	}
	n.fetched = at + count
	w.seen = max(w.seen, n.fetched)
	n.pipe.Take(&pipe.Arrival{Records: batchAt(w.codec, at, count), Stable: at + count, High: at + count, Memory: kept{}}, w.codec)
	w.ended(i)
}

// batchAt is a batch of the source; each record holds its offset.
func batchAt(r *rewrite.Rebuilder, at, count int64) []byte {
	var b record.Builder
	for k := range count {
		b.Add(&record.Record{Timestamp: timeOf(at + k), Value: binary.BigEndian.AppendUint64(nil, uint64(at+k))})
	}
	batch, err := r.Codec.Build(nil, record.CodecNone, &b)
	if err != nil {
		panic(err)
	}
	batch.SetBaseOffset(at)
	batch.SetLeaderEpoch(0)
	return batch
}

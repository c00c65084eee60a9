package record

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// AbortedTxn is a transaction of which the fetched range holds records that
// must not be read.
type AbortedTxn struct {
	ProducerID  int64
	FirstOffset int64
}

// Aborted tells the batches that a read_committed reader must not show, from
// the list of aborted transactions in a fetch answer. Make one for each
// partition of each answer: the list covers just its batches.
//
// Source: KIP-98, "Consumer" (the brokers' and the Java consumer's rule).
type Aborted struct {
	pending []AbortedTxn // ascending by first offset
	open    []int64      // producer ids whose transaction here ends in an abort
}

// NewAborted takes the list of an answer; it is copied.
func NewAborted(list []AbortedTxn) *Aborted {
	p := slices.Clone(list)
	slices.SortFunc(p, func(a, b AbortedTxn) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	return &Aborted{pending: p}
}

// Skip reports whether the batch belongs to an aborted transaction. It must
// see every batch of the answer, in order, control batches too, of which it
// returns false (they are never data). The error is about a control batch that
// cannot be read.
func (a *Aborted) Skip(c *Codec, b Batch) (bool, error) {
	if len(a.pending) == 0 && len(a.open) == 0 {
		return false, nil
	}
	h := b.Header()
	for len(a.pending) > 0 && a.pending[0].FirstOffset <= h.LastOffset() {
		if id := a.pending[0].ProducerID; !slices.Contains(a.open, id) {
			a.open = append(a.open, id)
		}
		a.pending = a.pending[1:]
	}
	if h.Attributes&AttrControl != 0 {
		m, err := c.ParseMarker(b)
		if err != nil {
			return false, err
		}
		if m == MarkerAbort {
			a.open = slices.DeleteFunc(a.open, func(id int64) bool { return id == h.ProducerID })
		}
		return false, nil
	}
	return h.Attributes&AttrTransactional != 0 && slices.Contains(a.open, h.ProducerID), nil
}

// Marker is the kind of a control batch.
type Marker int16

// The markers that concern us. Logs of Kafka's own quorum hold others.
const (
	MarkerAbort  Marker = 0
	MarkerCommit Marker = 1
)

// maxMarker bounds the size of a control batch's records, in bytes.
const maxMarker = 1 << 16

// ParseMarker reads a control batch's kind: its record's key is a version and
// a type, two int16 (Kafka protocol guide, "Control Batches"). A control batch
// that the cleaner has emptied is a commit, for it ends nothing that is still
// there.
func (c *Codec) ParseMarker(b Batch) (Marker, error) {
	rs, err := c.Open(b, nil, maxMarker)
	if err != nil {
		return 0, fmt.Errorf("reading a control batch: %w", err)
	}
	var rec Record
	switch more, err := rs.Next(&rec); {
	case err != nil:
		return 0, fmt.Errorf("reading a control batch: %w", err)
	case !more:
		return MarkerCommit, nil
	case len(rec.Key) < 4:
		return 0, fmt.Errorf("reading a control batch at offset %d: %w: key of %d bytes", rs.Header.BaseOffset, ErrCorruptBatch, len(rec.Key))
	}
	return Marker(binary.BigEndian.Uint16(rec.Key[2:])), nil
}

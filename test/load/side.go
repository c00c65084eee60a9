package load

import (
	"cmp"
	"context"
	"encoding/binary"
	"hash/maphash"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// side turns the records of one side of a partition into entries.
type side struct {
	reader  *reader
	hasher  *hasher
	compact *compactor // nil: every record counts
	records int64
}

// read returns the next entries; with a compactor none, it keeps them to the end.
func (s *side) read(ctx context.Context) ([]entry, error) {
	recs, err := s.reader.read(ctx)
	if err != nil {
		return nil, err
	}
	s.records += int64(len(recs))
	out := make([]entry, 0, len(recs))
	for _, r := range recs {
		e := entry{offset: r.Offset, hash: s.hasher.record(r)}
		if s.compact != nil {
			s.compact.add(r, e)
			continue
		}
		out = append(out, e)
	}
	return out, nil
}

// hasher hashes records; both sides of a comparison share the seed.
type hasher struct{ h maphash.Hash }

func (c *comparison) hasher() *hasher {
	h := &hasher{}
	h.h.SetSeed(c.seed)
	return h
}

// record hashes all that a copy must keep. Absent and empty are not the same.
func (h *hasher) record(r *kgo.Record) uint64 {
	h.h.Reset()
	h.number(stamp(r))
	h.bytes(r.Key)
	h.bytes(r.Value)
	h.number(int64(len(r.Headers)))
	for _, header := range r.Headers {
		h.bytes([]byte(header.Key))
		h.bytes(header.Value)
	}
	return h.h.Sum64()
}

func (h *hasher) number(n int64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	h.h.Write(b[:])
}

func (h *hasher) bytes(b []byte) {
	if b == nil {
		h.number(-1)
		return
	}
	h.number(int64(len(b)))
	h.h.Write(b)
}

// compactor keeps the last record of each key.
type compactor struct{ last map[string]entry }

func newCompactor() *compactor { return &compactor{last: map[string]entry{}} }

func (c *compactor) add(r *kgo.Record, e entry) {
	if r.Value == nil {
		delete(c.last, string(r.Key))
		return
	}
	c.last[string(r.Key)] = e
}

// entries returns what is left, in the order of the log.
func (c *compactor) entries() []entry {
	var out []entry
	for _, e := range c.last {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b entry) int { return cmp.Compare(a.offset, b.offset) })
	return out
}

// stamp is a record's timestamp in ms since 1970; -1: it has none, as in message
// format 0.
func stamp(r *kgo.Record) int64 {
	if r.Timestamp.IsZero() {
		return -1
	}
	return r.Timestamp.UnixMilli()
}

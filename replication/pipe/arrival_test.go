package pipe

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
	"sluice/test/load"
	"sluice/test/oracle"
)

// cut leaves out the last bytes.
func cut(b []byte, n int) []byte { return b[:len(b)-n] }

// damaged flips a bit of the last record.
func damaged(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-2] ^= 1
	return b
}

// old is messages of a format of before Kafka 0.11: plain ones, or a wrapper.
func old(t oracle.Failer, magic int8, codec record.Attributes, offsets ...int64) []byte {
	return oracle.Old{Magic: magic, Codec: codec, Java: true, Entries: entries(offsets...)}.Encode(t)
}

// format makes a batch one of another format.
func format(b []byte, magic byte) []byte {
	b = bytes.Clone(b)
	b[16] = magic
	return b
}

// TestTake hands each kind of batch to a pipe. A dense one is identical; a
// translated one stands at source 10, target 8.
func TestTake(t *testing.T) {
	none := recovery.Fault{}
	blocked := func(code fsm.Code, from, to int64) recovery.Fault {
		return recovery.AtSource(recovery.Blocked, code, from, to, "*") // whatever the message
	}
	const (
		atMarker    = "a transaction marker takes an offset"
		atAborted   = "an aborted transaction takes offsets"
		atEmptied   = "compaction emptied a batch"
		atOther     = "a batch that another link wrote is not copied back"
		atMissing   = "offsets are missing at the source (compaction)"
		atCompacted = "compaction removed records of a batch"
	)
	identical := mapping(fsm.PhaseDense, seg(0, 0))
	jumping := mapping(fsm.PhaseDense, seg(0, 0), seg(20, 12)) // sources 12 to 19 are a gap that the mapping knows
	translated := mapping(fsm.PhaseTranslated, seg(0, 0), seg(4, 2))
	holes := oracle.Source{Base: 10, Producer: -1, LastDelta: 5, Entries: entries(11, 14)}
	appended := of(data(10, 12), -1, record.AttrLogAppendTime)
	appended.MaxStamp = wall + 5
	wide := data(8, 14)
	wide.Attributes |= record.CodecZstd
	unknown := record.Batch(encoded(t, data(8, 14)))
	unknown.SetAttributes(7)
	unknown.UpdateCRC()
	gap := func(from, to int64, why string) recovery.Fault {
		f := recovery.AtSource(recovery.Gap, fsm.CodeTranslated, from, to, why)
		f.Transaction = why == atMarker || why == atAborted
		return f
	}
	filled := identical
	filled.Filled = true
	bumped := filled
	bumped.Bump = 1
	for _, c := range []struct {
		name    string
		mapping fsm.Mapping
		records []byte
		aborted []record.AbortedTxn
		life    Life
		fault   recovery.Fault
		queue   string
		cursor  rewrite.Cursor
	}{
		{"nothing", identical, nil, nil, Taking, none, "", rewrite.Cursor{Source: 10, Target: 10}},
		{"closed batches", identical, encoded(t, data(10, 12), data(12, 13)), nil, Taking, none, "[10,12)@10: 10 11; [12,13)@12: 12", rewrite.Cursor{Source: 13, Target: 13}},
		{"a resume inside one", identical, encoded(t, data(8, 12), data(12, 13)), nil, Taking, none, "[10,12)@10: 10 11; [12,13)@12: 12", rewrite.Cursor{Source: 13, Target: 13}},
		{"a batch that is done", identical, encoded(t, data(5, 10), data(10, 11)), nil, Taking, none, "[10,11)@10: 10", rewrite.Cursor{Source: 11, Target: 11}},
		{"append time", identical, encoded(t, appended), nil, Taking, none, "[10,12)@10: 10 11", rewrite.Cursor{Source: 12, Target: 12}},
		{"part of a batch behind a whole one", identical, append(encoded(t, data(10, 12)), cut(encoded(t, data(12, 14)), 1)...), nil,
			Taking, none, "[10,12)@10: 10 11", rewrite.Cursor{Source: 12, Target: 12}},
		{"a transaction", identical, encoded(t, of(data(10, 12), 50, record.AttrTransactional), marker(12, 50, record.MarkerCommit)), nil,
			Finishing, gap(12, 13, atMarker), "[10,12)@10: 10 11", rewrite.Cursor{Source: 12, Target: 12}},
		{"a marker alone", identical, encoded(t, marker(10, 50, record.MarkerCommit)), nil, Ended, gap(10, 11, atMarker), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"an aborted transaction", identical, encoded(t, of(data(10, 12), 50, record.AttrTransactional), marker(12, 50, record.MarkerAbort)),
			[]record.AbortedTxn{{ProducerID: 50, FirstOffset: 10}}, Ended, gap(10, 12, atAborted), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"a transaction, filled", filled, encoded(t, of(data(10, 12), 50, record.AttrTransactional), marker(12, 50, record.MarkerCommit), marker(13, 50, record.MarkerCommit), data(14, 15)), nil,
			Taking, none, "[10,12)@10: 10 11; [12,14)@12 filled; [14,15)@14: 14", rewrite.Cursor{Source: 15, Target: 15}},
		{"a transaction, filled, one offset of which is to be taken back", bumped, encoded(t, marker(10, 50, record.MarkerCommit)), nil, Ended, gap(10, 11, atMarker), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"missing offsets before a marker, filled", filled, encoded(t, data(10, 11), marker(12, 50, record.MarkerCommit)), nil, Finishing, gap(11, 12, atMissing), "[10,11)@10: 10", rewrite.Cursor{Source: 11, Target: 11}},
		{"another link's batch, filled", filled, encoded(t, of(data(10, 12), 66, 0)), nil, Ended, gap(10, 12, atOther), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"another link's batch", identical, encoded(t, of(data(10, 12), 66, 0)), nil, Ended, gap(10, 12, atOther), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"an emptied batch", identical, encoded(t, oracle.Source{Base: 10, LastDelta: 3, Producer: -1}), nil, Ended, gap(10, 14, atEmptied), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"missing offsets", identical, encoded(t, data(10, 11), data(15, 16)), nil, Finishing, gap(11, 15, atMissing), "[10,11)@10: 10", rewrite.Cursor{Source: 11, Target: 11}},
		{"a compacted batch", identical, encoded(t, holes), nil, Ended, gap(10, 10, atCompacted), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"nothing is taken behind a gap", identical, encoded(t, marker(10, 50, record.MarkerCommit), data(11, 12)), nil,
			Ended, gap(10, 11, atMarker), "", rewrite.Cursor{Source: 10, Target: 10}},

		{"a gap that the mapping knows", jumping, encoded(t, data(10, 12), marker(12, 50, record.MarkerCommit), data(20, 22)), nil,
			Taking, none, "[10,12)@10: 10 11; [20,22)@12: 20 21", rewrite.Cursor{Source: 22, Target: 14, Shift: -8}},
		{"a gap larger than the one it knows", jumping, encoded(t, data(10, 12), data(23, 24)), nil,
			Finishing, gap(20, 23, atMissing), "[10,12)@10: 10 11", rewrite.Cursor{Source: 20, Target: 12, Shift: -8}},
		{"records before the end of a gap that it knows", jumping, encoded(t, data(10, 12), data(18, 22)), nil,
			Taking, none, "[10,12)@10: 10 11; [20,22)@12: 20 21", rewrite.Cursor{Source: 22, Target: 14, Shift: -8}},

		{"translated, closed", translated, encoded(t, data(10, 12)), nil, Taking, none, "[10,12)@8: 10 11", rewrite.Cursor{Source: 12, Target: 10, Shift: -2}},
		{"translated, a transaction and more", translated,
			encoded(t, of(data(10, 12), 50, record.AttrTransactional), marker(12, 50, record.MarkerCommit), data(13, 14)), nil,
			Taking, none, "[10,12)@8: 10 11; [13,14)@10: 13", rewrite.Cursor{Source: 14, Target: 11, Shift: -3}},
		{"translated, an aborted transaction between", translated,
			encoded(t, of(data(10, 11), 50, record.AttrTransactional), data(11, 12), of(data(12, 13), 50, record.AttrTransactional), marker(13, 50, record.MarkerAbort), of(data(14, 15), 50, record.AttrTransactional)),
			[]record.AbortedTxn{{ProducerID: 50, FirstOffset: 10}}, Taking, none, "[11,12)@8: 11; [14,15)@9: 14", rewrite.Cursor{Source: 15, Target: 10, Shift: -5}},
		{"translated, a compacted batch", translated, encoded(t, holes), nil, Taking, none, "[10,16)@8: 11 14", rewrite.Cursor{Source: 16, Target: 10, Shift: -5}},
		{"translated, a batch that compaction emptied but for what is done", translated, encoded(t, oracle.Source{Base: 8, Producer: -1, LastDelta: 5, Entries: entries(9)}), nil,
			Taking, none, "", rewrite.Cursor{Source: 14, Target: 8, Shift: -2}},

		{"a damaged batch", identical, append(encoded(t, data(10, 12)), damaged(encoded(t, data(12, 15)))...), nil,
			Finishing, blocked(fsm.CodeCorruptBatch, 12, 15), "[10,12)@10: 10 11", rewrite.Cursor{Source: 12, Target: 12}},
		{"a damaged batch that is resumed inside", identical, damaged(encoded(t, data(8, 12))), nil, Ended, blocked(fsm.CodeCorruptBatch, 10, 12), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"a damaged batch that is done", identical, append(damaged(encoded(t, data(8, 10))), encoded(t, data(10, 11))...), nil,
			Taking, none, "[10,11)@10: 10", rewrite.Cursor{Source: 11, Target: 11}},
		{"part of a batch alone", identical, cut(encoded(t, data(10, 12)), 1), nil, Ended, blocked(fsm.CodeCorruptBatch, 10, 11), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"no batch at all", identical, bytes.Repeat([]byte{0xff}, 80), nil, Ended, blocked(fsm.CodeCorruptBatch, 10, 11), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"a format that nobody knows", identical, format(encoded(t, data(10, 12)), 3), nil, Ended, blocked(fsm.CodeUnsupportedFormat, 10, 11), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"a run of a format that nobody knows, and a sound batch", identical, slices.Concat(format(encoded(t, data(10, 12)), 3), format(encoded(t, data(12, 13)), 9), encoded(t, data(13, 14))), nil,
			Ended, blocked(fsm.CodeUnsupportedFormat, 10, 13), "", rewrite.Cursor{Source: 10, Target: 10}},

		{"messages of format 0, then batches", identical, append(old(t, 0, record.CodecNone, 10, 11), encoded(t, data(12, 13))...), nil,
			Taking, none, "[10,12)@10: 10 11; [12,13)@12: 12", rewrite.Cursor{Source: 13, Target: 13}},
		{"messages of format 1, some of which are done", identical, old(t, 1, record.CodecNone, 8, 9, 10, 11), nil,
			Taking, none, "[10,12)@10: 10 11", rewrite.Cursor{Source: 12, Target: 12}},
		{"a wrapper that is resumed inside", identical, old(t, 0, record.CodecLZ4, 8, 9, 10, 11), nil, Taking, none, "[10,12)@10: 10 11", rewrite.Cursor{Source: 12, Target: 12}},
		{"wrappers and messages of both formats", identical, slices.Concat(old(t, 0, record.CodecGzip, 10, 11), old(t, 0, record.CodecNone, 12, 13), old(t, 1, record.CodecNone, 14), old(t, 1, record.CodecSnappy, 15, 16)), nil,
			Taking, none, "[10,12)@10: 10 11; [12,15)@12: 12 13 14; [15,17)@15: 15 16", rewrite.Cursor{Source: 17, Target: 17}},
		{"a wrapper that is done", identical, append(damaged(old(t, 1, record.CodecGzip, 7, 9)), old(t, 1, record.CodecGzip, 9, 10)...), nil,
			Taking, none, "[10,11)@10: 10", rewrite.Cursor{Source: 11, Target: 11}},
		{"part of a message behind a whole one", identical, append(old(t, 1, record.CodecNone, 10), cut(old(t, 1, record.CodecNone, 11), 1)...), nil,
			Taking, none, "[10,11)@10: 10", rewrite.Cursor{Source: 11, Target: 11}},
		{"messages with a gap between", identical, old(t, 1, record.CodecNone, 10, 11, 14), nil, Finishing, gap(12, 14, atMissing), "[10,12)@10: 10 11", rewrite.Cursor{Source: 12, Target: 12}},
		{"a wrapper behind a gap", identical, old(t, 1, record.CodecGzip, 13, 14), nil, Ended, gap(10, 13, atMissing), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"a compacted wrapper", identical, old(t, 0, record.CodecGzip, 10, 12), nil, Ended, gap(10, 10, atCompacted), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"translated, messages with gaps", translated, slices.Concat(old(t, 1, record.CodecNone, 10, 12, 13), old(t, 0, record.CodecSnappy, 15, 18)), nil,
			Taking, none, "[10,11)@8: 10; [12,14)@9: 12 13; [15,19)@11: 15 18", rewrite.Cursor{Source: 19, Target: 13, Shift: -6}},
		{"messages in a gap that the mapping knows", jumping, old(t, 1, record.CodecNone, 10, 11, 12, 19, 20, 21), nil,
			Taking, none, "[10,12)@10: 10 11; [20,22)@12: 20 21", rewrite.Cursor{Source: 22, Target: 14, Shift: -8}},
		{"a damaged message behind others", identical, append(old(t, 1, record.CodecNone, 10, 11), damaged(old(t, 1, record.CodecNone, 12))...), nil,
			Finishing, blocked(fsm.CodeCorruptBatch, 12, 13), "[10,12)@10: 10 11", rewrite.Cursor{Source: 12, Target: 12}},
		{"a damaged wrapper, which does not tell where it begins", identical, append(old(t, 1, record.CodecNone, 10), damaged(old(t, 1, record.CodecGzip, 11, 12, 13))...), nil,
			Finishing, blocked(fsm.CodeCorruptBatch, 11, 14), "[10,11)@10: 10", rewrite.Cursor{Source: 11, Target: 11}},
		{"a damaged batch before a wrapper", identical, append(damaged(encoded(t, data(10, 12))), old(t, 1, record.CodecGzip, 12, 13, 14)...), nil,
			Ended, blocked(fsm.CodeCorruptBatch, 10, 12), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"a wrapper of what nobody can read", identical, oracle.Message(oracle.Entry{Offset: 13, Timestamp: wall, Value: []byte("no gzip")}, 1, byte(record.CodecGzip)), nil,
			Ended, blocked(fsm.CodeCorruptBatch, 10, 14), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"a wrapper over the budget", identical, old(t, 1, record.CodecGzip, 8, 9, 10, 11), nil, Ended, blocked(fsm.CodeOverBudget, 10, 12), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"a codec that nobody knows, where the batch has to be opened", identical, unknown, nil, Ended, blocked(fsm.CodeCorruptBatch, 10, 14), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"over the budget", identical, encoded(t, wide), nil, Ended, blocked(fsm.CodeOverBudget, 10, 14), "", rewrite.Cursor{Source: 10, Target: 10}},
		{"a marker that cannot be read, where it matters", translated,
			encoded(t, oracle.Source{Base: 10, Producer: 50, Attributes: record.AttrTransactional | record.AttrControl, Entries: entries(10)}),
			[]record.AbortedTxn{{ProducerID: 50, FirstOffset: 9}}, Ended, blocked(fsm.CodeCorruptBatch, 10, 11), "", rewrite.Cursor{Source: 10, Target: 8, Shift: -2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := int64(10)
			if c.mapping.Phase == fsm.PhaseTranslated {
				target = 8
			}
			p := begin(c.mapping, 10, target)
			p.skip = map[int64]bool{66: true}
			if c.fault.Code == fsm.CodeOverBudget {
				p.maxOpened = 20
			}
			memory := &counted{}
			p.Coming(len(c.records))
			take(p, memory, bytes.Clone(c.records), c.aborted...)
			sound(t, p)
			if p.Held() != p.out.queued {
				t.Errorf("%d bytes held, %d wait", p.Held(), p.out.queued)
			}
			fault := p.Result().Fault
			if c.fault.Message == "*" && fault.Message != "" {
				fault.Message = "*"
			}
			if p.Life() != c.life || fault != c.fault {
				t.Errorf("%s with the fault %+v (%s), want %s with %+v", p.Life(), fault, p.Result().Fault.Message, c.life, c.fault)
			}
			if got := queue(t, p); got != c.queue {
				t.Errorf("waits: %s, want %s", got, c.queue)
			}
			if p.in.cursor != c.cursor {
				t.Errorf("cursor %+v, want %+v", p.in.cursor, c.cursor)
			}
			if memory.held != strings.Count(c.queue, ": ") {
				t.Errorf("memory is held %d times for %d batches", memory.held, p.out.queue.len())
			}
			if p.Life() == Finishing {
				drain(t, p)
				if p.Life() != Ended || !p.Over() {
					t.Errorf("%s when all before the fault is acknowledged", p.Life())
				}
			}
		})
	}
}

// TestAppendTimeIsKept: the target would drop the one true timestamp, so each
// record gets it.
func TestAppendTimeIsKept(t *testing.T) {
	s := of(data(10, 12), -1, record.AttrLogAppendTime)
	s.MaxStamp = wall + 5
	p := begin(mapping(fsm.PhaseDense, seg(0, 0)), 10, 10)
	take(p, &counted{}, encoded(t, s))
	rb, es := oracle.Decode(t, p.out.queue.at(0).batch)
	if rb.Attributes != 0 || es[0].Timestamp != wall+5 || es[1].Timestamp != wall+5 {
		t.Errorf("attributes %d, records %+v", rb.Attributes, es)
	}
}

// TestSegmentsAreHandedOnWithTheirBatches: those of a translated stream become
// known when their batch is acknowledged, and are handed over once.
func TestSegmentsAreHandedOnWithTheirBatches(t *testing.T) {
	p := begin(mapping(fsm.PhaseTranslated, seg(0, 0)), 10, 10)
	take(p, &counted{}, encoded(t, data(10, 11), data(13, 14), oracle.Source{Base: 14, Producer: -1, LastDelta: 5, Entries: entries(15, 18)}))
	if got := queue(t, p); got != "[10,11)@10: 10; [13,14)@11: 13; [14,20)@12: 15 18" {
		t.Fatal(got)
	}
	for i, want := range [][]fsm.Segment{nil, {seg(13, 11)}, {seg(15, 12), seg(18, 13)}} {
		pop(t, p)
		p.Acknowledged(p.out.inFlight.at(0).sum.Target, at())
		if _, got := p.Checkpoint(); !slices.Equal(got, want) {
			t.Errorf("batch %d: %v, want %v", i, got, want)
		}
		if _, again := p.Checkpoint(); len(again) > 0 {
			t.Errorf("batch %d: handed over twice: %v", i, again)
		}
	}
}

// TestPassesWhatHoldsNothing: a translated stream counts source offsets
// without a record as done once all before them is; a dense one crosses none.
func TestPassesWhatHoldsNothing(t *testing.T) {
	p := begin(mapping(fsm.PhaseTranslated, seg(0, 0)), 10, 10)
	take(p, &counted{}, encoded(t, marker(10, 50, record.MarkerCommit)))
	if got := p.Result().Progress; got.Source != 11 || got.Target != 10 || got.SourceEpoch != 4 {
		t.Errorf("a marker alone: %+v", got)
	}
	take(p, &counted{}, encoded(t, data(11, 12), marker(12, 50, record.MarkerCommit)))
	if got := p.Result().Progress; got.Source != 11 {
		t.Errorf("a marker behind what is not acknowledged: %+v", got)
	}
	drain(t, p)
	if got := p.Result().Progress; got.Source != 13 || got.Target != 11 || got.Records != 1 {
		t.Errorf("and acknowledged: %+v", got)
	}
}

// TestTakesNothingOnceItEnds: neither while it finishes.
func TestTakesNothingOnceItEnds(t *testing.T) {
	p := begin(mapping(fsm.PhaseDense, seg(0, 0)), 10, 10)
	take(p, &counted{}, encoded(t, data(10, 11), marker(11, 50, record.MarkerCommit)))
	memory := &counted{}
	take(p, memory, encoded(t, data(12, 13)))
	if got := queue(t, p); got != "[10,11)@10: 10" || memory.held != 0 || p.Wants(false) {
		t.Errorf("finishing: %s waits, memory held %d times, wants more: %v", got, memory.held, p.Wants(false))
	}
	p.End(recovery.Faulty(recovery.Retry, fsm.CodeHandover, "stopped"))
	take(p, memory, encoded(t, data(11, 12)))
	if memory.held != 0 || p.Wants(false) || p.Sendable() {
		t.Errorf("ended: memory held %d times, wants more: %v, sendable: %v", memory.held, p.Wants(false), p.Sendable())
	}
	sound(t, p)
}

// TestWants: where memory is short only a pipe that holds nothing gets more,
// and a full one never does.
func TestWants(t *testing.T) {
	for _, c := range []struct {
		held         int
		ample, short bool
	}{
		{0, true, true}, {1, true, false}, {MaxHeld - 1, true, false}, {MaxHeld, false, false},
	} {
		p := begin(mapping(fsm.PhaseDense, seg(0, 0)), 0, 0)
		p.Coming(c.held)
		if got := p.Wants(false); got != c.ample {
			t.Errorf("%d bytes held: %v", c.held, got)
		}
		if got := p.Wants(true); got != c.short {
			t.Errorf("%d bytes held, memory short: %v", c.held, got)
		}
	}
}

// TestDamagedBatchEndsWhereTheNextBegins: a header whose bytes are damaged may
// name any end; going on there would skip sound records.
func TestDamagedBatchEndsWhereTheNextBegins(t *testing.T) {
	batch := func(first int64) record.Batch {
		b := record.Batch(load.Batch([]*kgo.Record{{Value: []byte("one")}, {Value: []byte("two")}, {Value: []byte("three")}}))
		b.SetBaseOffset(first)
		return b
	}
	const lastOffsetDelta, value = 23, 70 // positions in a batch of format 2
	wild, flipped, next := batch(10), batch(10), batch(13)
	wild[lastOffsetDelta] = 0x40
	flipped[value] ^= 1
	broken := batch(13)
	broken[value] ^= 1
	for _, c := range []struct {
		name string
		b    record.Batch
		rest []byte
		want int64
	}{
		{"wild end, a sound batch behind", wild, next, 13},
		{"wild end, nothing behind", wild, nil, 11},
		{"wild end, part of a batch behind", wild, next[:40], 11},
		{"wild end, a damaged batch behind", wild, broken, 11},
		{"damaged value, nothing behind", flipped, nil, 13},
		{"damaged value, compacted records behind", flipped, batch(20), 20},
	} {
		if c.b.VerifyCRC() == nil {
			t.Fatalf("%s: the batch is sound", c.name)
		}
		if got := damagedEnd(c.b, c.rest); got != c.want {
			t.Errorf("%s: ends at %d, want %d", c.name, got, c.want)
		}
	}
}

package pipe

import (
	"fmt"
	"testing"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
	"sluice/test/oracle"
)

// large is how many bytes a merged batch of these tests may have.
const large = 64 << 10

// merge merges what waits of a pipe, and tells how often its memory is held.
func merge(p *Pipe, most int) *counted {
	own := &counted{}
	p.Merge(most, rewrite.NewRebuilder(), func(int) Memory { return own })
	return own
}

// TestMerge: what may go as one batch, and what not.
func TestMerge(t *testing.T) {
	identical := mapping(fsm.PhaseDense, seg(0, 0))
	jumping := mapping(fsm.PhaseDense, seg(0, 0), seg(13, 12))
	translated := mapping(fsm.PhaseTranslated, seg(0, 0))
	filled := identical
	filled.Filled = true
	wide := data(12, 13)
	wide.Entries[0].Value = make([]byte, large/smallest)
	moved := record.Batch(encoded(t, data(12, 13)))
	moved.SetLeaderEpoch(5)
	for _, c := range []struct {
		name    string
		mapping fsm.Mapping
		records []byte
		most    int
		singly  int64
		queue   string
	}{
		{"neighbours", identical, encoded(t, data(10, 12), data(12, 13), data(13, 15)), large, 0, "[10,15)@10: 10 11 12 13 14"},
		{"one alone", identical, encoded(t, data(10, 12)), large, 0, "[10,12)@10: 10 11"},
		{"one is begun in the middle", identical, encoded(t, data(8, 12), data(12, 13)), large, 0, "[10,13)@10: 10 11 12"},
		{"of two producers", identical, encoded(t, of(data(10, 12), 50, record.AttrTransactional), of(data(12, 13), 51, 0)), large, 0, "[10,13)@10: 10 11 12"},
		{"of one codec", identical, encoded(t, of(data(10, 12), -1, record.CodecLZ4), of(data(12, 13), -1, record.CodecLZ4)), large, 0, "[10,13)@10: 10 11 12"},
		{"another codec", identical, encoded(t, data(10, 11), data(11, 12), of(data(12, 13), -1, record.CodecLZ4)), large, 0, "[10,12)@10: 10 11; [12,13)@12: 12"},
		{"a large one behind", identical, encoded(t, data(10, 11), data(11, 12), wide, data(13, 14)), large, 0, "[10,12)@10: 10 11; [12,13)@12: 12; [13,14)@13: 13"},
		{"a large one first", identical, encoded(t, wide, data(13, 14)), large, 0, "[12,13)@12: 12; [13,14)@13: 13"},
		{"more than go into one", identical, encoded(t, data(10, 11), data(11, 12), data(12, 13)), 16 * len(encoded(t, data(10, 11))), 0, "[10,13)@10: 10 11 12"},
		{"none is small beside what is made", identical, encoded(t, data(10, 11), data(11, 12)), 16*len(encoded(t, data(10, 11))) - 1, 0, "[10,11)@10: 10; [11,12)@11: 11"},
		{"the source had another leader", identical, append(encoded(t, data(10, 11), data(11, 12)), moved...), large, 0, "[10,12)@10: 10 11; [12,13)@12: 12"},
		{"a gap that a filler takes", filled, encoded(t, data(10, 11), data(11, 12), marker(12, 50, record.MarkerCommit), data(13, 14)), large, 0, "[10,12)@10: 10 11; [12,13)@12 filled; [13,14)@13: 13"},
		{"a gap that the mapping knows", jumping, encoded(t, data(10, 11), data(11, 12), data(13, 14)), large, 0, "[10,12)@10: 10 11; [13,14)@12: 13"},
		{"a gap of a translated stream", translated, encoded(t, data(10, 11), data(11, 12), data(13, 14)), large, 0, "[10,12)@10: 10 11; [13,14)@12: 13"},
		{"a gap inside a batch", translated, encoded(t, data(10, 11), data(11, 12), oracle.Source{Base: 12, Producer: -1, LastDelta: 3, Entries: entries(12, 15)}), large, 0, "[10,12)@10: 10 11; [12,16)@12: 12 15"},
		{"what was refused as one", identical, encoded(t, data(10, 11), data(11, 12)), large, 12, "[10,11)@10: 10; [11,12)@11: 11"},
		{"behind what was refused", identical, encoded(t, data(10, 11), data(11, 12)), large, 10, "[10,12)@10: 10 11"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := max(10, record.Batch(c.records).BaseOffset())
			p := begin(c.mapping, from, from)
			p.singly = c.singly
			memory := &counted{}
			take(p, memory, c.records)
			before := p.out.queue.len()
			own := merge(p, c.most)
			if got := queue(t, p); got != c.queue {
				t.Errorf("waits: %s, want %s", got, c.queue)
			}
			sound(t, p)
			fills := 0
			for _, it := range p.out.queue.all() {
				if it.fill > 0 {
					fills++
				}
			}
			if merged := before > p.out.queue.len(); own.held == 1 != merged || memory.held+own.held != p.out.queue.len()-fills {
				t.Errorf("%d batches wait, memory of the answer is held %d times, its own %d times", p.out.queue.len(), memory.held, own.held)
			}
			if c.mapping.Filled {
				return
			}
			drain(t, p)
			if memory.held+own.held != 0 {
				t.Error("all is acknowledged, and memory is held")
			}
		})
	}
}

// TestMergedIsJudged like a batch that came so: it is sent by the rules of its
// first part, and what follows it by those of its youngest, which decides when the
// broker forgets us.
func TestMergedIsJudged(t *testing.T) {
	for _, c := range []struct {
		name       string
		first, two int64 // age in ms
		route      Route
	}{
		{"old before young", 2 * expiration, 0, Unguarded},
		{"young before old", 0, 2 * expiration, Guarded},
	} {
		p := begin(mapping(fsm.PhaseDense, seg(0, 0)), 0, 0)
		take(p, &counted{}, encoded(t, aged(0, c.first), aged(1, c.two), aged(2, 0)))
		if v := p.Next(at(), wall, always); v != Ready || p.Route() != c.route {
			t.Fatalf("%s: %s on the %s route", c.name, v, p.Route())
		}
		p.out.queue.at(2).epoch++ // it stays apart
		merge(p, large)
		p.Pop(at())
		if got := p.out.guard.last; got != wall {
			t.Errorf("%s: the predecessor counts as of %d, the youngest is of %d", c.name, got, wall)
		}
		p.Acknowledged(0, at())
		if v := p.Next(at(), wall, always); v != Ready || p.Route() != Guarded {
			t.Errorf("%s: behind it %s on the %s route", c.name, v, p.Route())
		}
		sound(t, p)
	}
}

// TestMergedAcknowledged: all records of the parts count, and the source offset is
// that behind the last.
func TestMergedAcknowledged(t *testing.T) {
	p := filled(t, 9)
	merge(p, large)
	pop(t, p)
	if records, bytes := p.Acknowledged(0, at()); records != 9 || bytes == 0 {
		t.Errorf("%d records of %d bytes", records, bytes)
	}
	if got := p.Result().Progress; got.Source != 9 || got.Target != 9 || got.Records != 9 {
		t.Errorf("progress %+v", got)
	}
	sound(t, p)
}

// TestMergedRefused: what a broker refuses for good of several batches that went
// as one is found by sending each as it came, so that no stop and no gap names
// more than the one that is refused.
func TestMergedRefused(t *testing.T) {
	refused := recovery.Faulty(recovery.Blocked, fsm.CodeTimestampRefused, "why")
	p := filled(t, 3)
	own := merge(p, large)
	pop(t, p)
	p.Refused(refused)
	r := p.Result()
	if r.Fault.Kind != recovery.Retry || r.Fault.Range != recovery.None() || r.Singly != 3 || own.held != 0 {
		t.Fatalf("%+v, singly up to %d, memory is held %d times", r.Fault, r.Singly, own.held)
	}
	m := r.Remember(recovery.Memory{})
	p = New(Start{
		Mapping: mapping(fsm.PhaseDense, seg(0, 0)), Position: recovery.Position{LastTime: wall}, Expiration: expiration, Guarded: true, Seen: at(), Singly: m.Singly,
	})
	take(p, &counted{}, encoded(t, aged(0, 0), aged(1, 0), aged(2, 0), aged(3, 0), aged(4, 0)))
	for base := range int64(3) {
		merge(p, large)
		pop(t, p)
		if base < 2 {
			p.Acknowledged(base, at())
		}
	}
	p.Refused(refused)
	if got := p.Result().Fault; got.Kind != recovery.Blocked || got.Range != (recovery.Range{From: 2, To: 3}) {
		t.Errorf("one by one: %+v", got)
	}
}

// TestMergedTooLarge: a target that takes no batch of that size gets smaller ones.
func TestMergedTooLarge(t *testing.T) {
	p := filled(t, 40)
	merge(p, large)
	pop(t, p)
	size := len(p.out.inFlight.at(0).batch)
	p.Refused(recovery.Faulty(recovery.Blocked, fsm.CodeRecordTooLarge, "why"))
	r := p.Result()
	if r.Fault.Kind != recovery.TooLarge || r.Fault.Fits != size/2 || r.Singly != 0 {
		t.Fatalf("%+v, singly up to %d", r.Fault, r.Singly)
	}
	p = filled(t, 40)
	p.maxBatch = r.Fault.Fits
	merge(p, large)
	if next := p.out.queue.at(0); !next.merged || len(next.batch) > size/2 {
		t.Errorf("%d bytes after a refusal of %d: %+v", len(next.batch), size, next.sum)
	}
}

// TestMergedLost: a lost answer about what was merged is settled by the
// log's end alone, as about any batch.
func TestMergedLost(t *testing.T) {
	p := filled(t, 3)
	merge(p, large)
	pop(t, p)
	p.Refused(recovery.Fault{Kind: recovery.Unsure, Range: recovery.None(), Perhaps: true})
	r := p.Result()
	if fmt.Sprint(r.Unacked) != fmt.Sprint([]recovery.Batch{{Target: 0, Count: 3, Next: 3}}) || r.Singly != 0 || r.Fault.Kind != recovery.Unsure {
		t.Errorf("%+v", r)
	}
}

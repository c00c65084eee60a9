package pipe

import (
	"testing"

	"sluice/fsm"
	"sluice/replication/filter"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
	"sluice/test/oracle"
)

// filtering begins a pipe whose stream has a filter.
func filtering(t *testing.T, policy string) *Pipe {
	t.Helper()
	f, err := filter.Compile(&fsm.Filter{Keep: `value.keep`, Mask: []string{"a"}, OnUnparseable: policy}, "")
	if err != nil {
		t.Fatal(err)
	}
	p := begin(mapping(fsm.PhaseTranslated, seg(10, 8)), 10, 8)
	p.filter = f
	return p
}

// values are records from an offset on.
func values(base int64, list ...string) oracle.Source {
	s := oracle.Source{Base: base, Producer: -1}
	for i, v := range list {
		s.Entries = append(s.Entries, oracle.Entry{Offset: base + int64(i), Timestamp: wall, Key: []byte{'k', byte('a' + i)}, Value: []byte(v)})
	}
	return s
}

const (
	yes     = `{"keep":true,"a":1}`
	no      = `{"keep":false}`
	neither = `?`
)

// TestFiltered: batches of a filtered stream are opened although they could pass,
// and what the filter did counts once what stands before is acknowledged.
func TestFiltered(t *testing.T) {
	p := filtering(t, fsm.UnparseableDrop)
	take(p, &counted{}, encoded(t, values(10, no, yes, neither, yes), values(14, no, no)))
	sound(t, p)
	if got := queue(t, p); got != "[11,14)@8: b d" && got != "[10,14)@8: b d" {
		t.Errorf("waits: %s", got)
	}
	if p.in.cursor.Source != 16 || p.in.cursor.Target != 10 {
		t.Errorf("cursor %+v", p.in.cursor)
	}
	_, es := oracle.Decode(t, p.out.queue.at(0).batch)
	if string(es[0].Value) != `{"keep":true,"a":0}` {
		t.Errorf("sent %s", es[0].Value)
	}
	pop(t, p)
	if n := p.Status().Filtered; n != (filter.Counts{}) {
		t.Errorf("counted before anything is acknowledged: %+v", n)
	}
	p.Acknowledged(8, at())
	if n, want := p.Status().Filtered, (filter.Counts{Dropped: 3, Changed: 2, Unparseable: 1}); n != want || p.Result().Filtered != want {
		t.Errorf("counted %+v, want %+v", n, want)
	}
	if pos := p.Status().Progress; pos.Source != 16 || pos.Target != 10 {
		t.Errorf("progress %+v: what is left out behind the last record is done with too", pos)
	}
	take(p, &counted{}, encoded(t, values(16, no)))
	if n := p.Status(); n.Filtered.Dropped != 4 || n.Progress.Source != 17 {
		t.Errorf("nothing but what is left out: %+v", n)
	}
}

// TestFilteredStops: the pipe ends in front of a record that cannot be judged,
// once all before it is acknowledged.
func TestFilteredStops(t *testing.T) {
	p := filtering(t, fsm.UnparseableStop)
	take(p, &counted{}, encoded(t, values(10, yes, no, neither, yes)))
	sound(t, p)
	if p.Life() != Finishing || queue(t, p) != "[10,12)@8: a" || p.in.cursor.Source != 12 {
		t.Errorf("%v, waits %s, at %+v", p.Life(), queue(t, p), p.in.cursor)
	}
	pop(t, p)
	p.Acknowledged(8, at())
	f := p.Result().Fault
	if !p.Over() || f.Kind != recovery.Blocked || f.Code != fsm.CodeUnparseable || !f.Source || f.Range != (recovery.Range{From: 12, To: 13}) {
		t.Errorf("%v %+v", p.Life(), f)
	}
	if pos := p.Result().Progress; pos.Source != 12 || pos.Target != 9 {
		t.Errorf("progress %+v", pos)
	}
}

// TestFilteredOnceMoreRoom: a batch that needs more room once its records are
// changed is gone on with where it was.
func TestFilteredOnceMoreRoom(t *testing.T) {
	f, err := filter.Compile(&fsm.Filter{Hash: []string{"a"}, Secret: "${env:S}"}, "0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	p := begin(mapping(fsm.PhaseTranslated, seg(10, 8)), 10, 8)
	p.filter = f
	long := `{"a":[1`
	for range 200 {
		long += ",1"
	}
	a := &Arrival{Records: encoded(t, values(10, `{"a":1}`, `{"a":2}`, long+"]}", `{"a":3}`)), Stable: 99, High: 99, Memory: &counted{}}
	r := rewrite.NewRebuilder()
	room := 0
	for rounds := 0; ; rounds++ {
		r.Room = room
		lent := r
		if room == 0 {
			lent = nil
		}
		if room = p.Take(a, lent); room == 0 {
			break
		}
		if rounds > 20 {
			t.Fatal("it asks for ever")
		}
	}
	sound(t, p)
	n := 0
	for i := range p.out.queue.len() {
		n += int(p.out.queue.at(i).batch.Count())
	}
	if n != 4 || p.out.queue.len() < 2 || p.in.cursor.Source != 14 || p.in.filtered.Changed != 0 {
		t.Errorf("%d records in %d batches, at %+v", n, p.out.queue.len(), p.in.cursor)
	}
}

// TestFilteredSegmentsAreBounded: where every second record is left out, as many
// segments begin; what waits to be handed over stays small, and the newest of them
// are whole.
func TestFilteredSegmentsAreBounded(t *testing.T) {
	p := filtering(t, fsm.UnparseableDrop)
	next := int64(10)
	for range 50 {
		var list []string
		for range 50 {
			list = append(list, yes, no)
		}
		base := p.in.cursor.Target
		take(p, &counted{}, encoded(t, values(next, list...)))
		next += 100
		pop(t, p)
		p.Acknowledged(base, at())
	}
	_, segments := p.Checkpoint()
	if n := len(segments); n > 2*fsm.MaxSegments || n < fsm.MaxSegments/2 {
		t.Errorf("%d segments wait", n)
	}
	for i, s := range segments[len(segments)-100:] {
		if want := next - 2*int64(100-i); s.Source != want {
			t.Fatalf("segment %d from the end begins at %d, want %d", 100-i, s.Source, want)
		}
	}
}

// TestFilteredMerged: what the filter did with records of batches that go as one
// counts together.
func TestFilteredMerged(t *testing.T) {
	p := filtering(t, fsm.UnparseableDrop)
	take(p, &counted{}, encoded(t, values(10, yes, yes), values(12, yes), values(13, yes)))
	p.Merge(1<<20, rewrite.NewRebuilder(), func(int) Memory { return &counted{} })
	sound(t, p)
	if got := queue(t, p); got != "[10,14)@8: a b a a" {
		t.Fatalf("waits: %s", got)
	}
	pop(t, p)
	p.Acknowledged(8, at())
	if n, want := p.Status().Filtered, (filter.Counts{Changed: 4}); n != want {
		t.Errorf("counted %+v, want %+v", n, want)
	}
}

package pipe

import (
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/rewrite"
)

// TestTakeAsksForRoom: Take stops before a batch that has to be opened, says
// what room to try, twice as much where that does not do, and goes on there.
func TestTakeAsksForRoom(t *testing.T) {
	wide := of(data(12, 14), 50, record.CodecZstd|record.AttrLogAppendTime|record.AttrTransactional)
	wide.MaxStamp = wall
	for i := range wide.Entries {
		wide.Entries[i].Value = make([]byte, 2000) // of which little is left
	}
	aborted := of(data(15, 16), 51, record.AttrTransactional)
	records := encoded(t, data(10, 11), marker(11, 51, record.MarkerAbort), wide, marker(14, 50, record.MarkerCommit), aborted, data(16, 17))
	p := begin(mapping(fsm.PhaseTranslated, seg(0, 0)), 10, 10)
	a := &Arrival{
		// The transaction that begins at 9 ends here: what its producer writes later is copied.
		Records: records, Aborted: []record.AbortedTxn{{ProducerID: 51, FirstOffset: 9}}, Stable: 1000, High: 1001, Memory: &counted{},
	}
	p.Coming(len(records))
	r := rewrite.NewRebuilder()
	room := p.Take(a, nil)
	if want := 4 * len(wide.Encode(t)); room != want {
		t.Fatalf("room of %d bytes is to be tried, want %d", room, want)
	}
	if got := queue(t, p); got != "[10,11)@10: 10" || p.Held() != p.out.queued+len(a.Records) {
		t.Fatalf("waits: %s; %d bytes held, of which %d wait and %d are to come", got, p.Held(), p.out.queued, len(a.Records))
	}
	for tries := 0; room > 0; tries++ {
		if tries > 10 {
			t.Fatal("no room is enough")
		}
		r.Room = room
		if next := p.Take(a, r); next != 0 && next != 2*room {
			t.Fatalf("after %d bytes %d are to be tried", room, next)
		} else {
			room = next
		}
	}
	if r.Room < 4000 {
		t.Errorf("4000 bytes were opened in a room of %d", r.Room)
	}
	if got := queue(t, p); got != "[10,11)@10: 10; [12,14)@11: 12 13; [15,16)@13: 15; [16,17)@14: 16" || p.Held() != p.out.queued {
		t.Errorf("waits: %s; %d bytes held, %d wait", got, p.Held(), p.out.queued)
	}
}

// TestRebuiltTakesTheBatchsPlace in memory, or is counted apart where it has
// grown.
func TestRebuiltTakesTheBatchsPlace(t *testing.T) {
	for codec := record.CodecNone; codec <= record.CodecZstd; codec++ {
		s := of(data(8, 14), -1, codec)
		for i := range s.Entries {
			s.Entries[i].Value = make([]byte, 2000)
		}
		records := encoded(t, s, data(14, 15))
		p := begin(mapping(fsm.PhaseDense, seg(0, 0)), 10, 10)
		m := &counted{}
		take(p, m, records)
		if got := queue(t, p); got != "[10,14)@10: 10 11 12 13; [14,15)@14: 14" || m.held != 2 {
			t.Errorf("codec %d: waits: %s, memory is held %d times", codec, got, m.held)
		}
		if &p.out.queue.at(0).batch[0] != &records[0] {
			t.Errorf("codec %d: it fits, and has memory of its own", codec)
		}
	}
}

// TestRebuiltThatHasGrown is counted by itself: the source's encoder looked
// further back than ours.
func TestRebuiltThatHasGrown(t *testing.T) {
	s := data(8, 14)
	noise := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	s.Entries[3].Value, s.Entries[4].Value = noise, noise
	plain := record.Batch(encoded(t, s))
	w, err := zstd.NewWriter(nil, zstd.WithWindowSize(8<<20), zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	if err != nil {
		t.Fatal(err)
	}
	b := record.Batch(w.EncodeAll(plain[record.HeaderSize:], append([]byte(nil), plain[:record.HeaderSize]...)))
	b.SetAttributes(record.CodecZstd)
	b.SetLength()
	b.UpdateCRC()
	p := begin(mapping(fsm.PhaseDense, seg(0, 0)), 10, 10)
	m, own := &counted{}, &counted{}
	apart := 0
	p.Take(&Arrival{Records: b, Memory: m, Apart: func(bytes int) Memory { apart = bytes; return own }}, rewrite.NewRebuilder())
	if got := queue(t, p); got != "[10,14)@10: 10 11 12 13" || m.held != 0 || own.held != 1 {
		t.Fatalf("waits: %s; memory of the answer is held %d times, of its own %d times", got, m.held, own.held)
	}
	if size := len(p.out.queue.at(0).batch); size <= len(b) || apart < size {
		t.Errorf("%d bytes have become %d, counted as %d", len(b), size, apart)
	}
	drain(t, p)
	if own.held != 0 {
		t.Error("it is acknowledged, and counted still")
	}
}

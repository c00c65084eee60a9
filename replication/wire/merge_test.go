package wire

import (
	"testing"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/replication/pipe"
	"sluice/test/oracle"
)

// leasing is a node whose every task a leader has just confirmed.
func leasing(fsm.TaskID, uint64) (time.Duration, bool) { return 0, true }

// TestMergesWhatWaits: small batches that wait when their partition's turn comes
// go as one, in the node's memory, which is given back.
func TestMergesWhatWaits(t *testing.T) {
	c := New(DefaultConfig(), NewBudget(64<<20), leasing)
	p := joined(t, c, "t", 20)
	s := p.senders[pipe.Guarded]
	got := s.pick([]writer{p})
	if len(got) != 1 {
		t.Fatalf("picked %d", len(got))
	}
	_, entries := oracle.Decode(t, record.Batch(got[0].Batch))
	if len(entries) != 20 {
		t.Errorf("%d records go in the first batch, 20 waited", len(entries))
	}
	if used, _ := c.budget.Used(); used < int64(len(got[0].Batch)) || used > 1<<20 {
		t.Errorf("%d bytes are used by a merged batch of %d", used, len(got[0].Batch))
	}
	p.answered(&kafka.ProducedPartition{BaseOffset: 0}, nil)
	if used, _ := c.budget.Used(); used != 0 {
		t.Errorf("%d bytes are used once it is acknowledged", used)
	}
	if st := c.Stats(); st.Records != 20 || st.Batches != 1 {
		t.Errorf("%+v", st)
	}
}

// TestMergesOnlyWithMemory: where it lacks, nothing is waited for.
func TestMergesOnlyWithMemory(t *testing.T) {
	c := New(DefaultConfig(), NewBudget(64<<20), leasing)
	p := joined(t, c, "t", 20)
	if err := c.openers.share.Reserve(t.Context(), 64<<20); err != nil {
		t.Fatal(err)
	}
	if got := p.senders[pipe.Guarded].pick([]writer{p}); len(got) != 1 || record.Batch(got[0].Batch).Count() != 1 {
		t.Errorf("picked %d", len(got))
	}
}

// TestMergesWithinTheRequest: what is made fits beside what stands in the request.
func TestMergesWithinTheRequest(t *testing.T) {
	c := New(DefaultConfig(), NewBudget(64<<20), leasing)
	p := joined(t, c, "t", 200)
	size, s := p.pipe.NextSize(), p.senders[pipe.Guarded]
	s.pick(nil)
	room := 50 * size
	part, ok := p.pop(s, room, false)
	if n := record.Batch(part.Batch).Count(); !ok || n < 40 || len(part.Batch) > room {
		t.Errorf("%d records, %d bytes in a room of %d", n, len(part.Batch), room)
	}
}

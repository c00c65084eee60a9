package pipe_test

import (
	"errors"
	"fmt"
	"slices"

	"sluice/replication/recovery"
)

// Timestamps of the model: a batch is young, and keeps its producer's state
// alive, or old, and lets it expire.
const (
	tooOld     = int64(0)
	young      = int64(1_000_000)
	expiration = int64(100_000) // ms after which a broker forgets an idle producer
)

// sequences is how many there are before they begin anew.
const sequences = int64(1) << 31

var errSequence, errEpoch, errSize = errors.New("out of order sequence"), errors.New("old epoch"), errors.New("too large")

// modelBatch stands in the log of the model, or is on its way there.
type modelBatch struct {
	pid    int64
	epoch  int16
	seq    int32
	count  int32
	time   int64
	base   int64 // where it stands
	source int64 // of its first record; foreign ones: -1, a filler's: -2
	lead   int32 // leader epoch in which it was appended
	born   int   // its number among the requests sent
}

func (b modelBatch) lastSeq() int32 { return int32((int64(b.seq) + int64(b.count) - 1) % sequences) }

// modelBroker appends as a broker does (Kafka 4.3.1, ProducerAppendInfo).
type modelBroker struct {
	start int64
	most  int32 // records of a batch, all of them are of a size; 0: any
	log   []modelBatch
	state map[int64][]modelBatch // the last five of each producer id in its epoch

	lead  int32 // leader epoch
	fence int   // of the filler: whoever has a lower one is fenced
	begun bool  // its transaction has records and no marker yet
}

// fillWith appends a filler's records, or the marker that ends its transaction.
func (k *modelBroker) fillWith(count int64, marker bool) {
	k.begun = !marker
	k.log = append(k.log, modelBatch{pid: fillerID, count: int32(count), base: k.end(), source: fillerID, lead: k.lead})
}

// fenceFiller ends what the filler before had begun, and returns what the new one
// shows.
func (k *modelBroker) fenceFiller() int {
	if k.begun {
		k.fillWith(1, true)
	}
	k.fence++
	return k.fence
}

func (k *modelBroker) end() int64 {
	if n := len(k.log); n > 0 {
		return k.log[n-1].base + int64(k.log[n-1].count)
	}
	return k.start
}

func (k *modelBroker) append(b modelBatch) (int64, error) {
	if k.most > 0 && b.count > k.most { // before anything else is looked at
		return -1, errSize
	}
	if known := k.state[b.pid]; len(known) > 0 {
		last := known[len(known)-1]
		switch {
		case b.epoch < last.epoch:
			return -1, errEpoch
		case b.epoch > last.epoch && b.seq != 0:
			return -1, errSequence
		case b.epoch == last.epoch:
			for _, r := range known {
				if r.seq == b.seq && r.count == b.count {
					return r.base, nil
				}
			}
			if int64(b.seq) != (int64(last.lastSeq())+1)%sequences {
				return -1, errSequence
			}
		}
	}
	b.base, b.lead = k.end(), k.lead
	k.log = append(k.log, b)
	k.remember(b)
	return b.base, nil
}

func (k *modelBroker) remember(b modelBatch) {
	known := k.state[b.pid]
	if len(known) > 0 && known[0].epoch != b.epoch {
		known = nil
	}
	known = append(slices.Clip(known), b)
	k.state[b.pid] = known[max(0, len(known)-5):]
}

// expire is the expiry check.
func (k *modelBroker) expire() {
	for pid, known := range k.state {
		if known[len(known)-1].time == tooOld {
			delete(k.state, pid)
		}
	}
}

// lose is an unclean election: only n batches are left, and the state that
// the log tells of.
func (k *modelBroker) lose(n int) {
	k.log, k.lead = k.log[:n:n], k.lead+1
	k.state = map[int64][]modelBatch{}
	for _, b := range k.log {
		if b.source != fillerID {
			k.remember(b)
		}
	}
}

// epochEnd is where a leader epoch ended.
func (k *modelBroker) epochEnd(epoch int32) int64 {
	for _, b := range k.log {
		if b.lead > epoch {
			return b.base
		}
	}
	return k.end()
}

// read is what an owner reads of the partition.
func (k *modelBroker) read(pid int64) recovery.Observed {
	o := recovery.Observed{LogStart: k.start, LogEnd: k.end()}
	if known := k.state[pid]; len(known) > 0 {
		l := known[len(known)-1]
		o.Producer = &recovery.Producer{Epoch: l.epoch, LastSequence: l.lastSeq(), LastTimestamp: l.time}
		return o
	}
	if n := len(k.log); n > 0 {
		l := k.log[n-1]
		o.Tail = &recovery.Tail{ProducerID: l.pid, Epoch: l.epoch, BaseOffset: l.base, BaseSequence: l.seq, Count: l.count, MaxTimestamp: l.time, LastOffset: l.base + int64(l.count) - 1, Transactional: l.source == fillerID}
	}
	return o
}

// check is the invariant: our records stand in the log in order, each once,
// and none is missing but those that a mapping change skipped.
func (k *modelBroker) check(first int64, skipped map[int64]bool) error {
	next := first
	for _, b := range k.log {
		if b.source < 0 {
			continue
		}
		for ; next < b.source && skipped[next]; next++ {
		}
		if b.source != next {
			return fmt.Errorf("at target %d stands source %d, want %d", b.base, b.source, next)
		}
		next = b.source + int64(b.count)
	}
	return nil
}

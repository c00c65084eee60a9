package remedies

import (
	"fmt"
	"os"
	"testing"
	"time"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/test/kafkalab"
	"sluice/test/load"
	"sluice/test/oracle"
)

// restarts holds what stops brokers.
func restarts(t *testing.T, l *lab) {
	t.Run("unreachable target", func(t *testing.T) { unreachable(t, l, l.dst) })
	t.Run("unreachable source", func(t *testing.T) { unreachable(t, l, l.src) })
	sourceLogs(t, l)
	targetLogs(t, l)
}

// unreachable kills a side's only broker.
func unreachable(t *testing.T, l *lab, c *kafkalab.Cluster) {
	w, r := l.copied5(t, link{})
	if err := c.KillBroker(0); err != nil {
		t.Fatal(err)
	}
	if c == l.dst {
		w.produce(t, 3)
	}
	w.state(t, r, fsm.CodeUnreachable)
	if err := c.StartBroker(within(t, 2*time.Minute), 0); err != nil {
		t.Fatal(err)
	}
	w.produce(t, 2)
	w.holds(t, 0, [2]int{0, w.made})
	w.goesOnIdentically(t)
	w.othersGoOn(t)
	w.none(t, fsm.CodeTargetLostAcked, fsm.CodeForeignWriter)
}

// cut is the start of a partition's log, up to an offset at which a batch
// begins.
func cut(t *testing.T, c *kafkalab.Cluster, topic string, end int64) []byte {
	t.Helper()
	b, err := os.ReadFile(segment(c, topic))
	if err != nil {
		t.Fatal(err)
	}
	for rest := b; ; {
		batch, more, err := record.NextBatch(rest)
		if err != nil || batch == nil {
			t.Fatalf("no batch of %s begins at %d: %v", topic, end, err)
		}
		if batch.BaseOffset() == end {
			return b[:len(b)-len(rest)]
		}
		rest = more
	}
}

// sourceLogs replaces logs of the source, all in one stop: two lose their end,
// two are of message formats that no producer writes any more, one is a lie.
func sourceLogs(t *testing.T, l *lab) {
	var lost [3]*world
	logs := map[string][]byte{}
	for i := range lost {
		w, r := l.copied5(t, link{})
		w.produce(t, 5)
		w.acked(t, r, 10)
		r.Checkpoint(t, r.Runner)
		if i == 2 { // it comes back when the source has grown again
			r.Close()
		}
		logs[w.topic+"-0"] = cut(t, l.src, w.topic, 6)
		lost[i] = w
	}
	var old [2]*world
	for magic := range old {
		old[magic] = l.world(t, link{source: map[string]string{"retention.ms": "-1"}})
		logs[old[magic].topic+"-0"] = old[magic].oldFormat(t, int8(magic))
	}
	lying := l.world(t, link{source: map[string]string{"retention.ms": "-1"}})
	logs[lying.topic+"-0"] = lying.manyTold(t)
	later, r := l.copied5(t, link{})
	end := later.begin(t, 2, true)
	if err := l.src.ReplaceLogs(within(t, 2*time.Minute), 0, logs); err != nil {
		t.Fatal(err)
	}
	t.Run("together at the source", func(t *testing.T) {
		t.Run("source truncated, continue", func(t *testing.T) { t.Parallel(); sourceTruncated(t, lost[0]) })
		t.Run("source truncated, recopy", func(t *testing.T) { t.Parallel(); sourceTruncatedRecopy(t, lost[1]) })
		t.Run("source truncated and grown", func(t *testing.T) { t.Parallel(); sourceRegrown(t, lost[2]) })
		t.Run("marker of a later leader epoch", func(t *testing.T) { t.Parallel(); end(); laterMarker(t, later, r) })
		for magic, w := range old {
			t.Run(fmt.Sprintf("message format %d", magic), func(t *testing.T) { t.Parallel(); oldFormats(t, w) })
		}
		t.Run("more records told than there are", func(t *testing.T) { t.Parallel(); manyTold(t, lying) })
	})
}

func truncatedStop() fsm.Stop { return fsm.Stop{Code: fsm.CodeSourceTruncated, From: 6, To: 10} }

// sourceTruncated: the records copied stay; what the source has behind the
// place where it lost some follows them.
func sourceTruncated(t *testing.T, w *world) {
	w.stopped(t, truncatedStop())
	w.retryStops(t, truncatedStop())
	w.produce(t, 2) // "value 10." at offset 6
	w.order(t, fsm.OrderContinue)
	w.holds(t, 0, [2]int{0, 12})
	w.event(t, fsm.CodeNewSegment, 6, 10)
	w.produce(t, 2)
	w.holds(t, 0, [2]int{0, 14})
	w.same(t, shiftedFrom(4, 6))
}

func sourceTruncatedRecopy(t *testing.T, w *world) {
	w.stopped(t, truncatedStop())
	w.made = 6
	w.produce(t, 2)
	w.order(t, fsm.OrderRecopy)
	w.recreate(t, true)
	w.holds(t, 0, [2]int{0, 8})
	w.event(t, fsm.CodeRecopied, 0, -1)
	w.goesOnIdentically(t)
}

// sourceRegrown: other records stand where the lost ones did.
func sourceRegrown(t *testing.T, w *world) {
	w.made = 20
	w.produce(t, 6)
	w.own(t, 2)
	w.stopped(t, truncatedStop())
	w.retryStops(t, truncatedStop())
	w.order(t, fsm.OrderContinue)
	w.holds(t, 0, [2]int{0, 10}, [2]int{20, 26})
}

// laterMarker: a gap is filled by a batch of a later leader epoch than the
// record before it. Nothing diverges there.
func laterMarker(t *testing.T, w *world, r *runner) {
	w.acked(t, r, 8)
	w.event(t, fsm.CodeTranslated, 7, 8)
	w.handOver(t, r)
	r = w.own(t, 2)
	w.transaction(t, 1, false) // ends in a gap too
	w.acked(t, r, 10)
	w.handOver(t, r)
	if p := w.task().Copy.Progress; p.Source != 10 || p.SourceEpoch < 1 {
		t.Errorf("progress %+v", p)
	}
	w.own(t, 3)
	w.produce(t, 2)
	w.holds(t, 0, [2]int{0, 9})
	w.none(t, fsm.CodeSourceTruncated)
	w.same(t, load.Options{IgnoreOffsets: true})
}

// oldFormat is a log of messages of a format of before Kafka 0.11: some plain,
// some in a wrapper of each codec.
func (w *world) oldFormat(t *testing.T, magic int8) (log []byte) {
	for codec := record.CodecNone; codec <= record.CodecLZ4; codec++ {
		var es []oracle.Entry
		for range 3 {
			r := w.record(time.Now(), 0)
			es = append(es, oracle.Entry{Offset: int64(w.made - 1), Timestamp: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value})
		}
		log = append(log, oracle.Old{Magic: magic, Codec: codec, Java: codec == record.CodecSnappy, Entries: es}.Encode(t)...)
	}
	return log
}

// oldFormats are copied as they are, and so is what follows them.
func oldFormats(t *testing.T, w *world) {
	w.produce(t, 2)
	w.own(t, 1)
	w.holds(t, 0, [2]int{0, w.made})
	w.own(t, 2)
	w.goesOnIdentically(t)
}

// manyTold is a log of one batch, whose header tells of more records than there
// are.
func (w *world) manyTold(t *testing.T) []byte {
	b := oracle.Source{Producer: -1, Entries: oracle.At(0, 1, 2)}.Encode(t)
	b.SetCount(5)
	b.SetLastOffsetDelta(4)
	b.UpdateCRC()
	return b
}

// manyTold: no broker appends such a batch.
func manyTold(t *testing.T, w *world) {
	w.own(t, 1)
	stop := fsm.Stop{Code: fsm.CodeCorruptBatch, From: 0, To: 5}
	w.stopped(t, stop)
	w.retryStops(t, stop)
}

// targetLogs replaces logs of the target, all in one stop.
func targetLogs(t *testing.T, l *lab) {
	lostAcked, r := l.copiedApart(t)
	r.Checkpoint(t, r.Runner)
	var cutOff [2]*world
	logs := map[string][]byte{lostAcked.topic + "-0": cut(t, l.dst, lostAcked.topic, 3)}
	for i := range cutOff {
		w := l.world(t, link{spec: fsm.LinkSpec{OnLoss: [...]string{"", fsm.OnLossRecopy}[i]}})
		w.foreign(t, 2)
		trim(t, l.dst, w.topic, 2)
		w.produce(t, 5)
		r := w.own(t, 1)
		w.acked(t, r, 5)
		logs[w.topic+"-0"] = nil
		cutOff[i] = w
	}
	if err := l.dst.ReplaceLogs(within(t, 2*time.Minute), 0, logs); err != nil {
		t.Fatal(err)
	}
	t.Run("together at the target", func(t *testing.T) {
		t.Run("target lost acknowledged records", func(t *testing.T) { t.Parallel(); targetLostAcked(t, lostAcked) })
		t.Run("target truncated, continue", func(t *testing.T) { t.Parallel(); targetTruncated(t, cutOff[0]) })
		t.Run("target truncated, policy recopy", func(t *testing.T) { t.Parallel(); targetTruncatedRecopy(t, cutOff[1]) })
	})
}

func targetLostAcked(t *testing.T, w *world) {
	w.produce(t, 2)
	w.holds(t, 0, [2]int{0, 7})
	w.event(t, fsm.CodeTargetLostAcked, 3, 5)
	w.othersGoOn(t)
	w.goesOnIdentically(t)
}

func targetTruncated(t *testing.T, w *world) {
	stop := fsm.Stop{Code: fsm.CodeTargetTruncated, From: 0, To: 2, Target: true}
	w.stopped(t, stop)
	w.retryStops(t, stop)
	w.order(t, fsm.OrderContinue)
	w.holds(t, 0, [2]int{0, 5})
	w.event(t, fsm.CodeNewSegment, 0, 2)
	w.produce(t, 2)
	w.holds(t, 0, [2]int{0, 7})
	w.same(t, identical())
}

func targetTruncatedRecopy(t *testing.T, w *world) {
	w.holds(t, 0, [2]int{0, 5})
	w.event(t, fsm.CodeTargetTruncated, 0, 2)
	w.event(t, fsm.CodeRecopied, 0, -1)
	w.goesOnIdentically(t)
}

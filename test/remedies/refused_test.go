package remedies

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/replication/pipe"
	"sluice/replication/stream"
	"sluice/test/kafkalab"
	"sluice/test/rig"
)

func refusedCases() []testCase {
	return []testCase{
		{"record too large, mended", tooLarge},
		{"record too large, continue", tooLargeContinue},
		{"record too large, policy continue", tooLargePolicy},
		{"record too large, foreign writer meanwhile, continue", tooLargeForeign},
		{"batch too large, its records not", tooLargeTogether},
		{"batch too large once it is decompressed", tooLargeUncompressed},
		{"timestamp refused, mended", timestampRefused},
		{"timestamp refused, continue", timestampContinue},
		{"timestamp refused among others that go with it", timestampAmongOthers},
		{"record without a key, mended", keyless},
		{"record without a key, continue", keylessContinue},
		{"corrupt batch, mended", corrupt},
		{"corrupt batch, continue", corruptContinue},
		{"over budget", overBudget},
	}
}

// large copies five records and meets a sixth that the target does not take.
func (l *lab) large(t *testing.T, spec fsm.LinkSpec) (*world, fsm.Stop) {
	t.Helper()
	w, _ := l.copied5(t, link{spec: spec})
	configure(t, l.dst, w.topic, "max.message.bytes", "4000")
	// The broker tells when it has the setting; records tell when it goes by it.
	w.send(t, w.record(time.Now(), 8000))
	w.produce(t, 4)
	return w, fsm.Stop{Code: fsm.CodeRecordTooLarge, From: 5, To: 6}
}

func tooLarge(t *testing.T, l *lab) {
	w, stop := l.large(t, fsm.LinkSpec{Offsets: fsm.OffsetsIdentical})
	w.stopped(t, stop)
	w.retryStops(t, stop)
	configure(t, l.dst, w.topic, "max.message.bytes", "")
	w.order(t, fsm.OrderRetry)
	w.holds(t, 0, [2]int{0, 10})
	w.goesOnIdentically(t)
}

func tooLargeContinue(t *testing.T, l *lab) {
	w, stop := l.large(t, fsm.LinkSpec{})
	w.stopped(t, stop)
	w.order(t, fsm.OrderContinue)
	w.without5(t)
}

// tooLargeTogether copies five records and meets batches that the target does not
// take, though it takes each of their records.
func tooLargeTogether(t *testing.T, l *lab) {
	w, _ := l.copied5(t, link{spec: fsm.LinkSpec{Offsets: fsm.OffsetsIdentical}})
	configure(t, l.dst, w.topic, "max.message.bytes", "4000")
	for range 4 {
		var rs []*kgo.Record
		for range 6 {
			rs = append(rs, w.record(time.Now(), 1500))
		}
		w.send(t, rs...)
	}
	w.produce(t, 4)
	w.holds(t, 0, [2]int{0, w.made})
	w.own(t, 2)
	w.goesOnIdentically(t)
}

// tooLargeUncompressed: the target's brokers write batches without compression,
// and find them too large then.
func tooLargeUncompressed(t *testing.T, l *lab) {
	w, _ := l.copied5(t, link{target: map[string]string{"compression.type": "uncompressed"}})
	configure(t, l.dst, w.topic, "max.message.bytes", "4000")
	var rs []*kgo.Record
	for range 20 {
		r := w.record(time.Now(), 0)
		r.Value = append(r.Value, make([]byte, 2000)...) // small at the source
		rs = append(rs, r)
	}
	w.send(t, rs...)
	w.produce(t, 4)
	w.holds(t, 0, [2]int{0, w.made})
	w.same(t, identical())
}

// mended retries a stop at source offset 5 before and after the target topic's
// setting, its cause, is taken back.
func (w *world) mended(t *testing.T, stop fsm.Stop, setting string) {
	t.Helper()
	w.retryStops(t, stop)
	configure(t, w.lab.dst, w.topic, setting, "")
	w.order(t, fsm.OrderRetry)
	w.holds(t, 0, [2]int{0, 10})
	w.goesOnIdentically(t)
}

// continued goes on past a stop at source offset 5.
func (w *world) continued(t *testing.T) {
	t.Helper()
	w.order(t, fsm.OrderContinue)
	w.without5(t)
}

// without5 checks a stream that went on past source offset 5.
func (w *world) without5(t *testing.T) {
	t.Helper()
	w.holds(t, 0, [2]int{0, 5}, [2]int{6, 10})
	w.event(t, fsm.CodeNewSegment, 5, 6)
	w.own(t, 2)
	w.produce(t, 3)
	w.holds(t, 0, [2]int{0, 5}, [2]int{6, 13})
	w.same(t, shiftedFrom(-1, 6))
}

func tooLargePolicy(t *testing.T, l *lab) {
	w, stop := l.large(t, fsm.LinkSpec{OnLoss: fsm.OnLossContinue})
	w.without5(t)
	w.event(t, stop.Code, stop.From, stop.To)
	w.othersGoOn(t)
}

// tooLargeForeign: another producer writes while the stream stands still.
// Going on does not skip unseen what it did: that is the stop now.
func tooLargeForeign(t *testing.T, l *lab) {
	w, stop := l.large(t, fsm.LinkSpec{})
	w.stopped(t, stop)
	w.foreign(t, 2)
	w.order(t, fsm.OrderContinue)
	rig.Until(t, timeout, "stopped by the foreign writer", func() bool { s := w.task().Copy.Stop; return s != nil && s.Code == fsm.CodeForeignWriter })
	w.stopped(t, fsm.Stop{Code: fsm.CodeForeignWriter, From: 5, To: 7, Target: true})
	w.none(t, fsm.CodeNewSegment)
	w.order(t, fsm.OrderContinue) // behind the foreign records, to the large one again
	rig.Until(t, timeout, "stopped by the large record", func() bool { s := w.task().Copy.Stop; return s != nil && s.Code == fsm.CodeRecordTooLarge })
	w.order(t, fsm.OrderContinue)
	w.holds(t, 0, [2]int{0, 5}, [2]int{-2, 0}, [2]int{6, 10})
}

// tooOld copies five records and meets a sixth whose timestamp the target
// does not take.
func (l *lab) tooOld(t *testing.T) *world {
	t.Helper()
	w, _ := l.copied5(t, link{})
	configure(t, l.dst, w.topic, "message.timestamp.before.max.ms", "3600000")
	w.send(t, w.record(time.Now().Add(-72*time.Hour), 0))
	w.produce(t, 4)
	w.stopped(t, tooOldStop())
	return w
}

func tooOldStop() fsm.Stop { return fsm.Stop{Code: fsm.CodeTimestampRefused, From: 5, To: 6} }

func timestampRefused(t *testing.T, l *lab) {
	l.tooOld(t).mended(t, tooOldStop(), "message.timestamp.before.max.ms")
}

func timestampContinue(t *testing.T, l *lab) {
	l.tooOld(t).continued(t)
}

// timestampAmongOthers: of small batches that waited and went as one the broker
// refuses a single one. That alone is the stop, and what stood before it is copied.
func timestampAmongOthers(t *testing.T, l *lab) {
	w, r := l.copied5(t, link{})
	configure(t, l.dst, w.topic, "message.timestamp.before.max.ms", "3600000")
	hold := l.holdProduce(r)
	w.produce(t, 2*pipe.Window) // more than may be in flight, so that some wait
	chosen(t, hold, 1)
	bad := w.made
	w.send(t, w.record(time.Now().Add(-72*time.Hour), 0))
	w.produce(t, 4)
	hold.Release()
	w.stopped(t, fsm.Stop{Code: fsm.CodeTimestampRefused, From: int64(bad), To: int64(bad + 1)})
	w.order(t, fsm.OrderContinue)
	w.holds(t, 0, [2]int{0, bad}, [2]int{bad + 1, w.made})
}

// withoutKey copies five records and meets a sixth without a key when the target
// topic is compacted.
func (l *lab) withoutKey(t *testing.T) *world {
	t.Helper()
	w, _ := l.copied5(t, link{})
	configure(t, l.dst, w.topic, "cleanup.policy", "compact")
	r := w.record(time.Now(), 0)
	r.Key = nil
	w.send(t, r)
	w.produce(t, 4)
	w.stopped(t, keylessStop())
	return w
}

func keylessStop() fsm.Stop { return fsm.Stop{Code: fsm.CodeKeylessRecord, From: 5, To: 6} }

func keyless(t *testing.T, l *lab) {
	l.withoutKey(t).mended(t, keylessStop(), "cleanup.policy")
}

func keylessContinue(t *testing.T, l *lab) {
	l.withoutKey(t).continued(t)
}

// corrupted copies five records and meets a batch of three in which one byte
// is wrong. The mend puts the byte right.
func (l *lab) corrupted(t *testing.T) (w *world, mend func()) {
	t.Helper()
	w, r := l.copied5(t, link{})
	r.Checkpoint(t, r.Runner)
	r.Close()
	now := time.Now()
	w.send(t, w.record(now, 0), w.record(now, 0), w.record(now, 0))
	mend = l.flip(t, w.topic, "value 6.")
	w.produce(t, 2)
	w.own(t, 2)
	w.stopped(t, corruptStop())
	return w, mend
}

func corruptStop() fsm.Stop { return fsm.Stop{Code: fsm.CodeCorruptBatch, From: 5, To: 8} }

// flip changes a byte of the source's log where the running broker reads it:
// the first of what.
func (l *lab) flip(t *testing.T, topic, what string) (back func()) {
	t.Helper()
	log, err := os.ReadFile(segment(l.src, topic))
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(log), what)
	if at < 0 {
		t.Fatalf("%s does not hold %q", topic, what)
	}
	put := func(c byte) {
		f, err := os.OpenFile(segment(l.src, topic), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte{c}, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	put(log[at] ^ 1)
	return func() { put(log[at]) }
}

// segment is the file of a topic's first segment.
func segment(c *kafkalab.Cluster, topic string) string {
	return filepath.Join(c.Dir(), "0", "data", topic+"-0", "00000000000000000000.log")
}

func corrupt(t *testing.T, l *lab) {
	w, mend := l.corrupted(t)
	w.retryStops(t, corruptStop())
	mend()
	w.order(t, fsm.OrderRetry)
	w.holds(t, 0, [2]int{0, 10})
	w.goesOnIdentically(t)
}

func corruptContinue(t *testing.T, l *lab) {
	w, mend := l.corrupted(t)
	w.order(t, fsm.OrderContinue)
	w.holds(t, 0, [2]int{0, 5}, [2]int{8, 10})
	w.event(t, fsm.CodeNewSegment, 5, 8)
	w.produce(t, 3)
	w.holds(t, 0, [2]int{0, 5}, [2]int{8, 13})
	mend() // for the comparison
	w.same(t, shiftedFrom(-3, 8))
}

// overBudget: a batch has to be opened and is larger than a small node's
// budget for that; a larger node copies it.
func overBudget(t *testing.T, l *lab) {
	w := l.world(t, link{source: map[string]string{"message.timestamp.type": "LogAppendTime"}})
	cl, err := l.src.DirectClient(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(10<<20), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	w.produce(t, 2)
	r := w.record(time.Now(), 0)
	r.Value = append(r.Value, make([]byte, 6<<20)...) // small at the broker
	if err := cl.ProduceSync(within(t, time.Minute), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
	w.produce(t, 2)
	own(t, w.Pair, node(w.topic, 1), func(c *stream.Config) { c.Memory = 16 << 20 })
	stop := fsm.Stop{Code: fsm.CodeOverBudget, From: 2, To: 3}
	w.stopped(t, stop)
	w.retryStops(t, stop)
	w.own(t, 2)
	w.order(t, fsm.OrderRetry)
	w.holds(t, 0, [2]int{0, 5})
	w.goesOnIdentically(t)
}

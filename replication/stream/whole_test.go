package stream_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/test/load"
	"sluice/test/rig"
)

// fetched answers a fetch of orders/0, whose log ends at end, with the bytes.
func fetched(src *kfake.Cluster, req kmsg.Request, end int64, records []byte) *kmsg.FetchResponse {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	topic := kmsg.NewFetchResponseTopic()
	topic.Topic, topic.TopicID = "orders", src.TopicInfo("orders").TopicID
	part := kmsg.NewFetchResponseTopicPartition()
	part.HighWatermark, part.LastStableOffset, part.RecordBatches = end, end, records
	topic.Partitions = append(topic.Partitions, part)
	resp.Topics = append(resp.Topics, topic)
	return resp
}

// TestStopsAtABatchThatIsNeverWhole: a source answers with the beginning of a
// batch, again and again. The stream says so instead of asking for ever.
func TestStopsAtABatchThatIsNeverWhole(t *testing.T) {
	src := rig.Kfake(t, "source", 1)
	_, dst := rig.Embedded(t)
	p := rig.NewPair(t, src.ListenAddrs(), dst, fsm.LinkSpec{}, map[string]int32{"orders": 1}, "n1")
	p.Produce(t, "orders", 0, 0, 5)
	batch := load.Batch([]*kgo.Record{{Value: []byte("one"), Timestamp: time.Now()}, {Value: []byte("two"), Timestamp: time.Now()}})
	var broken atomic.Bool
	broken.Store(true)
	src.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		src.KeepControl()
		return fetched(src, req, 5, batch[:len(batch)-1]), nil, broken.Load()
	})
	r, _ := p.Runner(t, "n1", nil)
	p.Own(t, r, "n1")
	rig.Until(t, 30*time.Second, "it stops", func() bool { return first(p).Copy.Stop != nil })
	if st := first(p).Copy.Stop; st.Code != fsm.CodeCorruptBatch || st.From != 0 || st.To != 1 {
		t.Errorf("stopped by %+v", st)
	}
	broken.Store(false)
	p.Do(t, &fsm.TaskOrder{Link: 1, Order: fsm.OrderRetry})
	p.Copied(t, "orders", 0, 5, 0)
}

// TestGoesPastADamagedBatch: the source's file holds a batch whose header
// names a wild end. The link's policy goes on with the sound batch behind it,
// although a broker may serve both again.
func TestGoesPastADamagedBatch(t *testing.T) {
	src := rig.Kfake(t, "source", 1)
	_, dst := rig.Embedded(t)
	p := rig.NewPair(t, src.ListenAddrs(), dst, fsm.LinkSpec{OnLoss: fsm.OnLossContinue}, map[string]int32{"orders": 1}, "n1")
	p.Produce(t, "orders", 0, 0, 6)
	batch := func(base int64) []byte {
		var rs []*kgo.Record
		for i := base; i < base+3; i++ {
			rs = append(rs, &kgo.Record{Value: fmt.Appendf(nil, "value %d", i), Timestamp: time.Now()})
		}
		b := record.Batch(load.Batch(rs))
		b.SetBaseOffset(base)
		return b
	}
	damaged := batch(0)
	damaged[23] = 0x40 // last offset delta
	served := append(damaged, batch(3)...)
	src.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		src.KeepControl()
		records := served
		for _, asked := range req.(*kmsg.FetchRequest).Topics {
			if len(asked.Partitions) > 0 && asked.Partitions[0].FetchOffset >= 6 {
				records = nil
			}
		}
		return fetched(src, req, 6, records), nil, true
	})
	r, _ := p.Runner(t, "n1", nil)
	p.Own(t, r, "n1")
	got := p.Read(t, dst, "orders", 0, 3, 60*time.Second)
	for i, rec := range got {
		if want := fmt.Sprintf("value %d", i+3); string(rec.Value) != want || rec.Offset != int64(i) {
			t.Errorf("%q at %d, want %q at %d", rec.Value, rec.Offset, want, i)
		}
	}
	if evs := p.Events(fsm.CodeCorruptBatch); len(evs) != 1 || evs[0].From != 0 || evs[0].To != 3 || evs[0].Count != 1 {
		t.Errorf("events %+v", evs)
	}
}

package verify

import (
	"hash/maphash"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/kafka/catalog"
	"sluice/kafka/record"
	"sluice/test/oracle"
)

// TestReadsOldFormats: a source serves messages of formats 0 and 1. A range that
// begins and ends inside wrappers is read whole, and where a wrapper holds too
// much, that is told by where it may begin.
func TestReadsOldFormats(t *testing.T) {
	l := newLab(t, 1, nil)
	old := l.fake["us"]
	l.put(l.usP, 0, 0, 20, nil) // as many as the log tells of
	at := func(from, to int64) (es []oracle.Entry) {
		for i := from; i < to; i++ {
			es = append(es, oracle.At(i)...)
		}
		return es
	}
	log := slices.Concat(
		oracle.Old{Magic: 0, Codec: record.CodecLZ4, Java: true, Entries: at(0, 6)}.Encode(t),
		oracle.Old{Magic: 1, Entries: at(6, 8)}.Encode(t),
		oracle.Old{Magic: 1, Codec: record.CodecGzip, Entries: at(8, 20)}.Encode(t),
	)
	old.ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		old.KeepControl()
		req := kreq.(*kmsg.FetchRequest)
		part := kmsg.NewFetchResponseTopicPartition()
		part.HighWatermark, part.LastStableOffset = 20, 20
		for b := range record.Batches(log) {
			if b.LastOffset() >= req.Topics[0].Partitions[0].FetchOffset {
				part.RecordBatches = append(part.RecordBatches, b...)
			}
		}
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.TopicID, topic.Partitions = req.Topics[0].Topic, req.Topics[0].TopicID, append(topic.Partitions, part)
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	k, done := l.catalog.Apart(fsm.KafkaCluster{Name: "old", Bootstrap: l.usAddrs})
	defer done()
	read := func(records int) ([]int64, []hole) {
		j := &Job{seed: maphash.MakeSeed(), limits: Limits{FetchBytes: 1 << 20, Budget: 1 << 20, Records: records, Retry: 10 * time.Second}}
		r := j.reader(k, catalog.Partition{Topic: "orders"}, 3, 15)
		defer r.close()
		return l.offsets(r, func() {}), r.holes
	}
	if got, holes := read(1000); !slices.Equal(got, []int64{3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}) || holes != nil {
		t.Errorf("offsets %v, holes %+v", got, holes)
	}
	if got, holes := read(7); !slices.Equal(got, []int64{3, 4, 5, 6, 7}) || !slices.Equal(holes, []hole{{8, 15, 7}}) {
		t.Errorf("offsets %v, holes %+v", got, holes)
	}
}

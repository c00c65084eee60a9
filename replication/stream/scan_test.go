package stream

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/kafka/record"
	"sluice/replication/recovery"
	"sluice/replication/wire"
	"sluice/test/oracle"
)

// TestScansOldFormats: a span that begins and ends inside wrappers of formats 0
// and 1 is read whole, and the first record behind a place is told by where it
// stands, not by its wrapper.
func TestScansOldFormats(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	log := slices.Concat(
		oracle.Old{Magic: 0, Codec: record.CodecSnappy, Java: true, Entries: oracle.At(0, 1, 2, 3)}.Encode(t),
		oracle.Old{Magic: 1, Entries: oracle.At(4, 5)}.Encode(t),
		oracle.Old{Magic: 1, Codec: record.CodecGzip, Entries: oracle.At(8, 9, 10, 12)}.Encode(t),
	)
	c.ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		asked := kreq.(*kmsg.FetchRequest).Topics[0]
		topic, part := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
		part.HighWatermark, part.LastStableOffset = 13, 13
		for b := range record.Batches(log) {
			if b.LastOffset() >= asked.Partitions[0].FetchOffset {
				part.RecordBatches = append(part.RecordBatches, b...)
			}
		}
		topic.Topic, topic.TopicID, topic.Partitions = asked.Topic, asked.TopicID, append(topic.Partitions, part)
		resp := kreq.ResponseKind().(*kmsg.FetchResponse)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	c.ControlKey(int16(kmsg.ListOffsets), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		asked := kreq.(*kmsg.ListOffsetsRequest).Topics[0]
		topic, part := kmsg.NewListOffsetsResponseTopic(), kmsg.NewListOffsetsResponseTopicPartition()
		if asked.Partitions[0].Timestamp == kafka.Latest {
			part.Offset = 13
		}
		topic.Topic, topic.Partitions = asked.Topic, append(topic.Partitions, part)
		resp := kreq.ResponseKind().(*kmsg.ListOffsetsResponse)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	pool, err := kafka.NewPool(kafka.DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	looks := catalog.New(catalog.DefaultConfig(), pool, fsm.NewState().View, slog.New(slog.DiscardHandler))
	defer looks.Close()
	cluster, done := looks.Apart(fsm.KafkaCluster{Name: "us", Bootstrap: c.ListenAddrs()})
	defer done()
	conns := wire.New(wire.DefaultConfig(), wire.NewBudget(32<<20), func(fsm.TaskID, uint64) (time.Duration, bool) { return 0, true })
	defer conns.Close()
	l := &logs{source: side{Cluster: cluster, topic: "orders", isSource: true, share: conns.Share("eu")}, conns: conns, maxOpened: 1 << 20}
	if err := l.source.find(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		from, to int64
		want     []int64
	}{{0, 13, []int64{0, 1, 2, 3, 4, 5, 8, 9, 10, 12}}, {2, 5, []int64{2, 3, 4}}, {1, 3, []int64{1, 2}}, {9, 11, []int64{9, 10}}, {5, 9, []int64{5, 8}}} {
		var got []int64
		err := l.newHashes().records(t.Context(), &l.source, span{from: r.from, to: r.to}, func(r recovery.Seen) { got = append(got, r.Offset) })
		if err != nil || !slices.Equal(got, r.want) {
			t.Errorf("[%d, %d): offsets %v, want %v; %v", r.from, r.to, got, r.want, err)
		}
	}
	for from, want := range map[int64]int64{0: 0, 2: 2, 4: 4, 6: 8, 9: 9} {
		got, err := l.ahead(t.Context(), from, nil, func(string, int64, int64) {})
		if err != nil || !got.Data || got.Offset != want {
			t.Errorf("behind %d: %+v, want %d; %v", from, got, want, err)
		}
	}
}

package verify

import (
	"fmt"
	"hash/maphash"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/kafka/catalog"
)

// Retention may overtake a reader. Brokers refuse the offset and do not tell
// where the log starts.
func TestRetentionOvertakesAReader(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := newLab(t, 1, nil)
	k, done := l.catalog.Apart(fsm.KafkaCluster{Name: "trimmed", Bootstrap: c.ListenAddrs()})
	defer done()
	p := l.producer(c.ListenAddrs())
	for n := range 20 {
		if err := p.ProduceSync(l.ctx, &kgo.Record{Topic: "t", Value: fmt.Append(nil, n)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	var start atomic.Int64
	c.ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := kreq.(*kmsg.FetchRequest)
		if req.Topics[0].Partitions[0].FetchOffset >= start.Load() {
			return nil, nil, false
		}
		refused := kmsg.NewFetchResponseTopicPartition()
		refused.ErrorCode, refused.HighWatermark, refused.LastStableOffset, refused.LogStartOffset = kerr.OffsetOutOfRange.Code, -1, -1, -1
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.TopicID, topic.Partitions = req.Topics[0].Topic, req.Topics[0].TopicID, append(topic.Partitions, refused)
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	j := &Job{seed: maphash.MakeSeed(), limits: Limits{FetchBytes: 100, Budget: 1 << 20, Records: 1000, Retry: 10 * time.Second}}
	r := j.reader(k, catalog.Partition{Topic: "t"}, 0, 20)
	defer r.close()
	got := l.offsets(r, func() {
		if start.Load() == 0 {
			if err := c.DeleteRecords("t", 0, 15); err != nil {
				t.Fatal(err)
			}
			start.Store(15)
		}
	})
	if len(got) < 6 || len(got) > 15 || !slices.Equal(got[len(got)-5:], []int64{15, 16, 17, 18, 19}) || r.floor != 15 {
		t.Errorf("offsets %v, floor %d", got, r.floor)
	}
}

// A leader that moves is followed.
func TestLeaderMoves(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := newLab(t, 1, nil)
	moving, done := l.catalog.Apart(fsm.KafkaCluster{Name: "moving", Bootstrap: c.ListenAddrs()})
	defer done()
	p := l.producer(c.ListenAddrs())
	for n := range 20 {
		if err := p.ProduceSync(l.ctx, &kgo.Record{Topic: "t", Value: fmt.Append(nil, n)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	fetches := 0
	c.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if fetches++; fetches == 2 {
			if err := c.MoveTopicPartition("t", 0, (c.LeaderFor("t", 0)+1)%3); err != nil {
				t.Error(err)
			}
		}
		return nil, nil, false
	})
	j := &Job{seed: maphash.MakeSeed(), limits: Limits{FetchBytes: 100, Budget: 1 << 20, Records: 1000, Retry: 10 * time.Second}}
	r := j.reader(moving, catalog.Partition{Topic: "t"}, 0, 20)
	defer r.close()
	got := l.offsets(r, func() {})
	for i, o := range got {
		if o != int64(i) {
			t.Fatalf("offsets %v", got)
		}
	}
	if len(got) != 20 || fetches < 3 {
		t.Errorf("%d records in %d fetches", len(got), fetches)
	}
}

// offsets reads all that a reader gives, and calls between after each part.
func (l *lab) offsets(r *reader, between func()) (got []int64) {
	l.t.Helper()
	for end := false; !end; {
		items, last, err := r.read(l.ctx)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, it := range items {
			got = append(got, it.offset)
		}
		between()
		end = last
	}
	return got
}

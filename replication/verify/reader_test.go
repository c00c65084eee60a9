package verify

import (
	"fmt"
	"hash/maphash"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
)

// A leader that moves is followed.
func TestLeaderMoves(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := newLab(t, 1, nil)
	client, err := l.pool.Client(l.ctx, fsm.KafkaCluster{Name: "moving", Bootstrap: c.ListenAddrs()})
	if err != nil {
		t.Fatal(err)
	}
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
	j := &Job{seed: maphash.MakeSeed(), limits: Limits{FetchBytes: 100, Budget: 1 << 20, Retry: 10 * time.Second}}
	r := j.reader(client, "t", 0, 0, 20)
	defer r.close()
	var got []int64
	for end := false; !end; {
		var items []item
		if items, end, err = r.read(l.ctx); err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			got = append(got, it.offset)
		}
	}
	for i, o := range got {
		if o != int64(i) {
			t.Fatalf("offsets %v", got)
		}
	}
	if len(got) != 20 || fetches < 3 {
		t.Errorf("%d records in %d fetches", len(got), fetches)
	}
}

package kafka

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/kafka/record"
)

func TestFetchOne(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	conn, topic := leaderConn(t, testClient(t, spec), "t", 0)
	for range 2 {
		req := &ProduceRequest{Timeout: time.Second, Partitions: []ProducePartition{{Topic: "t", TopicID: topic.ID, Batch: testBatch(t, 0, 10, "x")}}}
		if r := get(t, produceAsync(t, conn, req)); r.err != nil || r.Partitions[0].ErrorCode != 0 {
			t.Fatalf("%+v", r)
		}
	}
	fetch := func(offset int64) FetchedPartition {
		p := FetchPartition{Topic: "t", TopicID: topic.ID, Offset: offset, LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: 1 << 20}
		resp, err := conn.FetchOne(testContext(t), p, FetchOptions{MaxWait: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(resp.Buf.Release)
		got, err := resp.Only()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := fetch(10); record.Batch(got.Records).BaseOffset() != 10 || got.HighWatermark != 20 || got.ErrorCode != 0 {
		t.Errorf("%+v", got)
	}
	if got := fetch(20); len(got.Records) != 0 || got.ErrorCode != 0 {
		t.Errorf("%+v", got)
	}
	if got := fetch(99); !errors.Is(kerr.ErrorForCode(got.ErrorCode), kerr.OffsetOutOfRange) {
		t.Errorf("%+v", got)
	}
}

// fetchOne calls FetchOne on a Conn whose broker is the test.
func fetchOne(ctx context.Context, c *Conn, budget Budget) <-chan fetched {
	out := make(chan fetched, 1)
	go func() {
		resp, err := c.FetchOne(ctx, FetchPartition{Topic: "t", TopicID: [16]byte{1}}, FetchOptions{MaxWait: time.Second, Budget: budget})
		out <- fetched{resp, err}
	}()
	return out
}

// TestFetchOneThatFails: every way out gives the buffer back.
func TestFetchOneThatFails(t *testing.T) {
	refused := func(version int16) *kmsg.FetchResponse {
		resp := fetchReply(version, []byte("records"))
		resp.ErrorCode, resp.Topics = kerr.ClusterAuthorizationFailed.Code, nil
		return resp
	}
	for name, test := range map[string]struct {
		reply func(s *wireServer, r wireRequest, end func())
		want  error
	}{
		"refused as a whole":    {func(s *wireServer, r wireRequest, _ func()) { s.write(frame(r.corr, refused(r.version))) }, kerr.ClusterAuthorizationFailed},
		"lost":                  {func(s *wireServer, _ wireRequest, _ func()) { s.nc.Close() }, ErrPerhapsSent},
		"the caller gave it up": {func(_ *wireServer, _ wireRequest, end func()) { end() }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			budget := &testBudget{limit: 1 << 20}
			c, s := wirePair(t)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			got := fetchOne(ctx, c, budget)
			test.reply(s, s.read(), cancel)
			if f := get(t, got); !errors.Is(f.err, test.want) || f.Buf != nil {
				t.Errorf("%v, want %v", f.err, test.want)
			}
			c.Close()
			get(t, c.Done())
			if budget.held != 0 {
				t.Errorf("%d bytes of buffers are kept", budget.held)
			}
			if _, err := c.FetchOne(context.Background(), FetchPartition{}, FetchOptions{}); !errors.Is(err, ErrNotSent) {
				t.Errorf("on a dead Conn: %v", err)
			}
		})
	}
}

func TestAnswerWithoutThePartition(t *testing.T) {
	c, s := wirePair(t)
	got := fetchOne(context.Background(), c, nil)
	r := s.read()
	empty := fetchReply(r.version, nil)
	empty.Topics = nil
	s.write(frame(r.corr, empty))
	f := get(t, got)
	if f.err != nil {
		t.Fatal(f.err)
	}
	defer f.Buf.Release()
	if _, err := f.Only(); !errors.Is(err, ErrProtocol) {
		t.Error(err)
	}
}

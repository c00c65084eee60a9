package kafka

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"

	"sluice/kafka/record"
)

// TestCopyThroughConns does what the copy path does: fetch closed batches
// from one topic, rewrite their headers in place, produce them in flight.
func TestCopyThroughConns(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "from", "to"))
	c := testClient(t, spec)
	src, from := leaderConn(t, c, "from", 0)
	dst, to := leaderConn(t, c, "to", 0)
	const batches, perBatch = 20, 5
	fillBoth(t, src, from, batches, perBatch)
	pid, epoch, err := dst.Broker().InitProducerID(testContext(t))
	if err != nil {
		t.Fatal(err)
	}

	fetched := get(t, fetchAsync(t, src, fetchOf(from.ID, batches*perBatch)))
	if fetched.err != nil || fetched.Err != nil {
		t.Fatal(fetched.err, fetched.Err)
	}
	var want []byte
	var answers []<-chan produced
	for _, b := range batchesOf(t, &fetched.FetchResponse) {
		want = append(want, b[record.HeaderSize:]...)
		if err := b.VerifyCRC(); err != nil {
			t.Fatal(err)
		}
		record.Rewrite(b, pid, epoch, int32(b.BaseOffset()))
		answers = append(answers, produceAsync(t, dst, &ProduceRequest{Timeout: time.Second, Partitions: []ProducePartition{
			{Topic: "to", TopicID: to.ID, Partition: 0, Batch: b},
		}}))
	}
	if len(answers) != batches {
		t.Fatalf("%d batches fetched", len(answers))
	}
	for i, a := range answers {
		if r := get(t, a); r.err != nil || r.Partitions[0].ErrorCode != 0 || r.Partitions[0].BaseOffset != int64(i*perBatch) {
			t.Fatalf("copy %d: %+v", i, r)
		}
	}
	fetched.Buf.Release()

	copied := get(t, fetchAsync(t, dst, &FetchRequest{
		MaxWait: time.Second, MinBytes: 1, MaxBytes: 1 << 20, SessionEpoch: -1,
		Partitions: []FetchPartition{{Topic: "to", Partition: 0, LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: 1 << 20}},
	}))
	if copied.err != nil || copied.Version != 12 {
		t.Fatalf("fetch by name: version %d, %v", copied.Version, copied.err)
	}
	defer copied.Buf.Release()
	var have []byte
	for _, b := range batchesOf(t, &copied.FetchResponse) {
		if h := b.Header(); h.ProducerID != pid || h.BaseSequence != int32(h.BaseOffset) {
			t.Fatalf("%+v", h)
		}
		have = append(have, b[record.HeaderSize:]...)
	}
	if !bytes.Equal(want, have) {
		t.Fatal("copied records differ")
	}
	if s := dst.Stats(); s.Requests != batches+2 || s.Responses != batches+2 || s.BytesOut < int64(len(have)) || s.BytesIn < int64(len(have)) {
		t.Fatalf("%+v", s)
	}
}

// fillBoth produces the same batches to both partitions of a topic, all in
// flight at once.
func fillBoth(t *testing.T, c *Conn, topic TopicMetadata, batches, perBatch int) {
	t.Helper()
	var answers []<-chan produced
	for i := range batches {
		b := testBatch(t, 0, perBatch, strings.Repeat("v", 100+i))
		answers = append(answers, produceAsync(t, c, &ProduceRequest{Timeout: time.Second, Partitions: []ProducePartition{
			{Topic: topic.Name, TopicID: topic.ID, Partition: 1, Batch: b},
			{Topic: topic.Name, TopicID: topic.ID, Partition: 0, Batch: append(record.Batch(nil), b...)},
		}}))
	}
	for i, a := range answers {
		got := get(t, a)
		if got.err != nil || len(got.Partitions) != 2 {
			t.Fatalf("produce %d: %+v", i, got)
		}
		for _, p := range got.Partitions {
			if p.ErrorCode != 0 || p.BaseOffset != int64(i*perBatch) {
				t.Fatalf("produce %d: %+v", i, p)
			}
		}
	}
}

// fetchOf asks for partition 0 from its start and partition 1 from end.
func fetchOf(id [16]byte, end int64) *FetchRequest {
	part := func(i int32, offset int64) FetchPartition {
		return FetchPartition{TopicID: id, Partition: i, Offset: offset, LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: 1 << 20}
	}
	return &FetchRequest{
		MaxWait: time.Second, MinBytes: 1, MaxBytes: 1 << 20, Isolation: ReadCommitted, SessionEpoch: -1,
		Partitions: []FetchPartition{part(0, 0), part(1, end)},
	}
}

// batchesOf returns all batches of a response.
func batchesOf(t *testing.T, r *FetchResponse) (out []record.Batch) {
	t.Helper()
	var p FetchedPartition
	for {
		more, err := r.Next(&p)
		if err != nil || p.ErrorCode != 0 {
			t.Fatal(err, p.ErrorCode)
		}
		if !more {
			return out
		}
		for b, rest, err := record.NextBatch(p.Records); b != nil || err != nil; b, rest, err = record.NextBatch(rest) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, b)
		}
	}
}

// TestFetchSession keeps an incremental session over three fetches.
func TestFetchSession(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "t"))
	conn, topic := leaderConn(t, testClient(t, spec), "t", 0)
	part := func(i int32) FetchPartition {
		return FetchPartition{Topic: "t", TopicID: topic.ID, Partition: i, LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: 1 << 20}
	}
	first := get(t, fetchAsync(t, conn, &FetchRequest{MaxBytes: 1 << 20, Partitions: []FetchPartition{part(0), part(1)}}))
	if first.err != nil || first.Err != nil || first.SessionID == 0 {
		t.Fatalf("%+v", first)
	}
	first.Buf.Release()
	if r := get(t, produceAsync(t, conn, &ProduceRequest{Timeout: time.Second, Partitions: []ProducePartition{
		{Topic: "t", Partition: 1, Batch: testBatch(t, 0, 3, "x")},
	}})); r.err != nil || r.Partitions[0].ErrorCode != 0 {
		t.Fatalf("%+v", r)
	}
	second := get(t, fetchAsync(t, conn, &FetchRequest{MaxBytes: 1 << 20, SessionID: first.SessionID, SessionEpoch: 1}))
	if second.err != nil || second.Err != nil {
		t.Fatalf("%+v", second)
	}
	var p FetchedPartition
	if more, err := second.Next(&p); !more || err != nil || p.Partition != 1 || len(p.Records) == 0 {
		t.Fatal(more, err, p)
	}
	if more, _ := second.Next(&p); more {
		t.Fatal("a partition without news was told")
	}
	second.Buf.Release()
	third := get(t, fetchAsync(t, conn, &FetchRequest{
		MaxBytes: 1 << 20, SessionID: first.SessionID, SessionEpoch: 2, Forgotten: []FetchPartition{part(1)},
	}))
	if third.err != nil || third.Err != nil {
		t.Fatalf("%+v", third)
	}
	if more, _ := third.Next(&p); more {
		t.Fatal("the forgotten partition was told")
	}
	third.Buf.Release()
	bad := get(t, fetchAsync(t, conn, &FetchRequest{MaxBytes: 1 << 20, SessionID: first.SessionID, SessionEpoch: 17}))
	if !errors.Is(bad.Err, kerr.InvalidFetchSessionEpoch) {
		t.Fatalf("%+v", bad)
	}
	bad.Buf.Release()
}

// TestFetchSessionByName goes on with names where no partition tells.
func TestFetchSessionByName(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	conn, topic := leaderConn(t, testClient(t, spec), "t", 0)
	for _, byName := range []bool{false, true} {
		session := int32(0)
		for epoch := range int32(3) {
			req := &FetchRequest{MaxBytes: 1 << 20, SessionID: session, SessionEpoch: epoch, ByName: byName}
			if epoch == 0 {
				req.Partitions = []FetchPartition{{Topic: "t", TopicID: topic.ID, LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: 1 << 20}}
			}
			r := get(t, fetchAsync(t, conn, req))
			if r.err != nil || r.Err != nil || (r.Version == 12) != byName {
				t.Fatalf("by name %v, epoch %d: %+v", byName, epoch, r)
			}
			session = r.SessionID
			r.Buf.Release()
		}
	}
}

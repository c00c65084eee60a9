package kafkatest

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/test/kafkalab"
)

func TestRealKafka(t *testing.T) {
	kafkalab.Require(t)
	for _, version := range versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			listeners := []kafkalab.Listener{
				kafkalab.Plaintext(), kafkalab.TLS(), kafkalab.MutualTLS(), kafkalab.SASLPlain(),
				kafkalab.SCRAM(), kafkalab.SCRAM256(), kafkalab.SCRAM().WithTLS(),
			}
			cluster := kafkalab.Start(t, kafkalab.Config{Version: version, Listeners: listeners})
			for _, l := range listeners {
				t.Run("login "+l.Name, func(t *testing.T) { testLogin(t, cluster, l) })
			}
			t.Run("wrong password", func(t *testing.T) { testWrongPassword(t, cluster) })
			c := newClient(t, specOf(cluster, kafkalab.Plaintext()))
			t.Run("pipelined", func(t *testing.T) { testPipelined(t, c) })
			t.Run("refused in the middle", func(t *testing.T) { testRefusedInTheMiddle(t, c) })
			t.Run("calls", func(t *testing.T) { testCalls(t, c) })
			t.Run("session", func(t *testing.T) { testSession(t, c) })
			t.Run("topic id of a recreated topic", func(t *testing.T) { testRecreated(t, c) })
		})
	}
}

// testLogin reaches a listener with kgo and with a Conn, writes and reads.
func testLogin(t *testing.T, cluster *kafkalab.Cluster, l kafkalab.Listener) {
	spec := specOf(cluster, l)
	spec.ClusterID = cluster.ID()
	c := newClient(t, spec)
	if id, err := c.Check(testContext(t)); err != nil || id != cluster.ID() {
		t.Fatal(id, err)
	}
	topic := newTopic(t, c, "login-"+strings.ToLower(l.Name), 1)
	conn := dial(t, c, topic.Partitions[0].Leader)
	b := newBatch(300, 1000, now())
	if a := <-produce(conn, topic, 0, b); a.err != nil || a.ErrorCode != 0 || a.BaseOffset != 0 {
		t.Fatalf("%+v", a)
	}
	r := fetch(t, conn, topic, 0, 0)
	var p kafka.FetchedPartition
	if more, err := r.Next(&p); !more || err != nil || p.HighWatermark != 300 {
		t.Fatalf("%v %v %+v", more, err, p)
	}
	got, _, err := record.NextBatch(p.Records)
	if err != nil || got.VerifyCRC() != nil || string(got[record.HeaderSize:]) != string(b[record.HeaderSize:]) {
		t.Fatal("the batch came back otherwise", err)
	}
	spec.ClusterID = "another"
	if _, err := newClient(t, spec).Check(testContext(t)); !errors.Is(err, kafka.ErrClusterIDMismatch) {
		t.Fatal(err)
	}
}

func testWrongPassword(t *testing.T, cluster *kafkalab.Cluster) {
	for _, l := range []kafkalab.Listener{kafkalab.SASLPlain(), kafkalab.SCRAM()} {
		good := specOf(cluster, l)
		known := newClient(t, good)
		m, err := known.Metadata(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		good.SASL.Password = "${env:KAFKATEST_WRONG}"
		c := newClient(t, good)
		if _, err := c.Metadata(testContext(t)); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("%s over kgo: %v", l.Name, err)
		}
		_, err = c.Dial(testContext(t), m.Brokers[0].ID)
		if !errors.Is(err, kerr.SaslAuthenticationFailed) || strings.Contains(err.Error(), "wr0ng") {
			t.Errorf("%s: %v", l.Name, err)
		}
	}
}

// testPipelined keeps five idempotent requests in flight, each with the next
// sequence, and sends the last five again.
func testPipelined(t *testing.T, c *kafka.Client) {
	ctx := testContext(t)
	topic := newTopic(t, c, "pipelined", 1)
	conn := dial(t, c, topic.Partitions[0].Leader)
	pid, epoch, err := conn.Broker().InitProducerID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	const total, perBatch, inFlight = 300, 7, 5
	ms := now()
	batch := func(i int) record.Batch {
		b := newBatch(perBatch, 100+i, ms)
		record.Rewrite(b, pid, epoch, int32(i*perBatch))
		return b
	}
	check := func(i int, a answer) {
		if a.err != nil || a.ErrorCode != 0 || a.BaseOffset != int64(i*perBatch) {
			t.Fatalf("batch %d: %+v, %v", i, a, kerr.ErrorForCode(a.ErrorCode))
		}
	}
	var waiting []<-chan answer
	for i := range total {
		if len(waiting) == inFlight {
			check(i-inFlight, <-waiting[0])
			waiting = waiting[1:]
		}
		waiting = append(waiting, produce(conn, topic, 0, batch(i)))
	}
	for i, w := range waiting {
		check(total-len(waiting)+i, <-w)
	}
	for i := total - 5; i < total; i++ { // known: acknowledged with the old offset, not written
		check(i, <-produce(conn, topic, 0, batch(i)))
	}
	leader := topic.Partitions[0]
	for name, b := range map[string]kafka.Broker{"own": conn.Broker(), "shared": c.Broker(leader.Leader)} {
		if _, end, err := b.OffsetForLeaderEpoch(ctx, topic.Name, 0, leader.LeaderEpoch, leader.LeaderEpoch); err != nil || end != total*perBatch {
			t.Errorf("%s: log end %d, %v", name, end, err)
		}
		states, err := b.DescribeProducers(ctx, topic.Name, 0)
		if err != nil || len(states) != 1 {
			t.Fatalf("%s: %+v, %v", name, states, err)
		}
		want := kafka.ProducerState{
			ID: pid, Epoch: int32(epoch), LastSequence: total*perBatch - 1, LastTimestamp: ms,
			CoordinatorEpoch: states[0].CoordinatorEpoch, TxnStartOffset: -1,
		}
		if states[0] != want {
			t.Errorf("%s: %+v", name, states[0])
		}
	}
}

// testRefusedInTheMiddle has five in flight of which the third is a gap: what
// is behind it is refused too, nothing lands out of order.
func testRefusedInTheMiddle(t *testing.T, c *kafka.Client) {
	topic := newTopic(t, c, "refused", 1)
	conn := dial(t, c, topic.Partitions[0].Leader)
	pid, epoch, err := conn.Broker().InitProducerID(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	var waiting []<-chan answer
	for _, seq := range []int32{0, 1, 3, 2, 4} {
		b := newBatch(1, 10, now())
		record.Rewrite(b, pid, epoch, seq)
		waiting = append(waiting, produce(conn, topic, 0, b))
	}
	for i, want := range []struct {
		code   int16
		offset int64
	}{{0, 0}, {0, 1}, {kerr.OutOfOrderSequenceNumber.Code, -1}, {0, 2}, {kerr.OutOfOrderSequenceNumber.Code, -1}} {
		if a := <-waiting[i]; a.err != nil || a.ErrorCode != want.code || a.BaseOffset != want.offset {
			t.Errorf("request %d: %+v", i, a)
		}
	}
	damaged := newBatch(1, 10, now())
	damaged[len(damaged)-2] ^= 1
	record.Rewrite(damaged, pid, epoch, 3) // does not hide the damage
	if a := <-produce(conn, topic, 0, damaged); a.err != nil || a.ErrorCode != kerr.CorruptMessage.Code {
		t.Errorf("damaged batch: %+v", a)
	}
}

func testCalls(t *testing.T, c *kafka.Client) {
	ctx := testContext(t)
	topic := newTopic(t, c, "calls", 2)
	leader := topic.Partitions[0]
	conn := dial(t, c, leader.Leader)
	ms := now()
	for i := range int64(3) {
		if a := <-produce(conn, topic, 0, newBatch(10, 10, ms+i*1000)); a.ErrorCode != 0 || a.err != nil {
			t.Fatalf("%+v", a)
		}
	}
	before := kadm.Offsets{}
	before.AddOffset("calls", 0, 5, -1)
	if resp, err := kadm.NewClient(c.Kgo()).DeleteRecords(ctx, before); err != nil || resp.Error() != nil {
		t.Fatal(err, resp.Error())
	}
	for name, b := range map[string]kafka.Broker{"own": conn.Broker(), "shared": c.Broker(leader.Leader)} {
		for _, q := range []struct {
			iso      kafka.Isolation
			at, want int64
		}{
			{kafka.ReadUncommitted, kafka.Latest, 30}, {kafka.ReadCommitted, kafka.Latest, 30},
			{kafka.ReadUncommitted, kafka.Earliest, 5}, {kafka.ReadUncommitted, ms + 1, 10}, {kafka.ReadUncommitted, ms + 1e9, -1},
		} {
			got, err := b.ListOffsets(ctx, q.iso, []kafka.OffsetQuery{
				{Topic: "absent", LeaderEpoch: -1, Timestamp: q.at},
				{Topic: "calls", LeaderEpoch: leader.LeaderEpoch, Timestamp: q.at},
				{Topic: "calls", Partition: 1, LeaderEpoch: -1, Timestamp: q.at},
			})
			if err != nil || got[1].Offset != q.want || got[1].Err != nil || got[2].Err != nil || !errors.Is(got[0].Err, kerr.UnknownTopicOrPartition) {
				t.Errorf("%s %+v: %+v, %v", name, q, got, err)
			}
		}
		if _, _, err := b.OffsetForLeaderEpoch(ctx, "calls", 0, leader.LeaderEpoch+1, 0); !errors.Is(err, kerr.UnknownLeaderEpoch) {
			t.Errorf("%s: %v", name, err)
		}
		if epoch, end, err := b.OffsetForLeaderEpoch(ctx, "calls", 0, -1, leader.LeaderEpoch+1); epoch != -1 || end != -1 || err != nil {
			t.Errorf("%s: %d %d %v", name, epoch, end, err)
		}
		if states, err := b.DescribeProducers(ctx, "calls", 0); len(states) != 0 || err != nil {
			t.Errorf("%s: %+v, %v", name, states, err)
		}
	}
	if yes, err := c.Supports(ctx, 61, 0); !yes || err != nil {
		t.Error("DescribeProducers", yes, err)
	}
	configs, err := c.TopicConfigs(ctx, "calls")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range configs {
		if (e.Name == "retention.ms") == e.Default {
			t.Errorf("%+v", e)
		}
	}
	settings, err := c.BrokerConfigs(ctx, leader.Leader)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range settings {
		found = found || e.Name == "producer.id.expiration.ms" && e.Value == "86400000"
	}
	if !found {
		t.Errorf("producer.id.expiration.ms is not among %d settings", len(settings))
	}
	if err := c.CreatePartitions(ctx, "calls", 3); err != nil {
		t.Error(err)
	}
	if err := c.CreatePartitions(ctx, "calls", 2); !errors.Is(err, kerr.InvalidPartitions) {
		t.Error(err)
	}
}

// testSession keeps an incremental fetch session whose second fetch waits for
// the record that comes meanwhile.
func testSession(t *testing.T, c *kafka.Client) {
	topic := newTopic(t, c, "session", 3)
	conn, other := dial(t, c, topic.Partitions[0].Leader), dial(t, c, topic.Partitions[0].Leader)
	var parts []kafka.FetchPartition
	for i := range int32(3) {
		parts = append(parts, kafka.FetchPartition{
			Topic: topic.Name, TopicID: topic.ID, Partition: i, LeaderEpoch: topic.Partitions[i].LeaderEpoch, LastFetchedEpoch: -1, MaxBytes: 1 << 20,
		})
	}
	session := int32(0)
	for epoch := range int32(4) {
		req := &kafka.FetchRequest{MinBytes: 1, MaxBytes: 1 << 20, SessionID: session, SessionEpoch: epoch}
		if epoch == 0 {
			req.Partitions = parts
		} else {
			req.MaxWait = 10e9
		}
		got := make(chan kafka.FetchResponse, 1)
		if err := conn.Fetch(req, func(r kafka.FetchResponse, err error) {
			if err != nil {
				t.Error(err)
			}
			got <- r
		}); err != nil {
			t.Fatal(err)
		}
		if epoch > 0 {
			if a := <-produce(other, topic, epoch-1, newBatch(int(epoch), 10, now())); a.err != nil || a.ErrorCode != 0 {
				t.Fatalf("%+v", a)
			}
		}
		r := <-got
		if r.Buf == nil || r.Err != nil || r.SessionID == 0 {
			t.Fatalf("%+v", r)
		}
		session = r.SessionID
		var p kafka.FetchedPartition
		seen := 0
		for {
			more, err := r.Next(&p)
			if err != nil {
				t.Fatal(err)
			}
			if !more {
				break
			}
			seen++
			if epoch > 0 && len(p.Records) > 0 && p.TopicID != topic.ID {
				t.Errorf("epoch %d: %+v", epoch, p)
			}
		}
		if seen == 0 {
			t.Errorf("epoch %d tells nothing", epoch)
		}
		r.Buf.Release()
	}
}

// testRecreated produces and fetches with the id of a topic that was deleted
// and made again.
func testRecreated(t *testing.T, c *kafka.Client) {
	old := newTopic(t, c, "recreated", 1)
	conn := dial(t, c, old.Partitions[0].Leader)
	if err := deleteTopic(t, c, "recreated"); err != nil {
		t.Fatal(err)
	}
	fresh := newTopic(t, c, "recreated", 1)
	if fresh.ID == old.ID {
		t.Fatal("same id")
	}
	a := <-produce(conn, old, 0, newBatch(1, 10, now()))
	version, err := conn.ProduceVersion(true)
	if err != nil || a.err != nil {
		t.Fatal(err, a.err)
	}
	if version >= 13 && a.ErrorCode != kerr.UnknownTopicID.Code || version < 13 && a.ErrorCode != 0 {
		t.Errorf("produce version %d: %+v", version, a)
	}
	r := fetch(t, conn, old, 0, 0)
	var p kafka.FetchedPartition
	if more, err := r.Next(&p); !more || err != nil || p.ErrorCode != kerr.UnknownTopicID.Code {
		t.Errorf("fetch version %d: %+v, %v", r.Version, p, err)
	}
}

package kafka

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"sluice/fsm"
)

// TestCopyThroughConns does what the copy path does: fetch closed batches
// from one topic, rewrite their headers in place, produce them five in flight.
func TestCopyThroughConns(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "from", "to"))
	c := testClient(t, spec)
	ctx := testContext(t)
	src, from := leaderConn(t, c, "from", 0)
	dst, to := leaderConn(t, c, "to", 0)
	const batches, perBatch = 20, 5
	var answers []<-chan produced
	for i := range batches {
		b := testBatch(0, perBatch, strings.Repeat("v", 100+i))
		answers = append(answers, produceAsync(t, src, &ProduceRequest{Timeout: time.Second, Partitions: []ProducePartition{
			{Topic: "from", TopicID: from.ID, Partition: 1, Batch: b},
			{Topic: "from", TopicID: from.ID, Partition: 0, Batch: append(Batch(nil), b...)},
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
	pid, epoch, err := dst.Broker().InitProducerID(ctx)
	if err != nil {
		t.Fatal(err)
	}

	got := get(t, fetchAsync(t, src, &FetchRequest{
		MaxWait: time.Second, MinBytes: 1, MaxBytes: 1 << 20, Isolation: ReadCommitted, SessionEpoch: -1,
		Partitions: []FetchPartition{
			{Topic: "from", TopicID: from.ID, Partition: 0, LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: 1 << 20},
			{Topic: "from", TopicID: from.ID, Partition: 1, Offset: batches * perBatch, LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: 1 << 20},
		},
	}))
	if got.err != nil || got.Err != nil {
		t.Fatal(got.err, got.Err)
	}
	var want []byte
	answers = nil
	seen := 0
	var p FetchedPartition
	for {
		more, err := got.Next(&p)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		seen++
		if p.ErrorCode != 0 || p.HighWatermark != batches*perBatch || p.TopicID != from.ID {
			t.Fatalf("%+v", p)
		}
		for rest := p.Records; ; {
			b, next, err := NextBatch(rest)
			if err != nil {
				t.Fatal(err)
			}
			if b == nil {
				break
			}
			rest = next
			want = append(want, b[HeaderSize:]...)
			if err := b.VerifyCRC(); err != nil {
				t.Fatal(err)
			}
			seq := int32(b.BaseOffset())
			Rewrite(b, pid, epoch, seq)
			answers = append(answers, produceAsync(t, dst, &ProduceRequest{Timeout: time.Second, Partitions: []ProducePartition{
				{Topic: "to", TopicID: to.ID, Partition: 0, Batch: b},
			}}))
		}
	}
	if seen == 0 || len(answers) != batches {
		t.Fatalf("fetched %d partitions, %d batches", seen, len(answers))
	}
	for i, a := range answers {
		r := get(t, a)
		if r.err != nil || r.Partitions[0].ErrorCode != 0 || r.Partitions[0].BaseOffset != int64(i*perBatch) {
			t.Fatalf("copy %d: %+v", i, r)
		}
	}
	got.Buf.Release()

	copied := get(t, fetchAsync(t, dst, &FetchRequest{
		MaxWait: time.Second, MinBytes: 1, MaxBytes: 1 << 20, SessionEpoch: -1,
		Partitions: []FetchPartition{{Topic: "to", Partition: 0, LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: 1 << 20}},
	}))
	if copied.err != nil || copied.Version != 12 {
		t.Fatalf("fetch by name: version %d, %v", copied.Version, copied.err)
	}
	defer copied.Buf.Release()
	if more, err := copied.Next(&p); !more || err != nil || string(p.Topic) != "to" {
		t.Fatal(more, err, string(p.Topic))
	}
	var have []byte
	for rest := p.Records; len(rest) > 0; {
		var b Batch
		if b, rest, err = NextBatch(rest); err != nil {
			t.Fatal(err)
		}
		if h := b.Header(); h.ProducerID != pid || h.BaseSequence != int32(h.BaseOffset) {
			t.Fatalf("%+v", h)
		}
		have = append(have, b[HeaderSize:]...)
	}
	if !bytes.Equal(want, have) {
		t.Fatal("copied records differ")
	}
	if s := dst.Stats(); s.Requests != batches+2 || s.Responses != batches+2 || s.BytesOut < int64(len(have)) || s.BytesIn < int64(len(have)) {
		t.Fatalf("%+v", s)
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
		{Topic: "t", Partition: 1, Batch: testBatch(0, 3, "x")},
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

func TestCalls(t *testing.T) {
	cluster, spec := testCluster(t, kfake.NumBrokers(2), kfake.ClusterID("abc"), kfake.SeedTopics(3, "t"))
	c := testClient(t, spec)
	ctx := testContext(t)
	if id, err := c.Check(ctx); id != "abc" || err != nil {
		t.Fatal(id, err)
	}
	id, err := c.CreateTopic(ctx, CreateTopic{Name: "new", Partitions: 2, ReplicationFactor: 1, Configs: map[string]string{"retention.ms": "1000"}})
	if err != nil || id == [16]byte{} {
		t.Fatal(id, err)
	}
	if _, err := c.CreateTopic(ctx, CreateTopic{Name: "new", Partitions: 2, ReplicationFactor: 1}); !errors.Is(err, kerr.TopicAlreadyExists) {
		t.Fatal(err)
	}
	if err := c.CreatePartitions(ctx, "new", 4); err != nil {
		t.Fatal(err)
	}
	if err := c.CreatePartitions(ctx, "new", 1); !errors.Is(err, kerr.InvalidPartitions) {
		t.Fatal(err)
	}
	all, err := c.AllMetadata(ctx)
	if err != nil || len(all.Topics) != 2 || len(all.Brokers) != 2 {
		t.Fatalf("%+v %v", all, err)
	}
	m, err := c.Metadata(ctx, "new", "absent")
	if err != nil || len(m.Topics) != 2 {
		t.Fatalf("%+v %v", m, err)
	}
	for _, topic := range m.Topics {
		if topic.Name == "new" && (len(topic.Partitions) != 4 || topic.ID != id) ||
			topic.Name == "absent" && !errors.Is(topic.Err, kerr.UnknownTopicOrPartition) {
			t.Fatalf("%+v", topic)
		}
	}
	configs, err := c.TopicConfigs(ctx, "new")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range configs {
		if e.Name == "retention.ms" {
			found = e.Value == "1000" && !e.Default
		} else if !e.Default {
			t.Errorf("%+v is not a default", e)
		}
	}
	if !found {
		t.Fatalf("%+v", configs)
	}
	if _, err := c.TopicConfigs(ctx, "absent"); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Fatal(err)
	}
	if b, err := c.BrokerConfigs(ctx, m.Brokers[0].ID); err != nil || len(b) == 0 {
		t.Fatal(b, err)
	}
	for _, want := range []struct {
		key, version int16
		yes          bool
	}{{keyFetch, 13, true}, {keyFetch, 200, false}, {1000, 0, false}} {
		if yes, err := c.Supports(ctx, want.key, want.version); yes != want.yes || err != nil {
			t.Fatal(want, yes, err)
		}
	}
	_ = cluster
}

// TestBrokerCalls asks the same over shared connections and over one of our
// own.
func TestBrokerCalls(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "t"))
	c := testClient(t, spec)
	conn, topic := leaderConn(t, c, "t", 0)
	for i := range 3 {
		b := testBatch(0, 10, "x")
		ts := 1_700_000_000_000 + int64(i)*1000
		b.SetTimestamps(ts, ts)
		b.UpdateCRC()
		if r := get(t, produceAsync(t, conn, &ProduceRequest{Timeout: time.Second, Partitions: []ProducePartition{
			{Topic: "t", TopicID: topic.ID, Partition: 0, Batch: b},
		}})); r.err != nil || r.Partitions[0].ErrorCode != 0 {
			t.Fatalf("%+v", r)
		}
	}
	for name, b := range map[string]Broker{"shared": c.Broker(conn.BrokerID()), "own": conn.Broker()} {
		t.Run(name, func(t *testing.T) { checkBrokerCalls(t, c, b) })
	}
	if start, err := c.DeleteRecords(testContext(t), "t", 0, 15); start != 15 || err != nil {
		t.Fatal(start, err)
	}
	got, err := conn.Broker().ListOffsets(testContext(t), ReadUncommitted, []OffsetQuery{{"t", 0, -1, Earliest}})
	if err != nil || got[0].Offset != 15 {
		t.Fatal(got, err)
	}
}

func checkBrokerCalls(t *testing.T, c *Client, b Broker) {
	ctx := testContext(t)
	for _, want := range []struct {
		iso  Isolation
		at   int64
		want int64
	}{
		{ReadUncommitted, Latest, 30}, {ReadCommitted, Latest, 30}, {ReadUncommitted, Earliest, 0},
		{ReadUncommitted, 1_700_000_001_000, 10}, {ReadUncommitted, 1_800_000_000_000, -1},
	} {
		got, err := b.ListOffsets(ctx, want.iso, []OffsetQuery{{"absent", 0, -1, want.at}, {"t", 0, -1, want.at}, {"t", 1, -1, want.at}})
		if err != nil {
			t.Fatal(err)
		}
		if !errors.Is(got[0].Err, kerr.UnknownTopicOrPartition) || got[1].Err != nil || got[1].Offset != want.want || got[2].Offset > 0 {
			t.Errorf("%+v: %+v", want, got)
		}
	}
	if _, err := b.ListOffsets(ctx, ReadUncommitted, []OffsetQuery{{"t", 0, -1, Latest}, {"t", 0, -1, Earliest}}); err == nil {
		t.Error("a partition asked for twice is taken")
	}
	m, err := c.Metadata(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	epoch := m.Topics[0].Partitions[0].LeaderEpoch
	if e, end, err := b.OffsetForLeaderEpoch(ctx, "t", 0, epoch, epoch); e != epoch || end != 30 || err != nil {
		t.Error(e, end, err)
	}
	if _, _, err := b.OffsetForLeaderEpoch(ctx, "t", 0, epoch+5, epoch); !errors.Is(err, kerr.UnknownLeaderEpoch) {
		t.Error(err)
	}
	if _, err := b.DescribeProducers(ctx, "t", 0); err != nil {
		t.Error(err)
	}
	if _, err := b.DescribeProducers(ctx, "absent", 0); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Error(err)
	}
	one, _, err := b.InitProducerID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if two, _, err := b.InitProducerID(ctx); err != nil || two == one {
		t.Error(one, two, err)
	}
}

func TestOldBroker(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"), kfake.MaxVersions(kversion.V2_6_0()))
	c := testClient(t, spec)
	conn, topic := leaderConn(t, c, "t", 0)
	for name, b := range map[string]Broker{"shared": c.Broker(conn.BrokerID()), "own": conn.Broker()} {
		if _, err := b.DescribeProducers(testContext(t), "t", 0); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := conn.Fetch(&FetchRequest{}, nil); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
	r := get(t, produceAsync(t, conn, &ProduceRequest{Timeout: time.Second, Partitions: []ProducePartition{
		{Topic: "t", TopicID: topic.ID, Partition: 0, Batch: testBatch(0, 1, "x")},
	}}))
	if r.err != nil && !errors.Is(r.err, ErrUnsupported) {
		t.Error(r.err)
	}
}

func TestClusterIDMismatch(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.ClusterID("real"))
	spec.ClusterID = "pinned"
	c := testClient(t, spec)
	if id, err := c.Check(testContext(t)); id != "real" || !errors.Is(err, ErrClusterIDMismatch) {
		t.Fatal(id, err)
	}
	if _, err := c.Dial(testContext(t), 0); !errors.Is(err, ErrClusterIDMismatch) {
		t.Fatal(err)
	}
}

// TestPoolReplaces changes the object of a Kafka cluster under a Client.
func TestPoolReplaces(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	p := testPool(t)
	ctx := testContext(t)
	first, err := p.Client(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	conn, _ := leaderConn(t, first, "t", 0)
	spec.ClusterID, spec.Datacenter = "pinned", "dc"
	if same, _ := p.Client(ctx, spec); same != first || same.Spec().ClusterID != "pinned" {
		t.Fatal("pinning a cluster id made another client")
	}
	spec.ClusterID = "other"
	second, err := p.Client(ctx, spec)
	if err != nil || second == first {
		t.Fatal("another cluster id made no other client", err)
	}
	get(t, conn.Done())
	if !errors.Is(conn.Err(), ErrClosed) {
		t.Fatal(conn.Err())
	}
	if _, err := first.Dial(ctx, conn.BrokerID()); err == nil {
		t.Fatal("a closed client dials")
	}
	p.Close()
	if _, err := p.Client(ctx, spec); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestDialUnknownBroker(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1))
	if _, err := testClient(t, spec).Dial(testContext(t), 77); !errors.Is(err, ErrUnknownBroker) {
		t.Fatal(err)
	}
}

// TestRequestThrough passes a request that this package does not know by
// name over a Conn.
func TestRequestThrough(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	conn, _ := leaderConn(t, testClient(t, spec), "t", 0)
	req := kmsg.NewPtrDescribeClusterRequest()
	resp, err := req.RequestWith(testContext(t), conn)
	if err != nil || len(resp.Brokers) != 1 {
		t.Fatalf("%+v %v", resp, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := conn.Request(ctx, kmsg.NewPtrDescribeClusterRequest()); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if resp, err = req.RequestWith(testContext(t), conn); err != nil || len(resp.Brokers) != 1 {
		t.Fatalf("after a request given up: %+v %v", resp, err)
	}
}

func TestSASL(t *testing.T) {
	for _, mech := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mech, func(t *testing.T) {
			_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"), kfake.EnableSASL(), kfake.Superuser(mech, "u", "s3cret"))
			file := filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(file, []byte("wr0ng\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			spec.SASL = &fsm.SASL{Mechanism: mech, Username: "u", Password: "${file:" + file + "}"}
			p := testPool(t, func(c *Config) { c.RequestTimeout = 2 * time.Second })
			c, err := p.Client(testContext(t), spec)
			if err != nil {
				t.Fatal(err)
			}
			c.brokers = map[int32]BrokerInfo{0: brokerAt(t, spec.Bootstrap[0])}
			if _, err := c.Dial(testContext(t), 0); err == nil || strings.Contains(err.Error(), "wr0ng") {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			conn, _ := leaderConn(t, c, "t", 0)
			if _, _, err := conn.Broker().InitProducerID(testContext(t)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestUnknownMechanism(t *testing.T) {
	spec := fsm.KafkaCluster{Name: "k", Bootstrap: []string{"127.0.0.1:1"}, SASL: &fsm.SASL{Mechanism: "GSSAPI"}}
	if _, err := testPool(t).Client(testContext(t), spec); err == nil {
		t.Fatal("GSSAPI is taken")
	}
}

func TestTLS(t *testing.T) {
	ca, cert := testCertificate(t)
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}}))
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	spec.TLS = &fsm.TLS{CA: "${file:" + file + "}"}
	conn, topic := leaderConn(t, testClient(t, spec), "t", 0)
	batch := testBatch(0, 1000, strings.Repeat("x", 1000))
	for i := range 3 {
		r := get(t, produceAsync(t, conn, &ProduceRequest{Timeout: time.Second, Partitions: []ProducePartition{
			{Topic: "t", TopicID: topic.ID, Partition: 0, Batch: batch},
		}}))
		if r.err != nil || r.Partitions[0].BaseOffset != int64(i*1000) {
			t.Fatalf("%+v", r)
		}
	}
	spec.TLS = &fsm.TLS{CA: string(ca), ServerName: "other.example"}
	c := testClient(t, spec)
	c.brokers = map[int32]BrokerInfo{0: brokerAt(t, spec.Bootstrap[0])}
	var wrong *tls.CertificateVerificationError
	if _, err := c.Dial(testContext(t), 0); !errors.As(err, &wrong) {
		t.Fatal(err)
	}
	spec.TLS = &fsm.TLS{CA: "not PEM"}
	if _, err := testPool(t).Client(testContext(t), spec); err == nil {
		t.Fatal("a CA that is no PEM is taken")
	}
}

// testCertificate returns a self-signed certificate for 127.0.0.1, as PEM and
// with its key.
func testCertificate(t *testing.T) ([]byte, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"}, DNSNames: []string{"localhost"},
		IPAddresses: loopback(), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestInitProducerIDWhileLoading: the broker has no block of ids yet.
func TestInitProducerIDWhileLoading(t *testing.T) {
	cluster, spec := testCluster(t, kfake.NumBrokers(1))
	refused := 0
	cluster.ControlKey(22, func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if refused++; refused > 2 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ErrorCode = kerr.CoordinatorLoadInProgress.Code
		return resp, nil, true
	})
	c := testClient(t, spec)
	if id, _, err := c.Broker(0).InitProducerID(testContext(t)); err != nil || id < 0 || refused != 3 {
		t.Fatal(id, err, refused)
	}
}

package fillers

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/filler"
	"sluice/test/faults"
	"sluice/test/kafkalab"
	"sluice/test/scratch"
	"sluice/test/wait"
)

func TestMain(m *testing.M) { os.Exit(scratch.Together(m, 20).Run()) }

// lab is a cluster behind a proxy.
type lab struct {
	*kafkalab.Cluster
	proxy  *faults.KafkaProxy
	client *kafka.Client // of the test itself
	plain  *kgo.Client   // appends data, past the proxy
}

// start starts brokers that look at the time of transactions every half second.
func start(t *testing.T, version string, brokers int) *lab {
	t.Helper()
	kafkalab.Require(t)
	l := &lab{proxy: faults.NewKafkaProxy()}
	t.Cleanup(l.proxy.Close)
	settings := map[string]string{
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
	}
	if brokers == 1 { // controllers that have no leader yet would let nobody vote
		settings["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
		settings["allow.everyone.if.no.acl.found"] = "true"
	}
	l.Cluster = kafkalab.Start(t, kafkalab.Config{Version: version, Brokers: brokers, AdvertisedVia: l.proxy.Via, Overrides: settings})
	l.client = l.newClient(t, "test")
	var err error
	if l.plain, err = l.DirectClient(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.plain.Close)
	return l
}

func (l *lab) newClient(t *testing.T, id string) *kafka.Client {
	t.Helper()
	return l.newClientAt(t, id, l.Bootstrap())
}

func (l *lab) newClientAt(t *testing.T, id string, bootstrap []string) *kafka.Client {
	t.Helper()
	cfg := kafka.DefaultConfig()
	cfg.ClientID = id
	pool, err := kafka.NewPool(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	c, err := pool.Client(t.Context(), fsm.KafkaCluster{Name: "k", Bootstrap: bootstrap})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var topics atomic.Int32 // counts names

// part is a partition that is written to: data by the test, gaps by fillers.
type part struct {
	*lab
	client   *kafka.Client // asks where it is
	topic    string
	number   int32
	id       string   // of its filler
	end      int64    // where the log is to end
	data     []int64  // offsets of data
	gaps     [][2]int // from, to
	overshot int64    // offsets that markers took beyond gaps
}

// parts makes a topic of n partitions; replicas nil: as brokers place them.
func (l *lab) parts(t *testing.T, n int32, replicas []int32) []*part {
	t.Helper()
	topic := kafkalab.Topic{Name: fmt.Sprintf("t%d", topics.Add(1)), Partitions: n}
	for range n {
		if replicas != nil {
			topic.Assignment = append(topic.Assignment, replicas)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait.Patience)
	defer cancel()
	if err := l.CreateTopic(ctx, topic); err != nil {
		t.Fatal(err)
	}
	out := make([]*part, n)
	for i := range out {
		out[i] = &part{lab: l, client: l.client, topic: topic.Name, number: int32(i), id: filler.IDOf("l", topic.Name, int32(i))}
	}
	return out
}

func (l *lab) part(t *testing.T) *part { t.Helper(); return l.parts(t, 1, nil)[0] }

// place is where the partition is.
func (p *part) place(ctx context.Context) (filler.Partition, error) {
	m, err := p.client.Metadata(ctx, p.topic)
	if err != nil {
		return filler.Partition{}, err
	}
	at := m.Topics[0].Partitions
	if len(at) <= int(p.number) || at[p.number].Leader < 0 {
		return filler.Partition{}, fmt.Errorf("%s/%d has no leader", p.topic, p.number)
	}
	return filler.Partition{Topic: p.topic, Partition: p.number, Leader: at[p.number].Leader, LeaderEpoch: at[p.number].LeaderEpoch}, nil
}

// logEnd is where the leader says that the log ends.
func (p *part) logEnd(ctx context.Context) (end int64, err error) {
	at, err := p.place(ctx)
	if err == nil {
		_, end, err = p.client.Broker(at.Leader).OffsetForLeaderEpoch(ctx, p.topic, p.number, at.LeaderEpoch, at.LeaderEpoch)
	}
	return max(end, 0), err
}

func (p *part) endIs(t *testing.T, want int64) {
	t.Helper()
	if end, err := p.logEnd(t.Context()); err != nil || end != want {
		t.Fatalf("%s/%d ends at %d, want %d: %v", p.topic, p.number, end, want, err)
	}
}

// write appends a record of data, which comes to stand at the end.
func (p *part) write(t *testing.T) {
	t.Helper()
	r, err := p.plain.ProduceSync(t.Context(), &kgo.Record{Topic: p.topic, Partition: p.number, Value: fmt.Append(nil, len(p.data))}).First()
	if err != nil {
		t.Fatal(err)
	}
	if r.Offset != p.end {
		t.Fatalf("data at %d of %s/%d, want %d", r.Offset, p.topic, p.number, p.end)
	}
	p.data, p.end = append(p.data, r.Offset), p.end+1
}

// gap is k offsets to be taken at the end.
func (p *part) gap(k int64) filler.Gap {
	g := filler.Gap{From: p.end, Count: k, Timestamp: time.Now().UnixMilli()}
	p.end += k
	p.gaps = append(p.gaps, [2]int{int(g.From), int(p.end)})
	return g
}

// owner is a node: it opens fillers.
type owner struct {
	name string
	*filler.Fillers
}

func (l *lab) owner(t *testing.T, name string) *owner {
	t.Helper()
	o := &owner{name, filler.New(l.newClient(t, name))}
	t.Cleanup(o.Close)
	return o
}

func (o *owner) open(t *testing.T, p *part) *filler.Filler {
	t.Helper()
	at, err := p.place(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f, err := o.Open(t.Context(), at, p.id)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func fill(t *testing.T, f *filler.Filler, g filler.Gap) {
	t.Helper()
	if end, err := f.Fill(t.Context(), g); err != nil || end != g.From+g.Count {
		t.Fatalf("%d offsets from %d: the log ends at %d, %v", g.Count, g.From, end, err)
	}
}

// check reads the whole log, committed and as it is: readers of committed data
// see the data, at its offsets, and all of it; fillers' records stand inside the
// gaps, and outside of them nothing does but markers that were written twice.
func (p *part) check(t *testing.T) {
	t.Helper()
	want := map[int64]bool{}
	for _, at := range p.data {
		want[at] = true
	}
	p.read(t, kgo.ReadCommitted(), func(r *kgo.Record) {
		if !want[r.Offset] && !r.Attrs.IsControl() {
			t.Errorf("a reader of committed data sees offset %d of %s/%d, key %q", r.Offset, p.topic, p.number, r.Key)
		}
		delete(want, r.Offset)
	})
	if len(want) > 0 {
		t.Errorf("%d records of %s/%d are missing to readers of committed data", len(want), p.topic, p.number)
	}
	for _, at := range p.data {
		want[at] = true
	}
	next, gaps, beyond := int64(0), p.gaps, int64(0)
	p.read(t, kgo.ReadUncommitted(), func(r *kgo.Record) {
		if r.Offset != next {
			t.Errorf("offset %d of %s/%d follows %d", r.Offset, p.topic, p.number, next-1)
		}
		next = r.Offset + 1
		for len(gaps) > 0 && r.Offset >= int64(gaps[0][1]) {
			gaps = gaps[1:]
		}
		inside := len(gaps) > 0 && r.Offset >= int64(gaps[0][0])
		switch {
		case inside == !want[r.Offset] && inside:
		case want[r.Offset] && !inside:
		case r.Attrs.IsControl():
			beyond++
		default:
			t.Errorf("a record with key %q at %d of %s/%d, outside of all gaps", r.Key, r.Offset, p.topic, p.number)
		}
	})
	if beyond != p.overshot {
		t.Errorf("%d markers beyond the gaps of %s/%d, %d were seen", beyond, p.topic, p.number, p.overshot)
	}
	if next != p.end {
		t.Errorf("%s/%d ends at %d, want %d", p.topic, p.number, next, p.end)
	}
}

// read gives f all records, markers too, up to the end that a reader of the
// kind is told: for one of committed data the last stable offset.
func (p *part) read(t *testing.T, iso kgo.IsolationLevel, f func(*kgo.Record)) {
	t.Helper()
	cl, err := p.DirectClient(kgo.FetchIsolationLevel(iso), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{p.topic: {p.number: kgo.NewOffset().At(0)}}))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), wait.Patience)
	defer cancel()
	for next := int64(0); next < p.end; {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatalf("reading %s/%d from %d of %d: %v", p.topic, p.number, next, p.end, err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			f(r)
		})
	}
}

// coordinator is the broker that coordinates a transactional id.
func (l *lab) coordinator(t *testing.T, id string) (broker int32) {
	t.Helper()
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = 1, id, []string{id}
	wait.For(t, 50*time.Millisecond, wait.Patience, "the coordinator of "+id, func() error {
		resp, err := req.RequestWith(t.Context(), l.plain)
		if err != nil {
			return err
		}
		if broker = resp.NodeID; len(resp.Coordinators) > 0 {
			broker = resp.Coordinators[0].NodeID
		}
		if broker < 0 {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	return broker
}

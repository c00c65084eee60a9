package verify

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/test/load"
)

// facts is the replicated facts of one node, without Raft.
type facts struct {
	mu    sync.Mutex
	state *fsm.State
	index uint64
}

func (f *facts) View() *fsm.View {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state.View()
}

func (f *facts) must(t *testing.T, cmds ...fsm.Command) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range cmds {
		b, err := fsm.Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		f.index++
		if r, err := f.state.Apply(f.index, b); err != nil || r.Refused != fsm.RefusedNot {
			t.Fatalf("%T: %+v, %v", c, r, err)
		}
	}
}

// lab is two kfake clusters with a link between them.
type lab struct {
	t        *testing.T
	ctx      context.Context
	pool     *kafka.Pool
	catalog  *catalog.Catalog
	facts    *facts
	us, eu   *kafka.Client
	usP, euP *kgo.Client
	usAddrs  []string
	fake     map[string]*kfake.Cluster
	jobs     *Jobs
}

func newLab(t *testing.T, partitions int32, configs map[string]string) *lab {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	pool, err := kafka.NewPool(kafka.DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	l := &lab{t: t, ctx: ctx, pool: pool, facts: &facts{state: fsm.NewState()}, fake: map[string]*kfake.Cluster{}}
	usSpec, euSpec := fsm.KafkaCluster{Name: "us"}, fsm.KafkaCluster{Name: "eu"}
	l.us, l.usP = l.cluster(&usSpec)
	l.eu, l.euP = l.cluster(&euSpec)
	l.usAddrs = usSpec.Bootstrap
	for _, c := range []*kafka.Client{l.us, l.eu} {
		if _, err := c.CreateTopic(ctx, kafka.CreateTopic{Name: "orders", Partitions: partitions, ReplicationFactor: 1, Configs: configs}); err != nil {
			t.Fatal(err)
		}
	}
	link := fsm.LinkSpec{Name: "us-eu", Source: "us", Target: "eu", Include: []string{"orders"}, Copies: fsm.CopiesSkipFromTarget, State: fsm.StateRunning}
	add := &fsm.StreamsAdd{Link: 1}
	for p := range partitions {
		add.Streams = append(add.Streams, fsm.StreamKey{Topic: "orders", Partition: p, TargetTopic: "orders"})
	}
	l.facts.must(t, &fsm.ClusterInit{ClusterID: "c"}, &fsm.NodePut{Node: fsm.Node{ID: "n", Name: "n1"}},
		&fsm.Objects{Kafka: []fsm.KafkaCluster{usSpec, euSpec}, Links: []fsm.LinkPut{{Spec: link}}}, add)
	cfg := DefaultConfig()
	cfg.Wait, cfg.Retry, cfg.Pause, cfg.FetchBytes = 200*time.Millisecond, 2*time.Second, time.Millisecond, 4<<10
	l.catalog = catalog.New(catalog.DefaultConfig(), pool, l.facts.View, slog.New(slog.DiscardHandler))
	t.Cleanup(l.catalog.Close)
	if l.jobs, err = New(cfg, l.catalog, l.facts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.jobs.Close)
	return l
}

func (l *lab) cluster(spec *fsm.KafkaCluster) (*kafka.Client, *kgo.Client) {
	c, err := kfake.NewCluster(kfake.NumBrokers(2), kfake.ClusterID("id-"+spec.Name))
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(c.Close)
	l.fake[spec.Name] = c
	spec.Bootstrap = c.ListenAddrs()
	client, err := l.pool.Client(l.ctx, *spec)
	if err != nil {
		l.t.Fatal(err)
	}
	return client, l.producer(c.ListenAddrs())
}

func (l *lab) producer(addrs []string, opts ...kgo.Opt) *kgo.Client {
	p, err := kgo.NewClient(append(opts, kgo.SeedBrokers(addrs...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(10*time.Millisecond))...)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(p.Close)
	return p
}

// numbered is the n-th of a partition.
func numbered(partition int32, n int) *kgo.Record {
	r := &kgo.Record{
		Topic: "orders", Partition: partition, Timestamp: time.UnixMilli(1_700_000_000_000 + int64(n)),
		Key: fmt.Append(nil, "key", n), Value: fmt.Append(nil, strings.Repeat("value ", n%40), n),
	}
	if n%3 == 0 {
		r.Headers = []kgo.RecordHeader{{Key: "h", Value: []byte{byte(n)}}, {Key: "null"}}
	}
	if n%7 == 0 {
		r.Value = nil
	}
	return r
}

// put produces records from to to-1, changed by change, which may drop one
// (nil) or repeat it.
func (l *lab) put(p *kgo.Client, partition int32, from, to int, change func(n int, r *kgo.Record) []*kgo.Record) {
	l.t.Helper()
	var batch []*kgo.Record
	for n := from; n < to; n++ {
		r := numbered(partition, n)
		if change == nil {
			batch = append(batch, r)
		} else {
			batch = append(batch, change(n, r)...)
		}
	}
	if err := p.ProduceSync(l.ctx, batch...).FirstErr(); err != nil {
		l.t.Fatal(err)
	}
}

// mapped gives all streams the same mapping and progress.
func (l *lab) mapped(phase fsm.Phase, progress fsm.Progress, segs ...fsm.Segment) {
	l.t.Helper()
	for t := range l.facts.View().Tasks {
		if t.Kind != fsm.KindCopy {
			continue
		}
		if t.Turn == 0 {
			l.facts.must(l.t, &fsm.Assign{Items: []fsm.Assignment{{Task: t.ID, Turn: t.Turn, To: "n"}}})
		}
		version := uint32(1)
		if t.Copy.Mapping != nil {
			version += t.Copy.Mapping.Version
		}
		l.facts.must(l.t, &fsm.MappingPut{Task: t.ID, Turn: max(t.Turn, 1), Mapping: fsm.Mapping{Version: version, Phase: phase, Segments: segs}, Progress: progress})
	}
}

// verify runs a job to its end.
func (l *lab) verify() Status {
	l.t.Helper()
	j, err := l.jobs.Start(Request{Link: "us-eu"})
	if err != nil {
		l.t.Fatal(err)
	}
	select {
	case <-j.Ended():
	case <-l.ctx.Done():
		l.t.Fatal("the job does not end")
	}
	return j.Status()
}

func (l *lab) wantCounts(s Status, want Counts) {
	l.t.Helper()
	if s.State != Done || s.Err != "" {
		l.t.Fatalf("%s %s", s.State, s.Err)
	}
	if s.Result.Counts != want {
		l.t.Errorf("got  %+v\nwant %+v\nfaults %+v", s.Result.Counts, want, s.Result.Faults)
	}
}

// wantVerdict compares how it came out, and why something was left out.
func (l *lab) wantVerdict(s Status, want Verdict, left ...Why) {
	l.t.Helper()
	var got []Why
	for _, x := range s.Result.LeftOut {
		got = append(got, x.Why)
	}
	if v := s.Result.Verdict(); v != want || !slices.Equal(got, left) {
		l.t.Errorf("%s, want %s; left out %+v, want %v", v, want, s.Result.LeftOut, left)
	}
}

// relink changes what the link selects.
func (l *lab) relink(include ...string) {
	l.t.Helper()
	spec := l.facts.View().LinkNamed("us-eu").Spec
	spec.Include = include
	l.facts.must(l.t, &fsm.Objects{Links: []fsm.LinkPut{{Spec: spec}}})
}

// trim moves a partition's log start on, as retention does.
func (l *lab) trim(c *kafka.Client, partition int32, before int64) {
	if err := load.DeleteRecords(l.ctx, []kgo.Opt{kgo.SeedBrokers(c.Spec().Bootstrap...)}, "orders", partition, before); err != nil {
		l.t.Fatal(err)
	}
}

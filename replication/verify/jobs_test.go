package verify

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/kafka"
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
	facts    *facts
	us, eu   *kafka.Client
	usP, euP *kgo.Client
	usAddrs  []string
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
	l := &lab{t: t, ctx: ctx, pool: pool, facts: &facts{state: fsm.NewState()}}
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
	cfg.Wait, cfg.Retry, cfg.FetchBytes = 200*time.Millisecond, 2*time.Second, 4<<10
	if l.jobs, err = New(cfg, pool, l.facts); err != nil {
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

// record is the n-th of a partition.
func record(partition int32, n int) *kgo.Record {
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
		r := record(partition, n)
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
		if t.Mapping != nil {
			version += t.Mapping.Version
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

func TestEqualSides(t *testing.T) {
	l := newLab(t, 3, nil)
	for p := range int32(2) { // the third stays empty
		l.put(l.usP, p, 0, 500, nil)
		l.put(l.euP, p, 0, 200, nil)
		l.put(l.euP, p, 200, 500, nil)
	}
	l.mapped(fsm.PhaseDense, fsm.Progress{}, segments(0, 0)...)
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 1000})
	if !s.Result.Equal() || s.Records != 1000 || s.Offsets != 1000 || s.Total != 1000 || s.Partitions != 3 || s.Compared != 3 || s.Finished.IsZero() {
		t.Errorf("%+v", s)
	}
}

func TestShiftedSides(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 100, nil)
	l.put(l.euP, 0, 1000, 1010, nil) // what was there before
	l.put(l.euP, 0, 40, 100, nil)
	l.mapped(fsm.PhaseDense, fsm.Progress{}, segments(40, 10)...)
	l.wantCounts(l.verify(), Counts{Compared: 60})
}

func TestEveryFieldIsCompared(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 60, nil)
	l.put(l.euP, 0, 0, 60, func(n int, r *kgo.Record) []*kgo.Record {
		switch n {
		case 10:
			r.Key = []byte("other")
		case 15:
			r.Value = append(r.Value, 'x')
		case 21: // null became empty
			r.Value = []byte{}
		case 24:
			r.Headers[0].Value = []byte("other")
		case 27:
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: "more"})
		case 31:
			r.Timestamp = r.Timestamp.Add(time.Millisecond)
		}
		return []*kgo.Record{r}
	})
	l.mapped(fsm.PhaseDense, fsm.Progress{}, segments(0, 0)...)
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 54, Differing: 6})
	if s.Result.Equal() {
		t.Error("told to be equal")
	}
	for i, want := range []struct {
		at  int64
		say string
	}{{10, "key"}, {15, "value"}, {21, "value"}, {24, "headers"}, {27, "headers"}, {31, "timestamp (1700000000031 at the source, 1700000000032"}} {
		f := s.Result.Faults[i]
		if f.Kind != Differing || f.Topic != "orders" || f.Source != want.at || f.Target != want.at || !strings.HasPrefix(f.Message, want.say) {
			t.Errorf("fault %+v, want %d %s", f, want.at, want.say)
		}
	}
}

func TestLostAndRepeatedRecords(t *testing.T) {
	l := newLab(t, 2, nil)
	for p := range int32(2) {
		l.put(l.usP, p, 0, 300, nil)
	}
	l.put(l.euP, 0, 0, 300, func(n int, r *kgo.Record) []*kgo.Record {
		if n == 100 {
			return nil
		}
		return []*kgo.Record{r}
	})
	l.put(l.euP, 1, 0, 300, nil)
	l.put(l.euP, 1, 290, 300, nil) // a batch written twice
	l.mapped(fsm.PhaseDense, fsm.Progress{Source: 300, Target: 300}, segments(0, 0)...)
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 599, Missing: 1, OffsetMismatch: 199, Extra: 10})
	if f := s.Result.Faults[0]; f.Kind != Missing || f.Partition != 0 || f.Source != 100 {
		t.Errorf("%+v", f)
	}
}

// A tail that is not copied yet is waited for, and is no fault.
func TestTailThatIsNotCopiedYet(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 100, nil)
	l.put(l.euP, 0, 0, 70, nil)
	l.mapped(fsm.PhaseDense, fsm.Progress{Source: 60, Target: 60}, segments(0, 0)...)
	l.wantCounts(l.verify(), Counts{Compared: 70, Behind: 30})

	l.jobs.cfg.Wait = time.Minute
	j, err := l.jobs.Start(Request{Link: "us-eu"})
	if err != nil {
		t.Fatal(err)
	}
	l.put(l.euP, 0, 70, 100, nil)
	<-j.Ended()
	l.wantCounts(j.Status(), Counts{Compared: 100})
}

// A tail that was acknowledged and is gone is a fault.
func TestTailThatTheTargetLost(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 100, nil)
	l.put(l.euP, 0, 0, 70, nil)
	l.mapped(fsm.PhaseDense, fsm.Progress{Source: 90, Target: 90}, segments(0, 0)...)
	l.wantCounts(l.verify(), Counts{Compared: 70, Missing: 20, Behind: 10})
}

func TestStreamsWithoutMapping(t *testing.T) {
	l := newLab(t, 2, nil)
	l.put(l.usP, 0, 0, 10, nil)
	l.wantCounts(l.verify(), Counts{Behind: 10})
}

func TestTrimmedHeads(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 50, nil)
	l.put(l.usP, 0, 50, 100, nil)
	for n := range 10 {
		l.put(l.euP, 0, n*10, n*10+10, nil)
	}
	l.mapped(fsm.PhaseDense, fsm.Progress{}, segments(0, 0)...)
	if _, err := l.us.DeleteRecords(l.ctx, "orders", 0, 20); err != nil {
		t.Fatal(err)
	}
	l.wantCounts(l.verify(), Counts{Compared: 80, Trimmed: 20})
	if _, err := l.eu.DeleteRecords(l.ctx, "orders", 0, 30); err != nil {
		t.Fatal(err)
	}
	l.wantCounts(l.verify(), Counts{Compared: 70, Trimmed: 30})
}

// Transactions: aborted records and markers are not at the target.
func TestTransactions(t *testing.T) {
	l := newLab(t, 1, nil)
	txn := l.producer(l.usAddrs, kgo.TransactionalID("x"))
	next := 0
	transaction := func(n int, commit kgo.TransactionEndTry) {
		if err := txn.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		l.put(txn, 0, next, next+n, nil)
		next += n
		if err := txn.EndTransaction(l.ctx, commit); err != nil {
			t.Fatal(err)
		}
	}
	transaction(3, kgo.TryCommit) // 0 1 2, marker 3
	transaction(4, kgo.TryAbort)  // 4 5 6 7, marker 8
	transaction(5, kgo.TryCommit) // 9 to 13, marker 14
	l.put(l.usP, 0, next, next+2, nil)
	l.put(l.euP, 0, 0, 3, nil)
	l.put(l.euP, 0, 7, 14, nil)
	segs := segments(0, 0, 9, 3, 15, 8)
	l.mapped(fsm.PhaseTranslated, fsm.Progress{Source: 17, Target: 10}, segs...)
	l.wantCounts(l.verify(), Counts{Compared: 10})

	// What lies beyond the progress is not judged: its segments may come yet.
	l.mapped(fsm.PhaseTranslated, fsm.Progress{Source: 14, Target: 8}, segs[:2]...)
	l.wantCounts(l.verify(), Counts{Compared: 8, Behind: 3})
	// The markers were ignored by the mapping: offsets are not as promised.
	l.mapped(fsm.PhaseTranslated, fsm.Progress{Source: 17, Target: 10}, segs[0])
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 10, OffsetMismatch: 7})
}

func TestCompactedTopic(t *testing.T) {
	l := newLab(t, 1, map[string]string{"cleanup.policy": "compact"})
	even := func(n int, r *kgo.Record) []*kgo.Record {
		if n%2 == 0 {
			return nil
		}
		return []*kgo.Record{r}
	}
	l.put(l.usP, 0, 0, 20, nil)
	l.put(l.euP, 0, 0, 20, even)
	// Offsets tell what belongs together; here the mapping says so.
	var segs []fsm.Segment
	for n := range int64(10) {
		segs = append(segs, fsm.Segment{Source: 2*n + 1, Target: n})
	}
	l.mapped(fsm.PhaseDense, fsm.Progress{}, segs...)
	l.wantCounts(l.verify(), Counts{Compared: 10, Skipped: 9})
}

// Batches of a link that copies the other way are not copied back, and not
// compared.
func TestLoopedBatchesArePassedOver(t *testing.T) {
	l := newLab(t, 1, nil)
	back := fsm.LinkSpec{Name: "eu-us", Source: "eu", Target: "us", Include: []string{"orders"}, State: fsm.StateRunning}
	l.facts.must(t, &fsm.Objects{Links: []fsm.LinkPut{{Spec: back}}})
	looped := l.producer(l.usAddrs)
	l.put(l.usP, 0, 0, 10, nil)
	l.put(looped, 0, 100, 105, nil)
	l.put(l.usP, 0, 10, 20, nil)
	id, _, err := looped.ProducerID(l.ctx)
	if err != nil {
		t.Fatal(err)
	}
	l.facts.must(t, &fsm.LinkProducer{Link: 2, ProducerID: id, Prev: -1})
	l.put(l.euP, 0, 0, 20, nil)
	l.mapped(fsm.PhaseTranslated, fsm.Progress{Source: 25, Target: 20}, segments(0, 0, 15, 10)...)
	l.wantCounts(l.verify(), Counts{Compared: 20})
}

func TestJobsAreFoundCancelledAndForgotten(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 10, nil)
	l.mapped(fsm.PhaseDense, fsm.Progress{}, segments(0, 0)...)
	l.jobs.cfg.Wait, l.jobs.cfg.Keep = time.Hour, 2
	j, err := l.jobs.Start(Request{Link: "us-eu"})
	if err != nil {
		t.Fatal(err)
	}
	id := j.Status().ID
	again, err := l.jobs.Get(id)
	if err != nil || again != j || again.Status().State != Running {
		t.Fatalf("%v %v", again, err)
	}
	if err := l.jobs.Cancel(id); err != nil {
		t.Fatal(err)
	}
	<-j.Ended()
	if s := j.Status(); s.State != Cancelled || s.Err != "" {
		t.Errorf("%+v", s)
	}
	if _, err := l.jobs.Get("v99"); !errors.Is(err, ErrNoJob) {
		t.Error(err)
	}
	if err := l.jobs.Cancel("v99"); !errors.Is(err, ErrNoJob) {
		t.Error(err)
	}
	if _, err := l.jobs.Start(Request{Link: "other"}); !errors.Is(err, ErrNoLink) {
		t.Error(err)
	}
	if _, err := l.jobs.Start(Request{Link: "us-eu", Topics: []string{"other"}}); !errors.Is(err, ErrNoStreams) {
		t.Error(err)
	}
	var ids []string
	for range 3 {
		j, err := l.jobs.Start(Request{Link: "us-eu", Topics: []string{"orders"}})
		if err != nil {
			t.Fatal(err)
		}
		l.jobs.Cancel(j.Status().ID)
		<-j.Ended()
	}
	for _, j := range l.jobs.List() {
		ids = append(ids, j.Status().ID)
	}
	if want := []string{"v3", "v4"}; !reflect.DeepEqual(ids, want) {
		t.Errorf("kept %v, want %v", ids, want)
	}
}

// What cannot be read fails the job and is named; the rest is compared.
func TestUnreadablePartitionFailsTheJob(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 10, nil)
	l.put(l.euP, 0, 0, 10, nil)
	l.facts.must(t, &fsm.StreamsAdd{Link: 1, Streams: []fsm.StreamKey{{Topic: "gone", TargetTopic: "gone"}}})
	l.mapped(fsm.PhaseDense, fsm.Progress{}, segments(0, 0)...)
	s := l.verify()
	if s.State != Failed || !strings.Contains(s.Err, "gone/0") || s.Compared != 1 || s.Result.Compared != 10 {
		t.Errorf("%+v", s)
	}
}

func TestRecreatedTopicFailsTheJob(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 10, nil)
	l.put(l.euP, 0, 0, 10, nil)
	l.facts.must(t, &fsm.Assign{Items: []fsm.Assignment{{Task: 2, To: "n"}}}, &fsm.MappingPut{Task: 2, Turn: 1,
		Mapping: fsm.Mapping{Version: 1, Phase: fsm.PhaseDense, SourceTopicID: fsm.TopicID{1}, Segments: segments(0, 0)}})
	if s := l.verify(); s.State != Failed || !strings.Contains(s.Err, errTopicChanged.Error()) {
		t.Errorf("%+v", s)
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

package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/task"
)

// control is a control plane of one node: facts, no Raft.
type control struct {
	task.Control // nil: nothing else of it is used

	t     *testing.T
	mu    sync.Mutex
	state *fsm.State
	index uint64
	lost  bool // another node owns the task
}

func newControl(t *testing.T, cmds ...fsm.Command) *control {
	return newControlOf(t, "sluice-a", cmds...)
}

func newControlOf(t *testing.T, sluice string, cmds ...fsm.Command) *control {
	c := &control{t: t, state: fsm.NewState()}
	c.propose(&fsm.ClusterInit{ClusterID: sluice})
	for _, cmd := range cmds {
		c.propose(cmd)
	}
	return c
}

func (c *control) propose(cmd fsm.Command) {
	c.t.Helper()
	if r, err := c.Propose(context.Background(), cmd); err != nil || r.Refused != fsm.RefusedNot {
		c.t.Fatalf("%T: %v %+v", cmd, err, r)
	}
}

func (c *control) View() *fsm.View {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.View()
}

func (c *control) Propose(_ context.Context, cmd fsm.Command) (fsm.Result, error) {
	b, err := fsm.Encode(cmd)
	if err != nil {
		return fsm.Result{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index++
	return c.state.Apply(c.index, b)
}

func (c *control) ConfirmOwner(context.Context, fsm.TaskID, uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost {
		return errors.New("not the owner")
	}
	return nil
}

func (c *control) Record(ev fsm.Event) {
	if _, err := c.Propose(context.Background(), &fsm.EventsAdd{Events: []fsm.Event{ev}}); err != nil {
		c.t.Error(err)
	}
}

// streams lists the link's streams as "topic/partition>target".
func (c *control) streams() string {
	var out []string
	for t := range c.View().Tasks {
		if t.Kind == fsm.KindCopy {
			out = append(out, fmt.Sprintf("%s/%d>%s", t.Copy.Stream.Topic, t.Copy.Stream.Partition, t.Copy.Stream.TargetTopic))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (c *control) events(code fsm.Code) (n int) {
	for _, e := range c.View().LinkEvents(1).All() {
		if e.Code == code {
			n += int(e.Count)
		}
	}
	return n
}

// leaderless takes the leader of a partition away until back is called.
func (l *lab) leaderless(cluster, topic string, partition int32) (back func()) {
	h := l.brokersOf[cluster].Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: topic, Partitions: []int32{partition}, Err: kerr.NotLeaderForPartition, Count: -1})
	return h.Remove
}

// last is the last event of a code.
func (c *control) last(code fsm.Code) (e fsm.Event) {
	for _, x := range c.View().LinkEvents(1).Events {
		if x.Code == code {
			e = *x
		}
	}
	return e
}

// lab is two kfake clusters and clients of both.
type lab struct {
	t          *testing.T
	ctx        context.Context
	pool       *kafka.Pool
	catalog    *catalog.Catalog
	ctl        atomic.Pointer[control] // whose facts the catalog has
	us, eu     fsm.KafkaCluster
	usC, euC   *kafka.Client
	usLog, euL *kgo.Client // plain clients, to produce with
	brokersOf  map[string]*kfake.Cluster
}

func newLab(t *testing.T) *lab {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	pool, err := kafka.NewPool(kafka.DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	l := &lab{t: t, ctx: ctx, pool: pool, brokersOf: map[string]*kfake.Cluster{}}
	l.us, l.usC, l.usLog = l.cluster("us")
	l.eu, l.euC, l.euL = l.cluster("eu")
	l.ctl.Store(newControl(t, &fsm.Objects{Kafka: []fsm.KafkaCluster{l.us, l.eu}}))
	l.catalog = catalog.New(catalog.DefaultConfig(), pool, func() *fsm.View { return l.ctl.Load().View() }, slog.New(slog.DiscardHandler))
	t.Cleanup(l.catalog.Close)
	return l
}

// atTarget is the target as the catalog has it.
func (l *lab) atTarget() *catalog.Cluster { return l.catalog.Cluster("eu") }

func (l *lab) cluster(name string) (fsm.KafkaCluster, *kafka.Client, *kgo.Client) {
	c, err := kfake.NewCluster(kfake.NumBrokers(2), kfake.ClusterID("id-"+name))
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(c.Close)
	l.brokersOf[name] = c
	spec := fsm.KafkaCluster{Name: name, Bootstrap: c.ListenAddrs()}
	client, err := l.pool.Client(l.ctx, spec)
	if err != nil {
		l.t.Fatal(err)
	}
	plain, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(plain.Close)
	return spec, client, plain
}

func (l *lab) create(c *kafka.Client, name string, partitions int32, configs map[string]string) {
	l.t.Helper()
	if _, err := c.CreateTopic(l.ctx, kafka.CreateTopic{Name: name, Partitions: partitions, ReplicationFactor: 1, Configs: configs}); err != nil {
		l.t.Fatal(err)
	}
}

// brokers sets what holds for all topics of a Kafka cluster where nothing is
// set on them.
func (l *lab) brokers(c *kafka.Client, name, value string) {
	l.t.Helper()
	got, err := kadm.NewClient(c.Kgo()).AlterBrokerConfigs(l.ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: name, Value: &value}})
	if err != nil || got[0].Err != nil {
		l.t.Fatal(err, got)
	}
}

func (l *lab) produce(c *kgo.Client, topic string, partition int32, n int) {
	l.t.Helper()
	for i := range n {
		if err := c.ProduceSync(l.ctx, &kgo.Record{Topic: topic, Partition: partition, Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *lab) deleteTopic(c *kafka.Client, name string) {
	l.t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TopicNames = []string{name}
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = &name
	req.Topics = append(req.Topics, topic)
	if _, err := req.RequestWith(l.ctx, c.Kgo()); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) partitions(c *kafka.Client, topic string) int {
	l.t.Helper()
	m, err := c.Metadata(l.ctx, topic)
	if err != nil {
		l.t.Fatal(err)
	}
	return len(m.Topics[0].Partitions)
}

func spec() fsm.LinkSpec {
	return fsm.LinkSpec{Name: "us-eu", Source: "us", Target: "eu", Include: []string{"orders", "pay-*"}, Start: fsm.StartEarliest, Offsets: fsm.OffsetsAuto, ReplicationFactor: 1, State: fsm.StateRunning}
}

// start applies the link and runs its task.
func (l *lab) start(s fsm.LinkSpec) (*control, *Task) {
	l.t.Helper()
	ctl := newControl(l.t, &fsm.Objects{Kafka: []fsm.KafkaCluster{l.us, l.eu}, Links: []fsm.LinkPut{{Spec: s}}, At: 1})
	return ctl, l.run(ctl)
}

func (l *lab) run(ctl *control) *Task { return l.runTask(ctl, 1) }

func (l *lab) runTask(ctl *control, id fsm.TaskID) *Task {
	l.t.Helper()
	l.ctl.Store(ctl)
	cfg := DefaultConfig()
	cfg.Node, cfg.Interval, cfg.ClaimEvery = "n1", 20*time.Millisecond, 100*time.Millisecond
	cfg.CompareEvery = 100 * time.Millisecond
	r, err := New(cfg, l.catalog, ctl, slog.New(slog.DiscardHandler))
	if err != nil {
		l.t.Fatal(err)
	}
	t := r.StartTask(l.ctx, ctl.View().Task(id))
	l.t.Cleanup(func() {
		t.Drain()
		<-t.Done()
	})
	return t
}

func (l *lab) until(what string, f func() bool) {
	l.t.Helper()
	for !f() {
		select {
		case <-l.ctx.Done():
			l.t.Fatalf("never: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// rounds waits until the Task has looked n more times.
func (l *lab) rounds(r *Task, n int) {
	l.t.Helper()
	for range n {
		at := r.measure.Load()
		l.until("another round", func() bool { return r.measure.Load() != at })
	}
}

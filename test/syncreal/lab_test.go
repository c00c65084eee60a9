package syncreal

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	linktask "sluice/replication/link"
	"sluice/task"
	"sluice/test/kafkalab"
)

// control is a control plane of one node without Raft.
type control struct {
	task.Control // nil: nothing else of it is used

	mu    sync.Mutex
	state *fsm.State
	index uint64
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

func (c *control) ConfirmOwner(context.Context, fsm.TaskID, uint64) error { return nil }

func (c *control) Record(ev fsm.Event) {
	_, _ = c.Propose(context.Background(), &fsm.EventsAdd{Events: []fsm.Event{ev}}) // an event in memory
}

// lab is clients of both clusters and empty facts.
type lab struct {
	*testing.T
	ctx      context.Context
	pool     *kafka.Pool
	catalog  *catalog.Catalog
	ctl      *control
	us, eu   fsm.KafkaCluster
	usC, euC *kafka.Client
	usP, euP *kgo.Client // plain clients that choose partitions by hand
}

// TestOnRealBrokers shares two clusters, a source on 4.3.1 and a target on
// 3.9.1. Each test has topics and facts of its own.
func TestOnRealBrokers(t *testing.T) {
	kafkalab.Require(t)
	quick := map[string]string{"log.cleaner.backoff.ms": "100", "log.retention.check.interval.ms": "1000", "log.retention.ms": "-1"}
	src, dst := kafkalab.StartPair(t, kafkalab.Config{Version: kafkalab.V4, Overrides: quick},
		kafkalab.Config{Version: kafkalab.V3, Overrides: map[string]string{"log.cleaner.backoff.ms": "100", "log.retention.hours": "168", "log.retention.check.interval.ms": "1000", "log.initial.task.delay.ms": "1000"}})
	t.Run("preflight", func(t *testing.T) { preflight(newLab(t, src, dst)) })
	t.Run("rebuilt batches", func(t *testing.T) { rebuiltBatches(newLab(t, src, dst)) })
	t.Run("removed at the target alone", func(t *testing.T) { removedAtTheTargetAlone(newLab(t, src, dst)) })
	t.Run("created under a quota", func(t *testing.T) { createdUnderAQuota(newLab(t, src, dst)) })
	t.Run("topics between versions", func(t *testing.T) { topicsBetweenVersions(newLab(t, src, dst)) })
}

func newLab(t *testing.T, src, dst *kafkalab.Cluster) *lab {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // for hangs
	t.Cleanup(cancel)
	pool, err := kafka.NewPool(kafka.DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{T: t, ctx: ctx, pool: pool, ctl: &control{state: fsm.NewState()}}
	l.us, l.usC, l.usP = l.cluster("us", src)
	l.eu, l.euC, l.euP = l.cluster("eu", dst)
	t.Cleanup(pool.Close)
	l.catalog = catalog.New(catalog.DefaultConfig(), pool, l.ctl.View, slog.New(slog.DiscardHandler))
	t.Cleanup(l.catalog.Close)
	l.propose(&fsm.ClusterInit{ClusterID: "sluice-a"})
	l.propose(&fsm.NodePut{Node: fsm.Node{ID: "n", Name: "n1"}})
	return l
}

func (l *lab) cluster(name string, c *kafkalab.Cluster) (fsm.KafkaCluster, *kafka.Client, *kgo.Client) {
	spec := fsm.KafkaCluster{Name: name, Bootstrap: c.Bootstrap()}
	client, err := l.pool.Client(l.ctx, spec)
	if err != nil {
		l.Fatal(err)
	}
	return spec, client, l.producer(spec)
}

func (l *lab) producer(spec fsm.KafkaCluster, opts ...kgo.Opt) *kgo.Client {
	l.Helper()
	p, err := kgo.NewClient(append(opts, kgo.SeedBrokers(spec.Bootstrap...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(50*time.Millisecond))...)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(p.Close)
	return p
}

// within is the lab for a subtest.
func (l *lab) within(t *testing.T) *lab {
	sub := *l
	sub.T = t
	return &sub
}

func (l *lab) propose(cmd fsm.Command) {
	l.Helper()
	if r, err := l.ctl.Propose(l.ctx, cmd); err != nil || r.Refused != fsm.RefusedNot {
		l.Fatalf("%T: %+v, %v", cmd, r, err)
	}
}

func (l *lab) create(c *kafka.Client, topic string, partitions int32, configs map[string]string) {
	l.Helper()
	l.until("topic "+topic+" may be created", func() bool {
		_, err := c.CreateTopic(l.ctx, kafka.CreateTopic{Name: topic, Partitions: partitions, ReplicationFactor: 1, Configs: configs})
		if err != nil && !errors.Is(err, kerr.ThrottlingQuotaExceeded) { // brokers obey for a while a quota that is no more
			l.Fatal(err)
		}
		return err == nil
	})
}

func (l *lab) produce(p *kgo.Client, records ...*kgo.Record) {
	l.Helper()
	if err := p.ProduceSync(l.ctx, records...).FirstErr(); err != nil {
		l.Fatal(err)
	}
}

// metadata waits until every partition of the topic has a leader that takes
// requests, which is a moment later.
func (l *lab) metadata(c *kafka.Client, topic string) kafka.TopicMetadata {
	l.Helper()
	var t kafka.TopicMetadata
	l.until("leaders of "+topic, func() bool {
		m, err := c.Metadata(l.ctx, topic)
		if err != nil || m.Topics[0].Err != nil {
			return false
		}
		t = m.Topics[0]
		return !slices.ContainsFunc(t.Partitions, func(p kafka.PartitionMetadata) bool {
			q := kafka.OffsetQuery{Topic: topic, Partition: p.Partition, LeaderEpoch: -1, Timestamp: kafka.Latest}
			got, err := c.Broker(p.Leader).ListOffsets(l.ctx, kafka.ReadUncommitted, []kafka.OffsetQuery{q})
			return p.Leader < 0 || err != nil || got[0].Err != nil
		})
	})
	return t
}

func (l *lab) until(what string, f func() bool) {
	l.Helper()
	for !f() {
		select {
		case <-l.ctx.Done():
			l.Fatalf("never: %s", what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// link applies a link and runs its task.
func (l *lab) link(spec fsm.LinkSpec) *linktask.Task {
	l.Helper()
	l.propose(&fsm.Objects{Kafka: []fsm.KafkaCluster{l.us, l.eu}, Links: []fsm.LinkPut{{Spec: spec}}})
	cfg := linktask.DefaultConfig()
	cfg.Node, cfg.CompareEvery = "n1", time.Second
	r, err := linktask.New(cfg, l.catalog, l.ctl, slog.New(slog.DiscardHandler))
	if err != nil {
		l.Fatal(err)
	}
	t := r.StartTask(l.ctx, l.ctl.View().Task(1))
	l.Cleanup(func() {
		t.Drain()
		<-t.Done()
	})
	return t
}

// streams lists the copy tasks of a topic.
func (l *lab) streams(topic string) []*fsm.Task {
	var out []*fsm.Task
	for t := range l.ctl.View().Tasks {
		if t.Kind == fsm.KindCopy && t.Copy.Stream.Topic == topic {
			out = append(out, t)
		}
	}
	return out
}

func (l *lab) config(c *kafka.Client, topic, name string) string {
	l.Helper()
	entries, err := c.TopicConfigs(l.ctx, topic)
	if err != nil {
		l.Fatal(err)
	}
	for _, e := range entries {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

func has(texts []string, part string) bool {
	return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, part) })
}

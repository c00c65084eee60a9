package system

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/test/kafkalab"
	"sluice/test/load"
	"sluice/test/rig"
)

// Proving reports whether the full counts are asked for.
func Proving() bool { return os.Getenv("SLUICE_PROVE") != "" }

// Rounds is how often a fault is made: full when proving, else few.
func Rounds(few, full int) int {
	if Proving() {
		return full
	}
	return few
}

// WorldConfig says what a World is made of.
type WorldConfig struct {
	Nodes        Options
	Source       kafkalab.Config
	Target       kafkalab.Config
	Partitions   int32             // of the one topic, 24 when 0
	Replicas     int16             // 1 when 0
	TopicConfigs map[string]string // of the source topic
	Rate         int               // records/s, 1,000 when 0
	Select       string            // the line of the link's spec that selects topics, AllTopics when empty
	Link         string            // further lines of the link's spec
}

// World is two real Kafka clusters, three node processes, a link and a load
// on it: 1,000 records/s of 1 KB over 24 partitions unless said otherwise.
type World struct {
	*Nodes
	t      testing.TB
	Src    *kafkalab.Cluster
	Dst    *kafkalab.Cluster
	Topic  load.Topic
	Load   *load.Producer
	Watch  *load.Watcher
	stop   context.CancelFunc // of the load
	loaded chan error
}

// NewWorld starts everything and waits until all partitions copy under load.
func NewWorld(t testing.TB, cfg WorldConfig) *World {
	t.Helper()
	kafkalab.Require(t)
	if cfg.Nodes.Nodes == 0 {
		cfg.Nodes.Nodes = 3
	}
	if cfg.Partitions == 0 {
		cfg.Partitions = 24
	}
	w := &World{t: t, Topic: load.Topic{Name: "orders", Partitions: cfg.Partitions}}
	w.Src, w.Dst = kafkalab.StartPair(t, cfg.Source, cfg.Target)
	w.Nodes = Start(t, cfg.Nodes)
	topic := kafkalab.Topic{Name: w.Topic.Name, Partitions: cfg.Partitions, Replicas: cfg.Replicas, Configs: cfg.TopicConfigs}
	if err := w.Src.CreateTopic(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	w.Ready()
	w.Apply(LinkYAML(w.Src, w.Dst, cmp.Or(cfg.Select, AllTopics)+cfg.Link))
	w.Copying(w.List()[0], int(cfg.Partitions), 60*time.Second)
	w.startLoad(cfg)
	return w
}

// LinkYAML is a link "us-eu" between two clusters as a manifest; lines go on
// with its spec.
func LinkYAML(src, dst *kafkalab.Cluster, lines string) string {
	return fmt.Sprintf(`
apiVersion: sluice/v1
kind: KafkaCluster
metadata: {name: us}
spec: {bootstrap: [%s]}
---
apiVersion: sluice/v1
kind: KafkaCluster
metadata: {name: eu}
spec: {bootstrap: [%s]}
---
apiVersion: sluice/v1
kind: Link
metadata: {name: us-eu}
spec:
  source: us
  target: eu
%s`, quoted(src.Bootstrap()), quoted(dst.Bootstrap()), lines)
}

// AllTopics is the line of a link's spec that selects every topic.
const AllTopics = "  topics: {include: [\"*\"]}\n"

func quoted(addrs []string) string { return `"` + strings.Join(addrs, `", "`) + `"` }

// startLoad starts load and watcher; they end with the test.
func (w *World) startLoad(cfg WorldConfig) {
	rate := cfg.Rate
	if rate == 0 {
		rate = 1000
	}
	seed := uint64(time.Now().UnixNano())
	w.t.Logf("seed %d", seed)
	var err error
	if w.Load, err = load.NewProducer(load.Config{Client: Opts(w.t, w.Src), Topics: []load.Topic{w.Topic}, Rate: rate, Seed: seed}); err != nil {
		w.t.Fatal(err)
	}
	w.Watch = load.NewWatcher(Opts(w.t, w.Dst), w.Topic)
	ctx, stop := context.WithCancel(context.Background())
	w.stop, w.loaded = stop, make(chan error, 1)
	go func() { w.loaded <- w.Load.Run(ctx) }()
	watching, end := context.WithCancel(context.Background())
	watched := make(chan error, 1)
	go func() { watched <- w.Watch.Run(watching) }()
	w.t.Cleanup(func() { stop(); end(); <-watched })
	w.Moving(30 * time.Second)
}

// Opts reach a cluster's plaintext listener.
func Opts(t testing.TB, c *kafkalab.Cluster) []kgo.Opt {
	t.Helper()
	o, err := c.ClientOpts(kafkalab.Plaintext())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Fill produces what the load says, all of it.
func Fill(t testing.TB, c *kafkalab.Cluster, cfg load.Config) {
	t.Helper()
	cfg.Client = Opts(t, c)
	p, err := load.NewProducer(cfg)
	if err == nil {
		err = p.Run(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Same waits until all of a topic is copied, and demands that both sides are
// equal: none missing, none twice, none out of order, offsets identical.
func Same(t testing.TB, src, dst *kafkalab.Cluster, topic string) load.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	from, to, topics := Opts(t, src), Opts(t, dst), []string{topic}
	if err := load.WaitCopied(ctx, from, to, topics, load.Options{}); err != nil {
		t.Fatal(err)
	}
	r, err := load.Compare(ctx, from, to, topics, load.Options{})
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("both sides are equal: %v", r)
	return r
}

// Moving marks the moment and waits until every partition has got a record
// that was produced after it; it returns the longest gap.
func (w *World) Moving(within time.Duration) load.Gap {
	w.t.Helper()
	w.Watch.Mark()
	return w.moved(within)
}

func (w *World) moved(within time.Duration) load.Gap {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), within)
	defer cancel()
	gaps, err := w.Watch.WaitNew(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return gaps[0]
}

// After makes the fault and returns how long each partition went without a
// new record from then on, the longest first.
func (w *World) After(fault func(), within time.Duration) []load.Gap {
	w.t.Helper()
	w.Watch.Mark()
	fault()
	w.moved(within)
	return w.Watch.Gaps()
}

// Equal ends the load and demands that both sides are the Same.
func (w *World) Equal() load.Report {
	w.t.Helper()
	w.stop()
	if err := <-w.loaded; err != nil && !errors.Is(err, context.Canceled) {
		w.t.Fatal(err)
	}
	return Same(w.t, w.Src, w.Dst, w.Topic.Name)
}

// Owns returns the partitions that a node owns, as "topic/partition".
func (w *World) Owns(ask, node *Node) map[string]bool {
	out := map[string]bool{}
	for p, owner := range w.Owners(ask) {
		if owner == node.Name {
			out[p] = true
		}
	}
	return out
}

// Spread waits until every node owns some partitions and none has changed
// hands for a while: one that is being handed over belongs to two nodes.
func (w *World) Spread() {
	w.t.Helper()
	var last map[string]string
	since := time.Now()
	rig.Until(w.t, 40*time.Second, "every node owns partitions, and none moves", func() bool {
		owners := w.Owners(w.alive())
		if !maps.Equal(owners, last) {
			last, since = owners, time.Now()
		}
		busy := map[string]bool{}
		for _, o := range owners {
			busy[o] = true
		}
		return len(busy) == len(w.List()) && time.Since(since) > 4*time.Second
	})
}

// alive is a node that answers.
func (w *World) alive() *Node {
	for _, n := range w.List() {
		if n.Status() != nil {
			return n
		}
	}
	w.t.Fatal("no node answers")
	return nil
}

// Settle lets time pass that the fault or the measurement itself needs.
func Settle(t testing.TB, d time.Duration) {
	began := time.Now()
	rig.Until(t, d+5*time.Second, "time passes", func() bool { return time.Since(began) > d })
}

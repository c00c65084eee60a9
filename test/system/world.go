package system

import (
	"cmp"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/test/claim"
	"sluice/test/kafkalab"
	"sluice/test/load"
	"sluice/test/wait"
)

// WorldConfig says what a World is made of.
type WorldConfig struct {
	Nodes        Options
	Source       kafkalab.Config
	Target       kafkalab.Config
	Partitions   int32             // of the one topic; 0: 24 when proving, else 12
	Replicas     int16             // 1 when 0
	TopicConfigs map[string]string // of the source topic
	Rate         int               // records/s; 0: 1,000 when proving, else 300
	Select       string            // the line of the link's spec that selects topics, AllTopics when empty
	Link         string            // further lines of the link's spec
}

// World is two real Kafka clusters, three node processes, a link and a load of
// records of 1 KB on it.
type World struct {
	*Nodes
	t     *testing.T
	cfg   WorldConfig
	Src   *kafkalab.Cluster
	Dst   *kafkalab.Cluster
	Topic load.Topic
	flow  *flow // nil where no load is on
	Watch *load.Watcher
}

// NewWorld starts everything and waits until all partitions copy under load.
func NewWorld(t *testing.T, cfg WorldConfig) *World {
	t.Helper()
	kafkalab.Require(t)
	cfg.Nodes.Nodes = cmp.Or(cfg.Nodes.Nodes, 3)
	cfg.Partitions = cmp.Or(cfg.Partitions, int32(claim.Rounds(12, 24)))
	cfg.Rate = cmp.Or(cfg.Rate, claim.Rounds(300, 1000))
	w := &World{t: t, cfg: cfg, Topic: load.Topic{Name: "orders", Partitions: cfg.Partitions}}
	w.Nodes = Start(t, cfg.Nodes) // they find each other while the brokers start
	w.Src, w.Dst = kafkalab.StartPair(t, cfg.Source, cfg.Target)
	topic := kafkalab.Topic{Name: w.Topic.Name, Partitions: cfg.Partitions, Replicas: cfg.Replicas, Configs: cfg.TopicConfigs}
	if err := w.Src.CreateTopic(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	w.Ready()
	w.Apply(LinkYAML(w.Src, w.Dst, cmp.Or(cfg.Select, AllTopics)+cfg.Link))
	w.Copying(w.List()[0], int(cfg.Partitions))
	w.startLoad()
	return w
}

// Scenario runs f as a subtest under load. Both sides must be equal at its
// end. A world in which one has failed is no place for the next.
func (w *World) Scenario(name string, f func(*testing.T)) {
	whole := w.t
	defer w.tell(whole)
	if !whole.Run(name, func(t *testing.T) {
		w.tell(t)
		if w.flow == nil {
			w.startLoad()
		}
		f(t)
		w.Equal()
	}) {
		whole.FailNow()
	}
}

// tell makes t the test that fails where the world does.
func (w *World) tell(t *testing.T) { w.t, w.Nodes.t = t, t }

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
	ctx := t.Context()
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
// hands for a while: one that is being handed over belongs to two nodes, and
// the leader plans again every second.
func (w *World) Spread() {
	w.t.Helper()
	still := time.Duration(claim.Rounds(2500, 4000)) * time.Millisecond
	var last map[string]string
	since := time.Now()
	until(w.t, "every node owns partitions, and none moves", func() error {
		owners := w.Owners(w.alive())
		if !maps.Equal(owners, last) {
			last, since = owners, time.Now()
		}
		busy := map[string]int{}
		for _, o := range owners {
			busy[o]++
		}
		if len(busy) == len(w.List()) && time.Since(since) > still {
			return nil
		}
		return fmt.Errorf("partitions by owner: %v", busy)
	})
}

// Settle lets time pass that the fault or the measurement itself needs.
func Settle(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// until polls f until it returns nil, and fails when its error, which tells
// how far things are, has said nothing new for long. An answer of a node costs
// it something: it is not asked all the time.
func until(t testing.TB, what string, f func() error) {
	t.Helper()
	wait.For(t, 100*time.Millisecond, wait.Patience, what, f)
}

package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/test/claim"
	"sluice/test/faults"
	"sluice/test/kafkalab"
	"sluice/test/load"
	"sluice/test/rig"
	"sluice/test/system"
)

// many are topics at rest, on three nodes: one record in each partition.
type many struct {
	topics, partitions int32 // partitions of each
	nodes              int
}

func (m many) streams() int { return int(m.topics * m.partitions) }

// idleBars bound what they cost: Metadata requests a second and Kafka cluster
// of all nodes together; CPU-s a minute and resident MB of a node.
type idleBars struct{ metadata, cpu, rss float64 }

// TestIdle: partitions at rest cost next to nothing, 5,000 of them as the
// absolute bars say when proving. Else few of them, which may ask as rarely,
// and not much more CPU than the same nodes without a link in the same run.
func TestIdle(t *testing.T) {
	kafkalab.Require(t)
	m, bars := many{topics: 150, partitions: 2, nodes: 3}, idleBars{metadata: 2, rss: 60}
	if claim.Full() {
		m.topics, bars = 2500, idleBars{metadata: 2, cpu: 2, rss: 100}
	}
	l := newIdleLab(t, m)
	got := l.rest(t, system.Build(t, ""))
	if bars.cpu == 0 {
		bars.cpu = 4*got.without + 0.5
	}
	for i, side := range []string{"source", "target"} {
		if got.metadata[i] > bars.metadata {
			t.Errorf("%.2f Metadata requests/s at the %s, at most %.1f", got.metadata[i], side, bars.metadata)
		}
	}
	if got.cpu > bars.cpu {
		t.Errorf("%.2f CPU-s a minute and node, at most %.2f", got.cpu, bars.cpu)
	}
	if got.rss > bars.rss {
		t.Errorf("%.0f MB, at most %.0f", got.rss, bars.rss)
	}
}

// TestIdleBesideBase shows the same of the commit SLUICE_BASE before it.
func TestIdleBesideBase(t *testing.T) {
	kafkalab.Require(t)
	both := programs(t)
	m := many{topics: 150, partitions: 2, nodes: 3}
	if claim.Full() {
		m.topics = 2500
	}
	l := newIdleLab(t, m)
	s := &series{}
	for i, p := range both {
		got := l.rest(t, p.binary)
		s.add(i, "source Metadata requests/s", got.metadata[0])
		s.add(i, "target Metadata requests/s", got.metadata[1])
		s.add(i, "CPU-s a minute and node", got.cpu)
		s.add(i, "RSS MB, largest node", got.rss)
		s.add(i, "seconds from apply to all copied", got.took.Seconds())
	}
	s.judge(t)
}

// idleLab are two Kafka clusters whose requests are counted, and the topics.
type idleLab struct {
	many
	proxies  [2]*faults.KafkaProxy
	src, dst *kafkalab.Cluster
}

func newIdleLab(t *testing.T, m many) *idleLab {
	t.Helper()
	l := &idleLab{many: m}
	var configs [2]kafkalab.Config
	for i := range configs {
		l.proxies[i] = faults.NewKafkaProxy()
		t.Cleanup(l.proxies[i].Close)
		configs[i] = quick
		configs[i].HeapMB, configs[i].AdvertisedVia = 1024, l.proxies[i].Via
		configs[i].Overrides = map[string]string{"log.index.size.max.bytes": "4096"} // two of them, mapped, for each partition
	}
	l.src, l.dst = kafkalab.StartPair(t, configs[0], configs[1])
	var names []string
	fill := load.Config{Records: int64(m.streams()), Size: 100, Seed: 1}
	for i := range m.topics {
		topic := load.Topic{Name: fmt.Sprintf("t%04d", i), Partitions: m.partitions}
		names, fill.Topics = append(names, topic.Name), append(fill.Topics, topic)
	}
	err := l.src.Admin(func(adm *kadm.Client) error {
		for part := range slices.Chunk(names, 100) {
			if _, err := adm.CreateTopics(t.Context(), m.partitions, 1, nil, part...); err != nil {
				return err
			}
		}
		rig.Until(t, 5*time.Minute, "every partition is led", func() bool {
			ends, err := adm.ListEndOffsets(t.Context(), names...)
			return err == nil && ends.Error() == nil
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	system.Fill(t, l.src, fill)
	return l
}

// idling is what a node cluster at rest costs.
type idling struct {
	metadata [2]float64    // requests/s at source and target
	cpu      float64       // CPU-s a minute and node
	without  float64       // the same before there was a link
	rss      float64       // MB, of the largest node
	took     time.Duration // from apply until all was copied
}

// rest has nodes copy all topics and measures them once they rest; the copies
// are deleted afterwards.
func (l *idleLab) rest(t *testing.T, binary string) idling {
	t.Helper()
	n := system.Start(t, system.Options{Nodes: l.nodes, Binary: binary})
	n.Ready()
	var out idling
	span := 10 * time.Second
	if claim.Full() {
		span = time.Minute
	}
	out.without, _ = l.watch(t, n, span)
	began := time.Now()
	n.Apply(system.LinkYAML(l.src, l.dst, "  topics: {include: [\"t*\"]}\n"))
	asked := time.Now()
	rig.Until(t, 10*time.Minute, "all streams have copied everything", func() bool {
		if time.Since(asked) < time.Second { // an answer costs the node as much as idling does
			return false
		}
		asked = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		s, err := n.List()[0].Client().Status(ctx, 1, 1)
		return err == nil && s.Totals.Streams == l.streams() && s.Totals.LagUnknown == 0 && s.Totals.Records >= int64(l.streams())
	})
	out.took = time.Since(began)
	system.Settle(t, span)
	var requests [2]map[int16]int
	out.cpu, requests = l.watch(t, n, span)
	for i := range requests {
		out.metadata[i] = float64(requests[i][3]) / span.Seconds()
	}
	for _, node := range n.List() {
		out.rss = max(out.rss, float64(usage(t, node.PID()).RSS)/(1<<20))
	}
	t.Logf("%d streams on %d nodes: all copied %v after apply; %.2f CPU-s a minute and node (without a link %.2f), %.0f MB", l.streams(), l.nodes,
		out.took.Round(time.Millisecond), out.cpu, out.without, out.rss)
	for i, side := range []string{"source", "target"} {
		t.Logf("requests/s at the %s: %s", side, rates(requests[i], span))
	}
	for _, node := range n.List() {
		node.Kill()
	}
	l.forget(t)
	return out
}

// watch measures for a span: CPU-s a minute and node, and requests by api key.
func (l *idleLab) watch(t *testing.T, n *system.Nodes, span time.Duration) (cpu float64, requests [2]map[int16]int) {
	t.Helper()
	count := func(sign int) {
		for i, p := range l.proxies {
			for key := range int16(80) {
				requests[i][key] += sign * p.Counts(key).Requests
			}
		}
	}
	total := func() (sum time.Duration) {
		for _, node := range n.List() {
			sum += usage(t, node.PID()).CPU()
		}
		return sum
	}
	requests = [2]map[int16]int{{}, {}}
	count(-1)
	used := total()
	system.Settle(t, span)
	used = total() - used
	count(1)
	return used.Seconds() / span.Minutes() / float64(len(n.List())), requests
}

// rates shows requests a second by api name.
func rates(requests map[int16]int, span time.Duration) string {
	var out []string
	for key := range int16(80) {
		if n := requests[key]; n > 0 {
			out = append(out, fmt.Sprintf("%s %.2f", kmsg.NameForKey(key), float64(n)/span.Seconds()))
		}
	}
	return strings.Join(out, ", ")
}

// forget deletes what the nodes have made at the target.
func (l *idleLab) forget(t *testing.T) {
	t.Helper()
	err := l.dst.Admin(func(adm *kadm.Client) error {
		all, err := adm.ListTopics(t.Context())
		if err == nil {
			_, err = adm.DeleteTopics(t.Context(), all.Names()...)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

package system

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"sluice/api"
	"sluice/fsm"
	"sluice/test/kafkalab"
	"sluice/test/load"
	"sluice/test/wait"
)

// ways are the nodes and Kafka clusters that states of a link are left in, by
// the way that the state names.
type ways struct {
	t *testing.T
	*Nodes
	src, dst *kafkalab.Cluster
	made     map[string]int // records by topic
}

// TestWaysOut: what a link's state says to do works, on real brokers, and the
// link is healthy again; each record is there once.
func TestWaysOut(t *testing.T) {
	t.Parallel()
	kafkalab.Require(t)
	src, dst := kafkalab.StartPair(t, kafkalab.Config{}, kafkalab.Config{})
	w := &ways{t: t, Nodes: Start(t, Options{Nodes: 3}), src: src, dst: dst, made: map[string]int{}}
	w.Ready()
	for _, name := range []string{"gone-there", "gone-here", "named", "kept"} {
		if err := src.CreateTopic(t.Context(), kafkalab.Topic{Name: name, Partitions: 2}); err != nil {
			t.Fatal(err)
		}
		w.fill(name)
	}
	w.apply("gone-there", "gone-here", "named", "kept")
	w.healthy(8)
	for _, way := range []struct {
		name string
		goes func(*ways)
	}{
		{"target topic deleted", (*ways).targetDeleted}, {"source topic deleted", (*ways).sourceDeleted},
		{"topic taken out and named again", (*ways).namedAgain}, {"link deleted and applied again", (*ways).linkAgain},
	} {
		t.Log(way.name)
		way.goes(w)
	}
	for _, name := range []string{"gone-there", "named", "kept"} {
		Same(t, src, dst, name)
	}
}

func (w *ways) apply(topics ...string) {
	w.t.Helper()
	w.Apply(LinkYAML(w.src, w.dst, fmt.Sprintf("  topics: {include: [%s]}\n", quoted(topics))))
}

func (w *ways) fill(topic string) {
	w.t.Helper()
	Fill(w.t, w.src, load.Config{Topics: []load.Topic{{Name: topic, Partitions: 2}}, Records: 500, Seed: 1})
}

func (w *ways) forget(c *kafkalab.Cluster, topic string) {
	w.t.Helper()
	err := c.Admin(func(adm *kadm.Client) error {
		rs, err := adm.DeleteTopics(w.t.Context(), topic)
		if err == nil {
			err = rs.Error()
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// link asks a node about the link.
func (w *ways) link() (*api.LinkDetail, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), wait.Patience)
	defer cancel()
	return w.List()[0].Client().Link(ctx, "us-eu")
}

// healthy waits until the link has so many streams, all of them copy and lag
// behind nothing.
func (w *ways) healthy(streams int) {
	w.t.Helper()
	until(w.t, fmt.Sprintf("the link is healthy with %d streams", streams), func() error {
		l, err := w.link()
		if err != nil {
			return err
		}
		if good := l.Condition == fsm.CodeIdle || l.Condition == fsm.CodeCopying; !good || l.Totals.Streams != streams || l.Totals.LagRecords == nil || *l.Totals.LagRecords != 0 {
			return fmt.Errorf("%s, %+v", l.Condition, l.Totals)
		}
		return nil
	})
}

// stopped waits until so many streams are stopped by a code.
func (w *ways) stopped(code fsm.Code, streams int) {
	w.t.Helper()
	until(w.t, fmt.Sprintf("%d streams are stopped by %s", streams, code), func() error {
		l, err := w.link()
		if err != nil {
			return err
		}
		if l.Totals.Stopped != streams || l.Condition != code {
			return fmt.Errorf("%d are; %s", l.Totals.Stopped, l.Condition)
		}
		return nil
	})
}

func (w *ways) order(order, topic string, streams int) {
	w.t.Helper()
	ack, err := w.List()[0].Client().Order(w.t.Context(), "us-eu", order, api.StreamSelector{Topic: topic})
	if err != nil {
		w.t.Fatal(err)
	}
	if ack.Streams == nil || *ack.Streams != streams {
		w.t.Errorf("%s took %v streams, want %d", order, ack.Streams, streams)
	}
}

// targetDeleted: a target topic that is gone is made anew and copied again.
func (w *ways) targetDeleted() {
	w.t.Helper()
	w.forget(w.dst, "gone-there")
	w.stopped(fsm.CodeTargetDeleted, 2)
	w.order("recopy", "gone-there", 2)
	w.healthy(8)
	w.fill("gone-there")
	w.healthy(8)
	Same(w.t, w.src, w.dst, "gone-there")
}

// sourceDeleted: the streams of a source topic that is gone end, and the target
// keeps its records.
func (w *ways) sourceDeleted() {
	w.t.Helper()
	w.forget(w.src, "gone-here")
	w.stopped(fsm.CodeSourceDeleted, 2)
	w.order(api.OrderEnd, "gone-here", 2)
	until(w.t, "the streams have ended", func() error {
		l, err := w.link()
		if err != nil || l.Totals.Streams != 6 {
			return fmt.Errorf("%+v, %w", l, err)
		}
		return nil
	})
	w.apply("gone-there", "named", "kept")
	w.healthy(6)
	if err := w.dst.Admin(func(adm *kadm.Client) error {
		ends, err := adm.ListEndOffsets(w.t.Context(), "gone-here")
		if err == nil {
			err = ends.Error()
		}
		n := int64(0)
		ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
		if n != 500 {
			w.t.Errorf("the target holds %d records of a deleted topic, want 500", n)
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
}

// namedAgain: a topic that is taken out and named again goes on where it was.
func (w *ways) namedAgain() {
	w.t.Helper()
	w.apply("gone-there", "kept")
	w.healthy(4)
	w.fill("named")
	w.apply("gone-there", "named", "kept")
	w.healthy(6)
	Same(w.t, w.src, w.dst, "named")
}

// linkAgain: a link that is deleted and applied again goes on where it was.
func (w *ways) linkAgain() {
	w.t.Helper()
	if _, err := w.List()[0].Client().DeleteLink(w.t.Context(), "us-eu"); err != nil {
		w.t.Fatal(err)
	}
	until(w.t, "the link is gone", func() error {
		links, err := w.List()[0].Client().Links(w.t.Context())
		if err == nil && slices.ContainsFunc(links.Items, func(l api.Link) bool { return l.Name == "us-eu" }) {
			err = fmt.Errorf("it is there")
		}
		return err
	})
	w.fill("kept")
	w.apply("gone-there", "named", "kept")
	w.healthy(6)
	w.List()[0].Kill()
	w.List()[0].Start()
	w.Ready()
	w.fill("kept")
	w.healthy(6)
}

package system

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"sluice/api"
	"sluice/fsm"
	"sluice/fsm/reason"
	"sluice/test/claim"
	"sluice/test/kafkalab"
	"sluice/test/rig"
)

// levelOne is the last commit whose nodes know feature level 1 alone.
const levelOne = "89c9fde81e4f186c6f2c6da9b8d71decee71525f"

// swap restarts a node as another program and waits until records come through
// and everybody knows what it is now.
func (w *World) swap(n *Node, bin string, level uint32) {
	w.t.Helper()
	w.Watch.Mark()
	n.Terminate()
	n.Binary = bin
	n.Start()
	w.Ready()
	gap := w.moved()
	rig.Until(w.t, 30*time.Second, n.Name+" has said what it knows", func() bool {
		return slices.ContainsFunc(w.fresh().Status().Nodes, func(m api.Node) bool { return m.Name == n.Name && m.Feature == level })
	})
	w.t.Logf("%s restarted, knows level %d: longest wait for a new record %v", n.Name, level, gap.New)
}

// fresh is a node that runs the first node's program.
func (w *World) fresh() *Node { return w.List()[0] }

// gone waits until no node knows a link of the name.
func (w *World) gone(link string) {
	w.t.Helper()
	rig.Until(w.t, time.Minute, "link "+link+" is gone", func() bool {
		return !slices.ContainsFunc(w.List(), func(n *Node) bool {
			_, err := n.Client().Link(w.t.Context(), link)
			var p *api.Problem
			return !errors.As(err, &p) || p.Code != api.CodeNotFound
		})
	})
}

// led makes one of the nodes that run a program lead.
func (w *World) led(bin string) {
	w.t.Helper()
	for range 10 {
		leader := w.Leader()
		if leader.Binary == bin {
			return
		}
		leader.Terminate()
		leader.Start()
		w.Ready()
	}
	w.t.Fatal("no node of that program leads")
}

// Nodes are brought to a new version one by one under load, one of them goes
// back and forth, and old and new ones copy side by side. A link is deleted
// while not all know what an operation is, and another one afterwards.
func TestUpgradeNodeByNode(t *testing.T) {
	claim.NeedsLong(t)
	kafkalab.Require(t)
	old, bin := Build(t, levelOne), Build(t, "")
	w := NewWorld(t, WorldConfig{Nodes: Options{Binary: old}, Select: "  topics: {include: [orders]}\n"})
	if err := w.Src.CreateTopic(t.Context(), kafkalab.Topic{Name: "side", Partitions: 3, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	w.Apply(sideLink)
	n1, n2, n3 := w.List()[0], w.List()[1], w.List()[2]
	rig.Until(t, time.Minute, "the second link copies", func() bool {
		l, err := n1.Client().Link(t.Context(), "side")
		return err == nil && l.Totals.Streams == 3
	})
	w.swap(n1, bin, fsm.FeatureLevel)
	w.swap(n2, bin, fsm.FeatureLevel)
	w.swap(n2, old, 1)
	w.swap(n2, bin, fsm.FeatureLevel)
	w.led(bin)
	w.deleteBelowTheLevel()
	w.swap(n3, bin, fsm.FeatureLevel)
	rig.Until(t, time.Minute, "the level rises", func() bool {
		return !slices.ContainsFunc(w.List(), func(n *Node) bool { s := n.Status(); return s == nil || s.Feature != fsm.FeatureLevel })
	})
	w.Moving()
	w.Equal()
	s := n1.Status()
	if s.Totals.Stopped > 0 {
		t.Errorf("%d streams are stopped: %q", s.Totals.Stopped, s.Problems)
	}
	for _, e := range s.Events {
		if reason.SeverityOf(e.Code) == reason.Stopped || e.Code == fsm.CodeTargetLostAcked {
			t.Errorf("event %s: %s", e.Code, e.Message)
		}
	}
	w.deleteAsOperation()
}

const sideLink = `
apiVersion: sluice/v1
kind: Link
metadata: {name: side}
spec:
  source: us
  target: eu
  topics: {include: [side]}
  rename: "copy-of-{topic}"
`

// deleteBelowTheLevel deletes the second link while an old node is there.
func (w *World) deleteBelowTheLevel() {
	w.t.Helper()
	a, err := w.fresh().Client().DeleteLink(w.t.Context(), "side")
	if err != nil || a.Operation != nil {
		w.t.Fatalf("deleting a link with an old node around: %+v %v", a, err)
	}
	w.gone("side")
	ops, err := w.fresh().Client().Operations(w.t.Context())
	if s := w.fresh().Status(); err != nil || len(ops.Items) != 0 || s.Feature != 1 {
		w.t.Errorf("operations with an old node around: %+v %v, level %d", ops, err, s.Feature)
	}
}

// deleteAsOperation deletes the link of the load, on one node, and reads on
// another one, which has restarted meanwhile, how it went.
func (w *World) deleteAsOperation() {
	w.t.Helper()
	ask, other := w.List()[1], w.List()[0]
	a, err := ask.Client().DeleteLink(w.t.Context(), "us-eu")
	if err != nil || a.Operation == nil {
		w.t.Fatalf("deleting a link: %+v %v", a, err)
	}
	other.Kill()
	other.Start()
	var op api.Operation
	rig.Until(w.t, time.Minute, "the operation ends", func() bool {
		ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Second)
		defer cancel()
		d, err := other.Client().Operation(ctx, *a.Operation)
		if err == nil {
			op = d.Operation
		}
		return op.Finished != nil
	})
	if op.State != fsm.OperationDone || op.Name != "us-eu" || op.By != ask.Name || op.Message != "link us-eu is deleted; the target keeps its data" {
		w.t.Errorf("%+v", op)
	}
	w.gone("us-eu")
}

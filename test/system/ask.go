package system

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sluice/api"
	"sluice/manifest"
	"sluice/test/rig"
)

// Client speaks to the node's API.
func (n *Node) Client() *api.Client {
	c, err := api.NewClient(api.ClientConfig{Addresses: []string{"http://" + n.HTTP}})
	if err != nil {
		n.n.t.Fatal(err)
	}
	return c
}

// Status asks the node; nil when it does not answer.
func (n *Node) Status() *api.Status {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	s, err := n.Client().Status(ctx, 10_000, 100)
	if err != nil {
		return nil
	}
	return s
}

// Ready waits until every node knows a leader and all members, and they vote.
func (n *Nodes) Ready() {
	n.t.Helper()
	rig.Until(n.t, 30*time.Second, "all nodes know a leader and each other", func() bool {
		for _, node := range n.list {
			s := node.Status()
			if s == nil || s.Leader == "" || len(s.Nodes) != len(n.list) {
				return false
			}
			if slices.ContainsFunc(s.Nodes, func(m api.Node) bool { return m.Role == "non-voter" }) {
				return false
			}
		}
		return true
	})
}

// Leader returns the node that leads.
func (n *Nodes) Leader() *Node {
	for _, node := range n.list {
		if s := node.Status(); s != nil && s.Leader != "" {
			return n.Node(s.Leader)
		}
	}
	n.t.Fatal("no leader")
	return nil
}

// Apply applies objects through the first node that takes them.
func (n *Nodes) Apply(yaml string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var err error
	for _, node := range n.list {
		if _, err = node.Client().Apply(ctx, api.ApplyRequest{Sources: []manifest.Source{{Name: "test.yaml", Text: yaml}}}); err == nil {
			return
		}
	}
	n.t.Fatal(err)
}

// Copying waits until every one of so many streams copies and has no lag to
// speak of.
func (n *Nodes) Copying(node *Node, streams int, within time.Duration) {
	n.t.Helper()
	rig.Until(n.t, within, fmt.Sprintf("%d streams copy", streams), func() bool {
		s := node.Status()
		if s == nil || s.Totals.Streams != streams {
			return false
		}
		good := 0
		for _, task := range s.Tasks {
			if task.Kind == "copy" && (task.State == "copying" || task.State == "idle") {
				good++
			}
		}
		return good == streams
	})
}

// Owners maps each copy task's "topic/partition" to its owner's name.
func (n *Nodes) Owners(node *Node) map[string]string {
	out := map[string]string{}
	if s := node.Status(); s != nil {
		for _, task := range s.Tasks {
			if task.Kind == "copy" {
				out[fmt.Sprintf("%s/%d", task.Topic, task.Partition)] = task.Owner
			}
		}
	}
	return out
}

package system

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/api"
	"sluice/manifest"
	"sluice/test/wait"
)

// Client speaks to the node's API.
func (n *Node) Client() *api.Client {
	cfg := api.ClientConfig{Addresses: []string{"http://" + n.HTTP}}
	if n.n.options.Token != "" {
		cfg = api.ClientConfig{Addresses: []string{"https://" + n.HTTP}, TokenFile: n.n.tokenFile(), CAFile: n.n.caFile()}
	}
	c, err := api.NewClient(cfg)
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

// Ready waits until every node knows a leader and all members, and as many vote
// as may: an odd number.
func (n *Nodes) Ready() {
	n.t.Helper()
	until(n.t, "all nodes know a leader and each other", func() error {
		for _, node := range n.list {
			s := node.Status()
			if s == nil || s.Leader == "" {
				return fmt.Errorf("%s knows no leader", node.Name)
			}
			if len(s.Nodes) != len(n.list) {
				return fmt.Errorf("%s knows %d nodes of %d", node.Name, len(s.Nodes), len(n.list))
			}
			voters := 0
			for _, m := range s.Nodes {
				if m.Role != "non-voter" {
					voters++
				}
			}
			if voters < (len(n.list)-1)|1 {
				return fmt.Errorf("%d of %d vote in the eyes of %s", voters, len(n.list), node.Name)
			}
		}
		return nil
	})
}

// Leader returns the node that leads.
func (n *Nodes) Leader() (leader *Node) {
	n.t.Helper()
	until(n.t, "a node names a leader", func() error {
		for _, node := range n.list {
			if s := node.Status(); s != nil && s.Leader != "" {
				leader = n.Node(s.Leader)
				return nil
			}
		}
		return errors.New("none does")
	})
	return leader
}

// alive is a node that answers.
func (n *Nodes) alive() (alive *Node) {
	n.t.Helper()
	until(n.t, "a node answers", func() error {
		for _, node := range n.list {
			if node.Status() != nil {
				alive = node
				return nil
			}
		}
		return errors.New("none does")
	})
	return alive
}

// Apply applies objects through the first node that takes them.
func (n *Nodes) Apply(yaml string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait.Patience)
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
func (n *Nodes) Copying(node *Node, streams int) {
	n.t.Helper()
	until(n.t, fmt.Sprintf("%d streams copy", streams), func() error {
		s := node.Status()
		if s == nil {
			return fmt.Errorf("%s does not answer", node.Name)
		}
		good := 0
		for _, task := range s.Tasks {
			if task.Kind == "copy" && (task.State == "copying" || task.State == "idle") {
				good++
			}
		}
		if s.Totals.Streams != streams || good != streams {
			return fmt.Errorf("%d of %d streams copy", good, s.Totals.Streams)
		}
		return nil
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

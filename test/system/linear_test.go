package system

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/api"
	"sluice/cluster"
	"sluice/fsm"
	"sluice/manifest"
	"sluice/test/claim"
	"sluice/test/faults"
	"sluice/test/linear"
	"sluice/test/rig"
)

// operated are nodes with links between two embedded Kafka clusters.
func operated(t *testing.T, mesh *faults.Mesh) *Nodes {
	t.Helper()
	n := Start(t, Options{Nodes: 3, Mesh: mesh})
	us, eu := rig.Kfake(t, "us", 1), rig.Kfake(t, "eu", 1)
	for _, topic := range linear.Topics() {
		if err := us.CreateTopic(topic, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	n.Ready()
	until(t, "Kafka clusters have revisions", func() error {
		if s := n.alive().Status(); s == nil || s.Feature < fsm.FeatureLevel {
			return errors.New("the feature level is lower")
		}
		return nil
	})
	n.Apply(linear.Manifest(us.ListenAddrs(), eu.ListenAddrs()))
	return n
}

// TestLinear: acts of operators at all nodes, while processes are killed and
// stopped and wires are cut, are answered as one node would that does one thing
// at a time.
func TestLinear(t *testing.T) {
	claim.NeedsLong(t)
	t.Parallel()
	const clients, perSecond, within = 8, 75, 5 * time.Second // two thirds are acts
	length := time.Duration(claim.Rounds(30, 120)) * time.Second
	for seed := range uint64(claim.Rounds(1, 10)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 12))
			mesh := faults.NewMesh()
			t.Cleanup(mesh.Close)
			n := operated(t, mesh)
			h := linear.NewHistory()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var group errgroup.Group
			var list []*linear.Client
			for i := range clients {
				node := n.List()[i%3]
				c := h.Join(linear.Client{
					ID: i, Every: clients * time.Second / perSecond, Timeout: within, Rand: rand.New(rand.NewPCG(seed, uint64(100+i))),
					Ask: func(cfg api.ClientConfig) (*api.Client, error) {
						cfg.Addresses = []string{"http://" + node.HTTP}
						return api.NewClient(cfg)
					},
				})
				list = append(list, c)
				group.Go(func() error { return c.Run(ctx) })
			}
			for begun := time.Now(); time.Since(begun) < length; {
				end := n.trouble(t, mesh, random)
				Settle(t, time.Duration(500+random.IntN(6000))*time.Millisecond)
				end()
				n.Ready()
				Settle(t, within+time.Second)
				h.Settled(time.Now())
			}
			stop()
			err := group.Wait()
			for _, c := range list {
				if err == nil {
					err = c.Look()
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			h.Check(t)
		})
	}
}

// trouble makes a fault of a node, the leader every other time, and says what
// ends it.
func (n *Nodes) trouble(t *testing.T, mesh *faults.Mesh, random *rand.Rand) (end func()) {
	t.Helper()
	victim := n.List()[random.IntN(3)]
	if random.IntN(2) == 0 {
		victim = n.Leader()
	}
	heal := faults.Deliver
	if random.IntN(2) == 0 {
		heal = faults.Reset
	}
	way := random.IntN(6)
	t.Logf("%s: %s", victim.Name, []string{"killed", "stopped", "cut off", "not heard", "does not hear", "loses connections"}[way])
	switch way {
	case 0:
		victim.Kill()
		return victim.Start
	case 1:
		victim.Pause()
		return victim.Resume
	case 2:
		mesh.Isolate(victim.Name)
	case 5:
		return n.shake(mesh, victim)
	default:
		for _, other := range n.List() {
			switch {
			case other == victim:
			case way == 3:
				mesh.CutOneWay(victim.Name, other.Name)
			default:
				mesh.CutOneWay(other.Name, victim.Name)
			}
		}
	}
	return func() { mesh.HealAll(victim.Name, heal) }
}

// shake resets a node's connections to the others again and again: what is under
// way on them was received, or was not.
func (n *Nodes) shake(mesh *faults.Mesh, victim *Node) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var shaking errgroup.Group
	shaking.Go(func() error {
		for tick := time.NewTicker(300 * time.Millisecond); ; {
			select {
			case <-tick.C:
			case <-ctx.Done():
				tick.Stop()
				return nil
			}
			for _, other := range n.List() {
				if other != victim {
					mesh.Reset(victim.Name, other.Name)
				}
			}
		}
	})
	return func() { cancel(); _ = shaking.Wait() }
}

// oneLink applies a link and returns its name.
func (n *Nodes) oneLink() string {
	n.t.Helper()
	name := linear.Topics()[0]
	n.Apply(fmt.Sprintf("apiVersion: sluice/v1\nkind: Link\nmetadata: {name: %[1]s}\nspec: {source: us, target: eu, topics: {include: [%[1]s]}}\n", name))
	return name
}

// TestFrozenLeader: a leader that is stopped neither answers nor ends. Acts
// through another node succeed soon all the same.
func TestFrozenLeader(t *testing.T) {
	t.Parallel()
	n := operated(t, nil)
	link := n.oneLink()
	worst := time.Duration(0)
	for round := range claim.Rounds(2, 10) {
		leader := n.Leader()
		asked := n.List()[round%3]
		if asked == leader {
			asked = n.List()[(round+1)%3]
		}
		act := asked.Client().Pause
		if round%2 == 1 {
			act = asked.Client().Resume
		}
		leader.Pause()
		began := time.Now()
		until(t, "an act succeeds", func() error { _, err := act(t.Context(), link); return err })
		took := time.Since(began)
		t.Logf("%s stopped: the first act through %s succeeds after %v", leader.Name, asked.Name, took)
		worst = max(worst, took)
		leader.Resume()
		n.Ready()
	}
	claim.Bar(t, "first act through another node", worst, 5*time.Second)
}

// TestWithoutQuorum: when two of three nodes are dead, whatever needs a leader
// is refused at once by the one that is left, by name, and the command line
// fails.
func TestWithoutQuorum(t *testing.T) {
	t.Parallel()
	n := operated(t, nil)
	link := n.oneLink()
	left := n.List()[0]
	for _, node := range n.List()[1:] {
		node.Kill()
	}
	began := time.Now()
	until(t, "the loss is known", func() error {
		resp, err := http.Get("http://" + left.HTTP + "/readyz")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return fmt.Errorf("%s is ready", left.Name)
		}
		return nil
	})
	claim.Bar(t, "until the loss is known", time.Since(began), cluster.ProfileLAN.DeadAfter()+200*time.Millisecond)
	c := left.Client()
	consistent, err := api.NewClient(api.ClientConfig{Addresses: []string{"http://" + left.HTTP}, Consistent: true})
	if err != nil {
		t.Fatal(err)
	}
	for what, act := range map[string]func() error{
		"pause":  func() error { _, err := c.Pause(t.Context(), link); return err },
		"resume": func() error { _, err := c.Resume(t.Context(), link); return err },
		"delete": func() error { _, err := c.DeleteLink(t.Context(), link); return err },
		"order":  func() error { _, err := c.Order(t.Context(), link, "retry", api.StreamSelector{}); return err },
		"apply": func() error {
			_, err := c.Apply(t.Context(), api.ApplyRequest{Sources: []manifest.Source{{Name: "kafka", Text: "apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: ap}\nspec: {bootstrap: [\"127.0.0.1:1\"]}\n"}}})
			return err
		},
		"remove a node": func() error { _, err := c.RemoveMember(t.Context(), n.List()[1].Name); return err },
		"leave":         func() error { _, err := c.Leave(t.Context()); return err },
		"link":          func() error { _, err := consistent.Link(t.Context(), link); return err },
		"links":         func() error { _, err := consistent.Links(t.Context()); return err },
		"status":        func() error { _, err := consistent.Status(t.Context(), 1, 1); return err },
		"export":        func() error { _, err := consistent.Export(t.Context(), "", ""); return err },
	} {
		began := time.Now()
		err := act()
		claim.Bar(t, what, time.Since(began), time.Second)
		if p, ok := err.(*api.Problem); !ok || p.Code != api.CodeNoLeader { //nolint:errorlint // the client gives it as it is
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, line := range [][]string{{"link", "pause", link}, {"link", "describe", link, "--consistent"}} {
		cmd := exec.Command(left.Binary, append(line, "--address", left.HTTP)...)
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("%v: exit %d: %s", line, cmd.ProcessState.ExitCode(), out)
		}
	}
}

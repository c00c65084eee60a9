package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"sluice/fsm"
	"sluice/words"
)

// step is something that is left to do once the objects of an apply are
// committed.
type step struct {
	what string
	do   func(context.Context) error
}

// inSteps does the steps one after the other. Its error says what was made, with
// the steps before, and what was not.
func inSteps(ctx context.Context, made []string, steps []step) error {
	for i, x := range steps {
		if err := x.do(ctx); err != nil {
			return halfway(err, made, steps[i:])
		}
		made = append(made, x.what)
	}
	return nil
}

// halfway is the problem of an apply that failed after it had changed
// something.
func halfway(err error, made []string, left []step) error {
	p := *asProblem(err)
	p.Applied, p.Missing = made, nil
	for _, x := range left {
		p.Missing = append(p.Missing, x.what)
	}
	if len(made) == 0 {
		p.Detail = "not done: " + words.List(p.Missing) + ": " + p.Detail
		return &p
	}
	why := p.Detail
	p.Detail = "applied: " + words.List(made)
	if len(p.Missing) > 0 {
		p.Detail += "; not done: " + words.List(p.Missing)
	}
	p.Detail += ": " + why
	next := "do the same again: what is as wanted already stays as it is"
	if p.Next != "" {
		next = p.Next + "; then " + next
	}
	p.Next = next
	return &p
}

func texts(did []fsm.Deed) []string {
	var out []string
	for _, d := range did {
		out = append(out, d.Text)
	}
	return out
}

// pins pin the cluster ids of Kafka clusters that were there already when they
// were asked, as checks have seen them.
func pins(s *Server, asked *fsm.View, checked map[string]Preflight) (out []step) {
	ids := map[string]string{}
	for _, f := range checked {
		maps.Copy(ids, f.ClusterIDs)
	}
	due := func(v *fsm.View, name string) *fsm.KafkaCluster {
		if k := v.KafkaCluster(name); k != nil && k.ClusterID == "" && ids[name] != "" {
			return k
		}
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(ids)) {
		seen := due(asked, name)
		if seen == nil || due(s.Control.View(), name) == nil {
			continue
		}
		out = append(out, step{"pin the cluster id of KafkaCluster " + name, func(ctx context.Context) error {
			_, err := s.decide(ctx, func(v *fsm.View, _ bool) (fsm.Command, error) {
				if k := due(v, name); k == nil || k.Revision != seen.Revision {
					return nil, nil // whoever changed it since pins it
				}
				return &fsm.KafkaPin{Name: name, ClusterID: ids[name], Revision: seen.Revision}, nil
			})
			return err
		}})
	}
	return out
}

// deletions delete Kafka clusters as they were, once their links are purged.
func deletions(s *Server, gone []fsm.Expectation) (out []step) {
	for _, x := range gone {
		what := "delete KafkaCluster " + x.Kafka
		out = append(out, step{what, func(ctx context.Context) error {
			if err := linksGone(ctx, s, x.Kafka); err != nil {
				return err
			}
			_, err := s.decide(ctx, func(v *fsm.View, again bool) (fsm.Command, error) {
				k := v.KafkaCluster(x.Kafka)
				switch {
				case k == nil && again:
					return nil, nil
				case k == nil:
					return nil, problem(http.StatusConflict, CodeStale, "nothing is left to do (`sluice get KafkaCluster` lists what there is)", "KafkaCluster %s was deleted by somebody else meanwhile", x.Kafka)
				case k.Revision != x.Revision:
					return nil, problem(http.StatusConflict, CodeStale, "look at it (`sluice get KafkaCluster "+x.Kafka+"`) and decide again", "KafkaCluster %s has changed since its deletion was planned", x.Kafka)
				}
				cmd := &fsm.Objects{DeleteKafka: []string{x.Kafka}, Act: actOf(ctx, s, fsm.Deed{Text: what}), At: time.Now().UnixMilli()}
				if v.HasKafkaRevisions() {
					cmd.Expect = []fsm.Expectation{x}
				}
				return cmd, nil
			})
			return err
		}})
	}
	return out
}

// linksGone waits until no link uses a Kafka cluster.
func linksGone(ctx context.Context, s *Server, name string) error {
	for {
		v := s.Control.View()
		i := slices.IndexFunc(v.Links, func(l *fsm.Link) bool { return l.Spec.Source == name || l.Spec.Target == name })
		if i < 0 {
			return nil
		}
		if err := s.Control.WaitIndex(ctx, v.Index+1); err != nil {
			return problem(http.StatusGatewayTimeout, CodeTimeout, "wait until the link is gone (`sluice link ls`, `sluice operation ls`)",
				"Kafka cluster %s stays: link %s is not gone yet", name, v.Links[i].Spec.Name)
		}
	}
}

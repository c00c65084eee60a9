package operation

import (
	"slices"

	"sluice/fsm"
)

// kinds are all kinds of operations. A kind, or a stage of one, that an older
// build does not know needs a feature level of its own.
var kinds = map[fsm.OperationKind]kind{
	fsm.OperationDeleteLink: {
		stages: []stage{
			{step: fsm.StepStopping, waits: owners},
			{step: fsm.StepReleasing, wants: claimed, limit: releaseFor, left: claimLeft},
			{step: fsm.StepPurging, command: purge},
		},
		ended: deleted,
	},
}

// releaseFor is how long, in milliseconds, a target that does not answer holds
// up a deletion.
const releaseFor = 30_000

// owners are the nodes that own tasks of the link and have not carried out its
// last change. A node that was removed is waited for no more; a dead one is,
// because it may still copy.
func owners(v *fsm.View, o *fsm.Operation, s Seen) []string {
	l := v.Link(o.Link)
	if l == nil {
		return nil
	}
	var out []string
	for t := range v.Tasks {
		if t.Link == l.ID && v.Node(t.Owner) != nil && s.Carried[t.Owner] < l.Revision && !slices.Contains(out, t.Owner) {
			out = append(out, t.Owner)
		}
	}
	return out
}

// claimed reports whether the link may have a claim at its target: unless
// another link of that name stands already, whose claim it is now.
func claimed(v *fsm.View, o *fsm.Operation) bool {
	l := v.Link(o.Link)
	if l == nil || v.KafkaCluster(l.Spec.Source) == nil || v.KafkaCluster(l.Spec.Target) == nil {
		return false
	}
	now := v.LinkNamed(l.Spec.Name)
	return now == nil || now.ID == l.ID
}

func claimLeft(v *fsm.View, o *fsm.Operation) string {
	return "its claim still stands at Kafka cluster " + v.Link(o.Link).Spec.Target + " (topic __sluice)"
}

func purge(v *fsm.View, o *fsm.Operation) fsm.Command {
	if v.Link(o.Link) == nil {
		return nil
	}
	return &fsm.LinkPurge{Link: o.Link}
}

func deleted(o *fsm.Operation) string {
	if o.Message != "" {
		return "link " + o.Name + " is deleted, but " + o.Message
	}
	return "link " + o.Name + " is deleted; the target keeps its data"
}

// Running gives the operations that go on. Where the facts hold none yet, at a
// low feature level, links are deleted all the same: by operations without an
// id that begin anew with every leader, since nobody else knows of them.
func Running(v *fsm.View, now int64) []*fsm.Operation {
	var out []*fsm.Operation
	for _, o := range v.Operations {
		if o.State == fsm.OperationRunning {
			out = append(out, o)
		}
	}
	for _, l := range v.Links {
		if l.Deleting && !v.HasOperations() {
			out = append(out, &fsm.Operation{
				Kind: fsm.OperationDeleteLink, Link: l.ID, Name: l.Spec.Name, State: fsm.OperationRunning, Step: fsm.StepStopping,
				Started: now, Since: now, Updated: now,
			})
		}
	}
	return out
}

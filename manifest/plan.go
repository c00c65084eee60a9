package manifest

import (
	"context"
	"maps"
	"slices"
	"strings"

	"sluice/fsm"
)

// Action is what has to be done with an object.
type Action string

// The actions.
const (
	ActionNone   Action = "unchanged"
	ActionCreate Action = "create"
	ActionUpdate Action = "update"
	ActionDelete Action = "delete"
)

// Change is what has to be done with one object.
type Change struct {
	Action Action
	Kind   Kind
	Name   string
	Fields []FieldChange // of an update
	Kafka  *fsm.KafkaCluster
	Link   *fsm.LinkSpec // as it will be, State filled in
	// Revision is the object's when the plan was made, 0: there was none, or, of a
	// Kafka cluster, none has one yet (fsm.View.HasKafkaRevisions).
	Revision uint64
}

// expectation is that the object is still as it was when the plan was made.
func (c *Change) expectation() fsm.Expectation {
	if c.Kind == KindKafkaCluster {
		return fsm.Expectation{Kafka: c.Name, Revision: c.Revision}
	}
	return fsm.Expectation{Link: c.Name, Revision: c.Revision}
}

// Met reports whether what somebody expected holds for the object, or is about
// another one.
func (c *Change) Met(x fsm.Expectation) bool {
	is := c.expectation()
	return is.Kafka != x.Kafka || is.Link != x.Link || is.Revision == x.Revision
}

// Plan is what has to be done so that the facts are as objects say.
type Plan struct {
	Index   uint64 // of the View that it was made on
	Changes []Change
	revised bool // Kafka clusters have revisions
}

// Count gives the number of changes with an action.
func (p *Plan) Count(a Action) int {
	n := 0
	for _, c := range p.Changes {
		if c.Action == a {
			n++
		}
	}
	return n
}

// Empty reports whether nothing has to be done.
func (p *Plan) Empty() bool { return p.Count(ActionNone) == len(p.Changes) }

// NewPlan compares objects with the facts. What cannot be done is refused
// with Errors: a link to an unknown Kafka cluster, a change of what cannot
// change, two links that write one topic, cycles that would copy for ever.
// Objects of the facts that are not among objects stay as they are.
// The bounds of comparing them end it too; other errors than Errors are of ctx.
func NewPlan(ctx context.Context, v *fsm.View, objects []Object) (*Plan, error) {
	var errs Errors
	p := &Plan{Index: v.Index, revised: v.HasKafkaRevisions()}
	kafka := map[string]fsm.KafkaCluster{}
	for _, k := range v.Kafka {
		kafka[k.Name] = k
	}
	for i := range objects {
		if o := &objects[i]; o.Kind == KindKafkaCluster {
			c := planKafka(v, o, &errs)
			kafka[o.Name] = *c.Kafka
			p.Changes = append(p.Changes, c)
		}
	}
	for i := range objects {
		if o := &objects[i]; o.Kind == KindLink {
			p.Changes = append(p.Changes, planLink(v, o, kafka, &errs))
		}
	}
	if errs.none() {
		checkTopology(ctx, v, objects, kafka, &errs)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return p, errs.err()
}

func planKafka(v *fsm.View, o *Object, errs *Errors) Change {
	want := *o.Kafka
	c := Change{Action: ActionCreate, Kind: o.Kind, Name: o.Name, Kafka: &want}
	old := v.KafkaCluster(o.Name)
	if old == nil {
		return c
	}
	c.Revision = old.Revision
	if want.ClusterID == "" {
		want.ClusterID = old.ClusterID
	}
	if old.ClusterID != "" && want.ClusterID != old.ClusterID {
		errs.add(o.At("spec.clusterId"), "spec.clusterId: %s is pinned to the cluster id %s; to talk to another Kafka cluster give it another name, or delete this one and its links first", o.Name, old.ClusterID)
	}
	c.Fields = compare(kafkaFields(old), kafkaFields(&want))
	c.Action = updateIf(len(c.Fields) > 0)
	return c
}

func planLink(v *fsm.View, o *Object, kafka map[string]fsm.KafkaCluster, errs *Errors) Change {
	want := *o.Link
	c := Change{Action: ActionCreate, Kind: o.Kind, Name: o.Name, Link: &want}
	knownEnds(o, kafka, errs)
	old := v.LinkNamed(o.Name)
	if old == nil || old.Deleting {
		if want.State == "" {
			want.State = fsm.StateRunning
		}
		return c
	}
	c.Revision = old.Revision
	if want.State == "" { // whoever paused it has a reason
		want.State = old.Spec.State
	}
	c.Fields = compare(linkFields(&old.Spec), linkFields(&want))
	c.Action = updateIf(len(c.Fields) > 0)
	for _, f := range c.Fields {
		if why := immutable(f.Path); why != "" {
			errs.add(o.At(f.Path), "%s: cannot change from %s to %s: %s", f.Path, quotedOr(f.From), quotedOr(f.To), why)
		}
	}
	return c
}

// knownEnds refuses a link to a Kafka cluster that is not there.
func knownEnds(o *Object, kafka map[string]fsm.KafkaCluster, errs *Errors) {
	for _, end := range [][2]string{{"spec.source", o.Link.Source}, {"spec.target", o.Link.Target}} {
		path, name := end[0], end[1]
		if _, ok := kafka[name]; ok {
			continue
		}
		words := ""
		if !errs.full() { // who is near takes long to find among many
			words = suggest(name, slices.Sorted(maps.Keys(kafka)))
		}
		errs.add(o.At(path), "%s: there is no KafkaCluster %q%s", path, name, words)
	}
}

func updateIf(changed bool) Action {
	if changed {
		return ActionUpdate
	}
	return ActionNone
}

// immutable says why a key of a link cannot change, and what to do instead;
// empty: it can.
func immutable(path string) string {
	switch path {
	case "spec.source", "spec.target", "spec.rename":
		return "the copies that exist rest on it; create a link of another name, or delete this one (the target keeps its data) and apply again"
	case "spec.filter.onUnparseable":
		return ""
	case "spec.start":
		return "it held when the link was created; leave it as it was, or delete the link (the target keeps its data) and apply again"
	}
	if strings.HasPrefix(path, "spec.filter") {
		return "a filter holds for all records of its link, and what is copied already was copied by the one that is; create a link of another name with another rename, " +
			"or delete this one, empty its target topics and apply again"
	}
	return ""
}

// checkTopology looks at all links together, as they will be.
func checkTopology(ctx context.Context, v *fsm.View, objects []Object, kafka map[string]fsm.KafkaCluster, errs *Errors) {
	var routes []*route
	mine := map[string]bool{}
	add := func(spec *fsm.LinkSpec, at Pos) {
		r, err := newRoute(spec, at)
		if err != nil {
			errs.add(at, "%v", err)
			return
		}
		routes = append(routes, r)
	}
	for i := range objects {
		if o := &objects[i]; o.Kind == KindLink {
			mine[o.Name] = true
			add(o.Link, o.At("metadata.name"))
		}
	}
	for _, l := range v.Links {
		if !l.Deleting && !mine[l.Spec.Name] {
			add(&l.Spec, Pos{})
		}
	}
	for _, r := range routes {
		if r.isNew() {
			checkClusters(r, kafka, errs)
		}
	}
	m := &matching{ctx: ctx, left: maxMatching}
	checkCollisions(routes, m, errs)
	checkCycles(routes, m, errs)
	m.over(errs)
}

// CheckReferences asks of every secret that an object which changes refers to
// whether it can be read, and words why not at its place.
func (p *Plan) CheckReferences(objects []Object, read func(reference string) error) error {
	var errs Errors
	for _, c := range p.Changes {
		if c.Action != ActionCreate && c.Action != ActionUpdate {
			continue
		}
		i := slices.IndexFunc(objects, func(o Object) bool { return o.Kind == c.Kind && o.Name == c.Name })
		references := c.Link.References
		if c.Kafka != nil {
			references = c.Kafka.References
		}
		for _, r := range references() {
			if err := read(r.Text); err != nil {
				errs.add(objects[i].At(r.Key), "%s: %v", r.Key, err)
			}
		}
	}
	return errs.err()
}

// PlanDelete plans the deletion of objects; those that are not there count as
// unchanged. A Kafka cluster that a remaining link uses is refused.
func PlanDelete(v *fsm.View, objects []Object) (*Plan, error) {
	var errs Errors
	p := &Plan{Index: v.Index, revised: v.HasKafkaRevisions()}
	gone := map[string]bool{}
	for i := len(objects) - 1; i >= 0; i-- { // links first
		o := &objects[i]
		c := Change{Action: ActionNone, Kind: o.Kind, Name: o.Name, Kafka: o.Kafka, Link: o.Link}
		switch o.Kind {
		case KindLink:
			if l := v.LinkNamed(o.Name); l != nil && !l.Deleting {
				c.Action, c.Revision, gone[o.Name] = ActionDelete, l.Revision, true
			}
		case KindKafkaCluster:
			if k := v.KafkaCluster(o.Name); k != nil {
				c.Action, c.Revision = ActionDelete, k.Revision
			}
			for _, l := range v.Links {
				if (l.Spec.Source == o.Name || l.Spec.Target == o.Name) && !l.Deleting && !gone[l.Spec.Name] {
					errs.add(o.At("metadata.name"), "KafkaCluster %s is used by link %s; delete the link first", o.Name, l.Spec.Name)
				}
			}
		}
		p.Changes = append(p.Changes, c)
	}
	return p, errs.err()
}

// Command is the plan as one command, which is refused when an object of it has
// changed meanwhile. at is the proposer's clock in unix ms, starts holds the
// start offsets resolved for links to be created. Deletions of Kafka clusters
// are left out: they must wait until their links are purged.
func (p *Plan) Command(at int64, starts map[string][]fsm.StartAt) *fsm.Objects {
	cmd := &fsm.Objects{At: at}
	for _, c := range p.Changes {
		if c.Action == ActionNone {
			continue
		}
		switch {
		case c.Action == ActionDelete && c.Kind == KindLink:
			cmd.DeleteLinks = append(cmd.DeleteLinks, c.Name)
		case c.Action == ActionDelete:
			continue
		case c.Kind == KindKafkaCluster:
			cmd.Kafka = append(cmd.Kafka, *c.Kafka)
		default:
			cmd.Links = append(cmd.Links, fsm.LinkPut{Spec: *c.Link, Starts: starts[c.Name]})
		}
		if c.Kind == KindLink || p.revised {
			cmd.Expect = append(cmd.Expect, c.expectation())
		}
	}
	return cmd
}

// Deleted gives the Kafka clusters that the plan deletes, as they were.
func (p *Plan) Deleted() []fsm.Expectation {
	var out []fsm.Expectation
	for _, c := range p.Changes {
		if c.Action == ActionDelete && c.Kind == KindKafkaCluster {
			out = append(out, c.expectation())
		}
	}
	return out
}

package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/manifest"
	"sluice/task"
	"sluice/words"
)

// apply reads the facts afresh, plans, asks both Kafka clusters of every link
// that is new or changes, and proposes.
func (s *Server) apply(ctx context.Context, r ApplyRequest) (Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*s.cfg.Timeout)
	defer cancel()
	objects, err := manifest.ParseAll(ctx, r.Sources)
	if err != nil {
		return Plan{}, err
	}
	a := &applying{s: s, request: r, objects: objects}
	if r.DryRun || r.Compare {
		if err := s.reread(ctx); err != nil {
			return Plan{}, err
		}
		_, err := a.plan(ctx, s.Control.View(), false)
		return a.answer(false), err
	}
	made, err := s.decide(ctx, func(v *fsm.View, again bool) (fsm.Command, error) { return a.plan(ctx, v, again) })
	if err != nil && (made.Index == 0 || made.Refused != fsm.RefusedNot) {
		return Plan{}, err
	}
	steps := append(pins(s, a.asked, a.checked), deletions(s, a.shown.Deleted())...)
	if err != nil { // they are committed, and this node has not seen them yet
		return Plan{}, halfway(fmt.Errorf("waiting until this node sees it: %w", err), texts(deeds(a.shown)), steps)
	}
	if err := inSteps(ctx, texts(deeds(a.shown)), steps); err != nil {
		return Plan{}, err
	}
	return a.answer(true), nil
}

// applying is one apply under way. It may plan several times, when the facts
// change meanwhile; what is shown is the plan that was proposed.
type applying struct {
	s       *Server
	request ApplyRequest
	objects []manifest.Object
	last    *manifest.Plan
	shown   *manifest.Plan
	checked map[string]Preflight // by link: both clusters were asked once
	asked   *fsm.View            // that named the clusters which were asked first; nil: none was
}

// plan gives the command, nil when nothing has to be done; again: the one that
// it gave last may have been carried out.
func (a *applying) plan(ctx context.Context, v *fsm.View, again bool) (fsm.Command, error) {
	var err error
	if a.request.Delete {
		a.last, err = manifest.PlanDelete(v, a.objects)
	} else {
		a.last, err = manifest.NewPlan(ctx, v, a.objects)
	}
	if faults, ok := errors.AsType[manifest.Errors](err); ok {
		p := ofManifest(faults)
		p.Status, p.Code, p.Title = http.StatusConflict, CodeRefused, http.StatusText(http.StatusConflict)
		return nil, p
	} else if err != nil {
		return nil, err
	}
	if !again { // else it may see the caller's own change
		a.shown = a.last
		if err := a.expected(); err != nil {
			return nil, err
		}
	}
	if err := a.secrets(); err != nil {
		return nil, err
	}
	if err := a.preflight(ctx, v); err != nil {
		return nil, err
	}
	cmd := a.command(v)
	if cmd == nil {
		return nil, nil
	}
	if again && !slices.Equal(texts(deeds(a.last)), texts(deeds(a.shown))) {
		return nil, problem(http.StatusConflict, CodeStale, "plan again", "others changed something meanwhile: what is left to do is %s", words.List(texts(deeds(a.last))))
	}
	cmd.Act = actOf(ctx, a.s, deeds(a.last)...)
	return cmd, nil
}

// secrets refuses a reference that this node does not follow or cannot: no link
// of that Kafka cluster would work here.
func (a *applying) secrets() error {
	if a.s.Secret == nil || a.request.Delete {
		return nil
	}
	faults, ok := errors.AsType[manifest.Errors](a.last.CheckReferences(a.objects, a.s.Secret))
	if !ok {
		return nil
	}
	p := ofManifest(faults)
	p.Next = "nothing was changed; every node reads its own files and variables: put it right on each, and apply again"
	return p
}

// expected compares the plan with the revisions that the caller saw.
func (a *applying) expected() error {
	for _, x := range a.request.Expect {
		for _, c := range a.last.Changes {
			if !c.Met(x) {
				return problem(http.StatusConflict, CodeStale, "plan again",
					"%s %s has revision %d, not %d: it has changed since the plan was made", c.Kind, c.Name, c.Revision, x.Revision)
			}
		}
	}
	return nil
}

// command is the last plan as a command. Cluster ids that preflight has seen
// are pinned with the objects; start offsets go with new links.
func (a *applying) command(v *fsm.View) *fsm.Objects {
	starts := map[string][]fsm.StartAt{}
	for name, f := range a.checked {
		starts[name] = f.Starts
		for i, c := range a.last.Changes {
			if c.Kafka != nil && c.Kafka.ClusterID == "" {
				a.last.Changes[i].Kafka.ClusterID = f.ClusterIDs[c.Name]
			}
		}
	}
	cmd := a.last.Command(time.Now().UnixMilli(), starts)
	if len(cmd.Kafka)+len(cmd.Links)+len(cmd.DeleteLinks) == 0 {
		return nil
	}
	if len(cmd.DeleteLinks) > 0 {
		cmd.By = a.s.asked(v)
	}
	return cmd
}

// preflight looks at both Kafka clusters of every link that is new or changes.
func (a *applying) preflight(ctx context.Context, v *fsm.View) error {
	if a.s.Preflight == nil || a.request.Delete || a.request.Compare {
		return nil
	}
	clusters := map[string]fsm.KafkaCluster{}
	for _, k := range v.Kafka {
		clusters[k.Name] = k
	}
	for _, c := range a.last.Changes {
		if c.Kafka != nil {
			clusters[c.Name] = *c.Kafka
		}
	}
	ask := a.concerned(v)
	if a.asked == nil {
		a.asked = v
	}
	found := make([]Preflight, len(ask))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for i, c := range ask {
		g.Go(func() (err error) {
			if found[i], err = a.s.Preflight.Check(gctx, v, *c.spec, clusters); err != nil {
				err = fmt.Errorf("link %s: looking at both Kafka clusters: %w", c.spec.Name, err)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return problem(http.StatusUnprocessableEntity, CodePreflight, "nothing was changed; put it right and apply again", "%v", err)
	}
	return a.judge(ask, found)
}

// concerned gives the links that are new or change, and those that exist and
// use a Kafka cluster that changes; each is asked about once.
func (a *applying) concerned(v *fsm.View) []concern {
	var out []concern
	seen, clusters := map[string]bool{}, map[string]bool{}
	for name := range a.checked {
		seen[name] = true
	}
	for _, c := range a.last.Changes {
		if c.Action == manifest.ActionNone {
			continue
		}
		if c.Kafka != nil {
			clusters[c.Name] = true
		} else if !seen[c.Name] {
			seen[c.Name] = true
			out = append(out, concern{spec: c.Link})
		}
	}
	for _, l := range v.Links {
		if (clusters[l.Spec.Source] || clusters[l.Spec.Target]) && !l.Deleting && !seen[l.Spec.Name] {
			out = append(out, concern{spec: &l.Spec, indirect: true})
		}
	}
	return out
}

// judge keeps what preflight found, and refuses when it found a refusal.
func (a *applying) judge(asked []concern, found []Preflight) error {
	if a.checked == nil {
		a.checked = map[string]Preflight{}
	}
	overlaps(asked, found)
	var refused []Finding
	for i, f := range found {
		for _, list := range [][]Finding{f.Refusals, f.Warnings} {
			for j := range list {
				list[j].Link = asked[i].spec.Name
			}
		}
		if asked[i].indirect {
			f.Warnings, f.Refusals = append(f.Warnings, f.Refusals...), nil
		}
		a.checked[asked[i].spec.Name] = f
		refused = append(refused, f.Refusals...)
	}
	if len(refused) == 0 {
		return nil
	}
	p := problem(http.StatusUnprocessableEntity, CodePreflight, "nothing was changed; put it right and apply again", "")
	p.Findings = refused[:min(len(refused), maxFaults)]
	var texts []string
	for _, f := range p.Findings {
		texts = append(texts, f.String())
	}
	p.Detail = strings.Join(texts, "; ") + rest(len(refused))
	return p
}

func (a *applying) answer(applied bool) Plan {
	out := Plan{Meta: a.s.picture().meta("Plan"), Applied: applied, Changes: []Change{}, Links: []PlannedLink{}, Warnings: []Finding{}}
	if a.shown == nil {
		return out
	}
	specs := map[string]*fsm.LinkSpec{}
	for _, c := range a.shown.Changes {
		if c.Link != nil {
			specs[c.Name] = c.Link
		}
		fields := c.Fields
		if fields == nil {
			fields = []manifest.FieldChange{}
		}
		out.Changes = append(out.Changes, Change{Action: c.Action, Kind: c.Kind, Name: c.Name, Fields: fields, Revision: c.Revision})
	}
	for _, name := range slices.Sorted(maps.Keys(a.checked)) {
		f := a.checked[name]
		out.Warnings = append(out.Warnings, f.Warnings...)
		if spec := specs[name]; spec != nil {
			out.Links = append(out.Links, plannedLink(spec, &f))
		}
	}
	slices.SortFunc(out.Warnings, func(x, y Finding) int {
		return cmp.Compare(x.Link+"\x00"+x.Message, y.Link+"\x00"+y.Message)
	})
	return out
}

const (
	// mostPlanned bounds the topics that a plan names.
	mostPlanned = 10_000
	// assumedRate is in bytes a second what one node with two processors reaches
	// (test/streams, TestLimit).
	assumedRate = 50 << 20
)

// plannedLink sums up what a link will copy that it does not copy yet.
func plannedLink(spec *fsm.LinkSpec, f *Preflight) PlannedLink {
	out := PlannedLink{Link: spec.Name, Topics: []PlannedTopic{}, LeftOut: f.LeftOut, Rate: spec.Limit, Limited: spec.Limit > 0}
	if out.LeftOut == nil {
		out.LeftOut = []task.TopicLeftOut{}
	}
	if !out.Limited {
		out.Rate = assumedRate
	}
	bytes, known := int64(0), true
	for _, t := range f.Topics {
		if t.Copied {
			out.Copied++
			continue
		}
		out.Total++
		out.Partitions += int(t.Partitions)
		if t.Settings == nil {
			t.Settings = []string{}
		}
		if t.Bytes == nil {
			known = false
		} else {
			bytes += *t.Bytes
		}
		if len(out.Topics) < mostPlanned {
			out.Topics = append(out.Topics, t)
		}
	}
	if known {
		out.Bytes, out.Seconds = &bytes, new((bytes+out.Rate-1)/out.Rate)
	}
	return out
}

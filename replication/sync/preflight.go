package sync

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/kafka"
)

// Preflighted is what Preflight found out about a link.
type Preflighted struct {
	Refusals   []string          // why the link must not be applied, each with what to do
	Warnings   []string          // what an operator should know
	ClusterIDs map[string]string // by Kafka cluster: the id to pin
	Starts     []fsm.StartAt     // what start means for the partitions that exist now; of a new link only
	Topics     []TopicCheck      // that the selectors mean now, by name
}

// TopicCheck is a topic that the link would copy.
type TopicCheck struct {
	Topic, Target string
	Partitions    int32
	Exists        bool // the target topic is there already
}

// maxPreflight bounds how long Preflight waits for both Kafka clusters.
const maxPreflight = 30 * time.Second

// preflight is one Preflight under way.
type preflight struct {
	Preflighted
	spec           fsm.LinkSpec
	old            *fsm.Link // nil: a new link
	view           *fsm.View
	source, target site
	in             Input
	selected       []kafka.TopicMetadata // of the source
}

// site is one side of the link.
type site struct {
	spec   fsm.KafkaCluster
	access fsm.KafkaCluster // what the client is made with
	client *kafka.Client
	meta   kafka.Metadata
}

// newSite keeps a pinned cluster id. An object that is not applied yet gets a
// client under a name of its own: under the name that is in use it would
// replace the client of running streams.
func newSite(view *fsm.View, link string, spec fsm.KafkaCluster) site {
	have := view.KafkaCluster(spec.Name)
	if have != nil && spec.ClusterID == "" {
		spec.ClusterID = have.ClusterID
	}
	s := site{spec: spec, access: spec}
	if have == nil || !reflect.DeepEqual(*have, spec) {
		s.access.Name = "preflight of " + link + " at " + spec.Name
	}
	return s
}

// close gives up a client that nobody else uses.
func (s *site) close(clients Clients) {
	if s.access.Name != s.spec.Name {
		clients.Forget(s.access.Name)
	}
}

// Preflight contacts both Kafka clusters of a link that is about to be created
// or changed. source and target are the objects as they would be applied, so
// the View need not know them. What stands against the link is in Refusals;
// the error is ctx's alone.
func Preflight(ctx context.Context, clients Clients, view *fsm.View, spec fsm.LinkSpec, source, target fsm.KafkaCluster) (Preflighted, error) {
	limited, cancel := context.WithTimeout(ctx, maxPreflight)
	defer cancel()
	f := &preflight{spec: spec, view: view, source: newSite(view, spec.Name, source), target: newSite(view, spec.Name, target)}
	defer f.source.close(clients)
	defer f.target.close(clients)
	f.ClusterIDs = map[string]string{}
	if l := view.LinkNamed(spec.Name); l != nil && !l.Deleting {
		f.old = l
	}
	f.run(limited, clients)
	return f.Preflighted, ctx.Err()
}

func (f *preflight) run(ctx context.Context, clients Clients) {
	if !f.reach(ctx, clients) || !f.selectTopics() {
		return
	}
	f.checkCycles()
	f.checkTargets(ctx)
	f.checkStarts(ctx)
	f.checkBroker(ctx)
	f.checkClaim(ctx)
}

func (f *preflight) refuse(format string, args ...any) {
	f.Refusals = append(f.Refusals, fmt.Sprintf(format, args...))
}

func (f *preflight) warn(format string, args ...any) {
	f.Warnings = append(f.Warnings, fmt.Sprintf(format, args...))
}

// reach asks both sides for their topics.
func (f *preflight) reach(ctx context.Context, clients Clients) bool {
	var g errgroup.Group
	errs := [2]error{}
	for i, s := range []*site{&f.source, &f.target} {
		g.Go(func() error {
			errs[i] = s.reach(ctx, clients)
			return nil
		})
	}
	_ = g.Wait() // no function returns an error
	for i, s := range []*site{&f.source, &f.target} {
		if errs[i] != nil {
			f.refuse("%s", explain(s.spec, errs[i]))
			continue
		}
		f.ClusterIDs[s.spec.Name] = s.meta.ClusterID
	}
	return errs[0] == nil && errs[1] == nil
}

func (s *site) reach(ctx context.Context, clients Clients) (err error) {
	if s.client, err = clients.Client(ctx, s.access); err != nil {
		return err
	}
	s.meta, err = s.client.AllMetadata(ctx)
	return err
}

// explain says what an operator can do about an error of reaching a cluster.
func explain(k fsm.KafkaCluster, err error) string {
	hint := "is it up, and are its bootstrap addresses right from here: " + strings.Join(k.Bootstrap, ", ") + "?"
	switch codeOf(err) {
	case fsm.CodeAuthenticationFailed:
		hint = "check its sasl user and password"
	case fsm.CodeUnauthorized:
		hint = "give its user the right that is named"
	case fsm.CodeForeignWriter:
		hint = ""
	}
	return fmt.Sprintf("Kafka cluster %s: %v; %s", k.Name, err, hint)
}

// selectTopics finds what the link would copy now.
func (f *preflight) selectTopics() bool {
	selector, err := f.spec.Selector()
	if err != nil {
		f.refuse("link %s: %v", f.spec.Name, err)
		return false
	}
	link := &fsm.Link{Spec: f.spec}
	if f.old != nil {
		link.ID = f.old.ID
	}
	f.in = Input{
		Spec: f.spec, Selector: selector,
		SameCluster: f.source.meta.ClusterID != "" && f.source.meta.ClusterID == f.target.meta.ClusterID,
		Source:      topicsOf(f.source.meta), Target: byName(topicsOf(f.target.meta)),
	}
	f.in.Copied, f.in.Taken = copied(f.view, link)
	seen := map[string]bool{}
	for _, t := range f.source.meta.Topics {
		known := Topic{Name: t.Name, Internal: t.Internal}
		if t.Err != nil || !f.in.selects(known) {
			continue
		}
		seen[t.Name] = true
		target := f.spec.TargetTopic(t.Name)
		_, exists := f.in.Target[target]
		f.selected = append(f.selected, t)
		f.Topics = append(f.Topics, TopicCheck{Topic: t.Name, Target: target, Partitions: int32(len(t.Partitions)), Exists: exists})
	}
	slices.SortFunc(f.Topics, func(a, b TopicCheck) int { return strings.Compare(a.Topic, b.Topic) })
	for _, name := range f.spec.Include {
		if fsm.ValidTopic(name) && !strings.HasSuffix(name, "*") && !seen[name] && selector.Selects(name) {
			f.warn("topic %s is not at Kafka cluster %s, or its user may not see it; it is copied from its start as soon as it appears", name, f.spec.Source)
		}
	}
	if len(f.Topics) == 0 {
		f.warn("no topic of Kafka cluster %s is selected yet", f.spec.Source)
	}
	return true
}

// checkCycles looks at the link together with all others.
func (f *preflight) checkCycles() {
	links := []fsm.LinkSpec{f.spec}
	for _, l := range f.view.Links {
		if !l.Deleting && l.Spec.Name != f.spec.Name {
			links = append(links, l.Spec)
		}
	}
	names := make([]string, len(f.Topics))
	for i, t := range f.Topics {
		names[i] = t.Topic
	}
	found, err := Cycles(links, 0, names)
	if err != nil {
		f.refuse("%v", err)
	}
	f.Refusals = append(f.Refusals, found...)
}

package link

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/task"
)

// Preflighted is what Preflight found out about a link.
type Preflighted struct {
	Refusals   []string          // why the link must not be applied, each with what to do
	Warnings   []string          // what an operator should know
	ClusterIDs map[string]string // by Kafka cluster: the id to pin
	Starts     []fsm.StartAt     // what start means for the partitions that exist now; of a new link only
	Topics     []TopicCheck      // that the selectors mean now, by name
	LeftOut    []task.TopicLeftOut
}

// maxPreflight bounds how long Preflight waits for both Kafka clusters.
const maxPreflight = 30 * time.Second

// addressTimeout is what a bootstrap address may take to answer, beside others
// that do, before a person is told that it does not.
const addressTimeout = 3 * time.Second

// preflight is one Preflight under way.
type preflight struct {
	snapshot
	findings
	Preflighted
	fresh    bool // a new link
	in       topicsInput
	selected []kafka.TopicMetadata // of the source
}

// Preflight contacts both Kafka clusters of a link that is about to be created
// or changed. source and target are the objects as they would be applied, so
// the View need not know them. What stands against the link is in Refusals;
// the error is ctx's alone.
func Preflight(ctx context.Context, k *catalog.Catalog, view *fsm.View, spec fsm.LinkSpec, source, target fsm.KafkaCluster) (Preflighted, error) {
	limited, cancel := context.WithTimeout(ctx, maxPreflight)
	defer cancel()
	f := &preflight{snapshot: snapshot{link: &fsm.Link{Spec: spec}, view: view}, fresh: true}
	if l := view.LinkNamed(spec.Name); l != nil && !l.Deleting {
		f.link, f.fresh = &fsm.Link{ID: l.ID, Spec: spec, Held: l.Held, Adopted: l.Adopted}, false
	}
	specs := []*fsm.KafkaCluster{&source, &target}
	for i, at := range []*side{&f.source, &f.target} {
		var done func()
		at.Cluster, done = open(k, view, specs[i])
		defer done()
	}
	if f.reach(limited, specs) {
		f.check(limited)
	}
	f.Refusals, f.Warnings = f.refusals, f.warnings
	return f.Preflighted, ctx.Err()
}

// open keeps a pinned cluster id. An object that is not applied yet is reached
// beside the one that is: under its name it would replace the client of running
// streams.
func open(k *catalog.Catalog, view *fsm.View, spec *fsm.KafkaCluster) (cluster *catalog.Cluster, done func()) {
	have := view.KafkaCluster(spec.Name)
	if have != nil && spec.ClusterID == "" {
		spec.ClusterID = have.ClusterID
	}
	if have != nil && reflect.DeepEqual(*have, *spec) {
		return k.Cluster(spec.Name), func() {}
	}
	return k.Apart(*spec)
}

// reach asks both sides for their topics.
func (f *preflight) reach(ctx context.Context, specs []*fsm.KafkaCluster) bool {
	f.ClusterIDs = map[string]string{}
	var trip time.Duration // to the target
	var errs [2]error
	var wg sync.WaitGroup
	sides := []*side{&f.source, &f.target}
	var silent [2]map[string]error
	for i, at := range sides {
		wg.Go(func() {
			if errs[i] = at.look(ctx, 0); errs[i] == nil {
				silent[i] = at.client.Unanswered(ctx, addressTimeout)
			}
			if errs[i] == nil && at == &f.target {
				trip = roundTrip(ctx, at.client)
			}
		})
	}
	wg.Wait()
	for i, at := range sides {
		if errs[i] != nil {
			f.refuse("%s", explain(*specs[i], errs[i]))
			continue
		}
		f.addresses(*specs[i], silent[i])
		f.ClusterIDs[at.Name()] = at.meta.ClusterID
	}
	if id := f.source.meta.ClusterID; id != "" && id == f.target.meta.ClusterID {
		f.refuse("link %s: %s and %s are the same Kafka cluster, %s", f.link.Spec.Name, f.source.Name(), f.target.Name(), id)
		return false
	}
	f.distance(*specs[1], trip)
	return errs[0] == nil && errs[1] == nil
}

// roundTrip is the shortest of a few round trips to brokers of a Kafka cluster; 0:
// not known.
func roundTrip(ctx context.Context, c *kafka.Client) (shortest time.Duration) {
	for range 3 {
		began := time.Now()
		if _, err := c.Check(ctx); err != nil {
			return 0
		}
		if took := time.Since(began); shortest == 0 || took < shortest {
			shortest = took
		}
	}
	return shortest
}

// check gathers what each finding rests on.
func (f *preflight) check(ctx context.Context) {
	l, noLedger := readLedger(ctx, f.target.Cluster)
	claimed := l.standing(f.claim())
	var err error
	if f.in, err = newTopicsInput(&f.snapshot, l.makers()); err != nil {
		f.refuse("link %s: %v", f.link.Spec.Name, err)
		return
	}
	if claimed.other != "" && f.link.Spec.State == fsm.StatePaused {
		f.in.adopted = claimed.other // what is there may be taken over
	}
	f.Topics, f.selected = f.selection(&f.in)
	f.rings(f.link.Spec, f.view.Links, f.Topics)
	rules, err := f.target.rules(ctx, f.link.Spec.ReplicationFactor)
	f.brokers(f.link.Spec, len(f.target.meta.Brokers), rules, err)
	f.checkTargets(ctx)
	f.rights(ctx, &f.snapshot, newToLink(f.Topics))
	f.checkSettings(ctx, rules, err == nil)
	f.checkStarts(ctx)
	f.claims(f.link, claimed, noLedger)
}

// checkTargets holds the selected topics against what is at the target.
func (f *preflight) checkTargets(ctx context.Context) {
	p := decideTopics(f.in)
	f.LeftOut = p.leftOut
	if len(p.examine) > 0 {
		f.in.empty, f.in.unknown = f.target.empty(ctx, p.examine, preflightTries)
		p = decideTopics(f.in)
	}
	f.unfit(&p)
}

// checkSettings compares the settings of the topics that are new to the link:
// with those of the target topic where it exists, else (and where the target's
// rules are told) with what it will have by itself; and tries to create some.
func (f *preflight) checkSettings(ctx context.Context, rules targetRules, told bool) {
	list := slices.DeleteFunc(newToLink(f.Topics), func(t *TopicCheck) bool { return !t.Exists && !told })
	var existing, created fold
	var create []kafka.CreateTopic
	for part := range slices.Chunk(list, topicsAtOnce) {
		var source, target []string
		for _, t := range part {
			if source = append(source, t.Topic); t.Exists {
				target = append(target, t.Target)
			}
		}
		have, need := configsOf(ctx, f.target.client, target), configsOf(ctx, f.source.client, source)
		for _, t := range part {
			if t.Exists {
				t.Settings = tellExisting(&existing, t.Target, need[t.Topic], have[t.Target])
			} else if need[t.Topic].Err == nil {
				t.Settings = tellCreated(&created, t.Target, need[t.Topic].Entries, rules)
				topic, _ := targetTopic(topicAction{target: t.Target, create: t.Partitions}, need[t.Topic].Entries, rules, f.link.Spec.ReplicationFactor)
				create = append(create, topic)
			}
		}
	}
	f.settings(existing, created)
	f.tryTopics(ctx, &f.target, create)
}

// configsOf is ConfigsOf by topic; an error as a whole concerns each of them.
func configsOf(ctx context.Context, c *kafka.Client, topics []string) map[string]kafka.ConfigsResult {
	names := slices.Compact(slices.Sorted(slices.Values(topics)))
	got, err := c.ConfigsOf(ctx, names...)
	out := make(map[string]kafka.ConfigsResult, len(names))
	for i, name := range names {
		if out[name] = (kafka.ConfigsResult{Err: err}); err == nil {
			out[name] = got[i]
		}
	}
	return out
}

// checkStarts resolves what start means now, and whether offsets can be
// identical with it. Partitions that do not answer within some seconds join
// later.
func (f *preflight) checkStarts(ctx context.Context) {
	spec := f.link.Spec
	list := partitionsOf(f.selected)
	heads, failed := f.source.Offsets(ctx, list, kafka.ReadUncommitted, kafka.Earliest, preflightTries)
	list = slices.DeleteFunc(list, func(p catalog.Partition) bool { return failed[p] != nil })
	starts, ends := heads, heads
	if f.fresh && spec.Start != fsm.StartEarliest {
		at, err := startTime(spec.Start)
		if err != nil {
			f.refuse("%v", err)
			return
		}
		var more map[catalog.Partition]error
		starts, ends, more = f.resolve(ctx, at, list)
		maps.Copy(failed, more)
		f.Starts = startsOf(f.Topics, starts)
	}
	f.silent(spec, failed, f.Starts != nil)
	f.shift(&f.in, f.Topics, heads, starts)
	f.measure(ctx, &f.source, newToLink(f.Topics), heads, starts, ends)
}

// startTime is the offset query of a start that is not earliest.
func startTime(start string) (int64, error) {
	if start == fsm.StartLatest {
		return kafka.Latest, nil
	}
	t, err := time.Parse(time.RFC3339, start)
	if err != nil {
		return 0, fmt.Errorf("start %q is neither earliest, latest nor an RFC 3339 time", start)
	}
	return t.UnixMilli(), nil
}

// resolve returns where each partition starts and ends, and which do not tell.
func (f *preflight) resolve(ctx context.Context, at int64, list []catalog.Partition) (starts, ends offsetsAt, failed map[catalog.Partition]error) {
	latest, failed := f.source.Offsets(ctx, list, kafka.ReadCommitted, kafka.Latest, preflightTries)
	found := latest
	if at != kafka.Latest {
		var more map[catalog.Partition]error
		list = slices.DeleteFunc(slices.Clone(list), func(p catalog.Partition) bool { return failed[p] != nil })
		found, more = f.source.Offsets(ctx, list, kafka.ReadCommitted, at, preflightTries)
		maps.Copy(failed, more)
	}
	return startOffsets(latest, found), latest, failed
}

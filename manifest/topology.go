package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sluice/fsm"
)

// route is a link with its patterns read.
type route struct {
	spec *fsm.LinkSpec
	sel  *fsm.Selector
	pos  Pos // zero for a link that is not of the manifest
}

// sameName reports whether topics keep their names.
func (r *route) sameName() bool { return r.spec.Rename == "" }

// exact gives the topics that the link names exactly; ok is false when it has
// a pattern too.
func (r *route) exact() (names []string, ok bool) {
	ok = true
	for _, p := range r.spec.Include {
		if !fsm.ValidTopic(p) {
			ok = false
		} else if r.sel.Selects(p) {
			names = append(names, p)
		}
	}
	return names, ok
}

// sourceOf is the source topic whose copy has the target name; ok is false
// when the link selects none.
func (r *route) sourceOf(target string) (topic string, ok bool) {
	template := r.spec.Rename
	if template == "" {
		template = "{topic}"
	}
	template = strings.ReplaceAll(template, "{source}", r.spec.Source)
	before, after, found := strings.Cut(template, "{topic}")
	if !found {
		return r.spec.Include[0], template == target
	}
	topic, ok = strings.CutPrefix(target, before)
	if ok {
		topic, ok = strings.CutSuffix(topic, after)
	}
	return topic, ok && r.sel.Selects(topic)
}

// checkCollisions refuses two links that would write one topic of one target,
// as far as the names in the patterns tell.
func checkCollisions(routes []*route, errs *Errors) {
	for i, a := range routes {
		for _, b := range routes[i+1:] {
			if a.spec.Target != b.spec.Target || a.pos == (Pos{}) && b.pos == (Pos{}) {
				continue
			}
			if topic := sharedTarget(a, b); topic != "" {
				at := b.pos
				if at == (Pos{}) {
					at = a.pos
				}
				errs.add(at, "links %s and %s would both write the topic %s of %s; give one of them a rename such as \"{source}.{topic}\"",
					a.spec.Name, b.spec.Name, topic, a.spec.Target)
			}
		}
	}
}

func sharedTarget(a, b *route) string {
	for _, pair := range [][2]*route{{a, b}, {b, a}} {
		names, _ := pair[0].exact()
		for _, n := range names {
			target := pair[0].spec.TargetTopic(n)
			if _, ok := pair[1].sourceOf(target); ok {
				return target
			}
		}
	}
	if slices.Contains(a.spec.Include, "*") && slices.Contains(b.spec.Include, "*") && a.spec.Rename == b.spec.Rename &&
		(a.sameName() || !strings.Contains(a.spec.Rename, "{source}") || a.spec.Source == b.spec.Source) &&
		len(a.spec.Exclude)+len(b.spec.Exclude) == 0 {
		return a.spec.TargetTopic("*")
	}
	return ""
}

// checkCycles refuses cycles of more than two Kafka clusters along which a
// topic keeps its name and no link skips what other links wrote: a record
// would run round for ever. Two clusters that copy to one another are fine,
// since each link skips what the other wrote.
func checkCycles(routes []*route, errs *Errors) {
	links, topics := make([]fsm.LinkSpec, len(routes)), []string{anyTopic}
	for i, r := range routes {
		names, _ := r.exact()
		links[i], topics = *r.spec, append(topics, names...)
	}
	passes := func(i int, topic string) bool { return routes[i].passes(topic) }
	reported := map[string]bool{}
	for of, first := range routes {
		mine := slices.DeleteFunc(slices.Clone(topics), func(t string) bool { return !first.passes(t) })
		rings := fsm.Rings(links, of, mine, passes)
		i := slices.IndexFunc(rings, func(r fsm.Ring) bool { return len(r.Links) > 2 })
		if i < 0 {
			continue
		}
		var at Pos
		var names []string
		for _, n := range rings[i].Links {
			names, at = append(names, routes[n].spec.Name), cmp.Or(at, routes[n].pos)
		}
		key := strings.Join(slices.Sorted(slices.Values(names)), ",")
		if at != (Pos{}) && !reported[key] {
			reported[key] = true
			errs.add(at, "the links %s form a cycle in which topics keep their names, so that records would run round for ever; set copies: skip-all on each of them",
				strings.Join(names, " -> "))
		}
	}
}

// anyTopic stands for one of which only patterns tell; where all links of a
// cycle have patterns, it cannot be ruled out that they share one.
const anyTopic = ""

// passes reports whether a copied record of the topic may pass on through the
// link under the topic's own name.
func (r *route) passes(topic string) bool {
	if !r.sameName() || r.spec.Copies == fsm.CopiesSkipAll {
		return false
	}
	if _, exact := r.exact(); topic == anyTopic {
		return !exact
	}
	return r.sel.Selects(topic)
}

// checkClusters refuses a link whose ends are one Kafka cluster under two
// names.
func checkClusters(r *route, kafka map[string]fsm.KafkaCluster, errs *Errors) {
	s, t := kafka[r.spec.Source], kafka[r.spec.Target]
	if s.ClusterID != "" && s.ClusterID == t.ClusterID {
		errs.add(r.pos, "link %s: %s and %s are the same Kafka cluster, %s", r.spec.Name, s.Name, t.Name, s.ClusterID)
	}
}

func newRoute(spec *fsm.LinkSpec, pos Pos) (*route, error) {
	sel, err := spec.Selector()
	if err != nil {
		return nil, fmt.Errorf("link %s: %w", spec.Name, err)
	}
	return &route{spec: spec, sel: sel, pos: pos}, nil
}

package manifest

import (
	"slices"
	"strings"
)

// checkCollisions refuses links that would write one topic of one target, as
// far as the names in the patterns tell. A link is told of once.
func checkCollisions(routes []*route, m *matching, errs *Errors) {
	targets := map[string]*writers{}
	for _, r := range routes {
		w := targets[r.spec.Target]
		if w == nil {
			w = &writers{matching: m, errs: errs, of: map[string][]*route{}, all: map[string]*route{}, told: map[*route]bool{}}
			targets[r.spec.Target] = w
		}
		w.routes = append(w.routes, r)
	}
	for _, r := range routes { // in their order
		if w := targets[r.spec.Target]; w.routes[0] == r {
			w.check()
		}
	}
}

// writers are the links to one Kafka cluster.
type writers struct {
	*matching
	routes []*route
	of     map[string][]*route // by the name of a topic at the target: the first two that name it
	all    map[string]*route   // those that copy all topics, by what they make of the names
	told   map[*route]bool
	errs   *Errors
}

func (w *writers) check() {
	for _, r := range w.routes {
		for _, n := range r.names {
			target := r.spec.TargetTopic(n)
			have := w.of[target]
			if len(have) > 0 {
				w.fault(have[0], r, target)
			}
			if len(have) < 2 && !slices.Contains(have, r) {
				w.of[target] = append(have, r)
			}
		}
		w.everything(r)
	}
	var names, ofNew []string
	for name, routes := range w.of {
		names = append(names, name)
		if slices.ContainsFunc(routes, (*route).isNew) {
			ofNew = append(ofNew, name)
		}
	}
	slices.Sort(names)
	slices.Sort(ofNew)
	for _, r := range w.routes {
		candidates := ofNew
		if r.isNew() {
			candidates = names
		}
		if !w.patterns(r, candidates) {
			return
		}
	}
}

// everything holds links that copy all topics against one another.
func (w *writers) everything(r *route) {
	if !slices.Contains(r.spec.Include, "*") || len(r.spec.Exclude) > 0 {
		return
	}
	before, after, _ := r.affixes()
	key := before + "*" + after
	if first := w.all[key]; first != nil {
		w.fault(first, r, key)
	} else {
		w.all[key] = r
	}
}

// patterns holds the stars and expressions of a link against the names that
// other links write; false: it may not go on.
func (w *writers) patterns(r *route, names []string) bool {
	before, _, ok := r.affixes()
	if !ok {
		return true
	}
	for _, prefix := range r.sel.Prefixes() {
		from, _ := slices.BinarySearch(names, before+prefix)
		for _, target := range names[from:] {
			if !strings.HasPrefix(target, before+prefix) || w.told[r] {
				break
			}
			i := slices.IndexFunc(w.of[target], func(other *route) bool { return other != r && (other.isNew() || r.isNew()) })
			if i < 0 {
				continue
			}
			if !w.may(r, target) {
				return false
			}
			if _, ok := r.sourceOf(target); ok {
				w.fault(w.of[target][i], r, target)
			}
		}
	}
	return true
}

// fault says that two links write one topic, once at a link of the manifest.
func (w *writers) fault(first, second *route, topic string) {
	if !first.isNew() { // that of the manifest is named first
		first, second = second, first
	}
	at := second
	if !at.isNew() {
		at = first
	}
	if first == second || !at.isNew() || w.told[at] {
		return
	}
	w.told[at] = true
	w.errs.add(at.pos, "links %s and %s would both write the topic %s of %s; give one of them a rename such as \"{source}.{topic}\"",
		first.spec.Name, second.spec.Name, topic, at.spec.Target)
}

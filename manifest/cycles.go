package manifest

import (
	"slices"
	"strings"

	"sluice/fsm"
)

// checkCycles refuses cycles of more than two Kafka clusters along which a
// topic keeps its name and no link skips what other links wrote: a record
// would be copied from one to the next for ever. Two clusters that copy to one
// another are fine, since each link skips what the other wrote.
func checkCycles(routes []*route, m *matching, errs *Errors) {
	var rest []*route
	for _, ring := range groups(slices.DeleteFunc(slices.Clone(routes), func(r *route) bool {
		return !r.sameName() || r.spec.Copies == fsm.CopiesSkipAll
	})) {
		rest = append(rest, ring...)
	}
	told := map[string]bool{}
	for _, topic := range topicsOf(rest) {
		var pass []*route
		for _, r := range rest {
			if !m.may(r, topic) {
				return
			}
			if r.passes(topic) {
				pass = append(pass, r)
			}
		}
		for _, group := range groups(pass) {
			ring := ringOf(group)
			var names []string
			for _, r := range ring {
				names = append(names, r.spec.Name)
			}
			key := strings.Join(slices.Sorted(slices.Values(names)), ",")
			if len(ring) == 0 || told[key] {
				continue
			}
			told[key] = true
			at := ring[slices.IndexFunc(ring, (*route).isNew)].pos
			errs.add(at, "the links %s form a cycle in which topics keep their names, so that records would be copied from one to the next for ever; set copies: skip-all on each of them",
				strings.Join(names, " -> "))
		}
	}
}

// topicsOf are the topics that the links name, and anyTopic.
func topicsOf(routes []*route) []string {
	if len(routes) == 0 {
		return nil
	}
	topics := []string{anyTopic}
	for _, r := range routes {
		topics = append(topics, r.names...)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// anyTopic stands for one of which only patterns tell; where all links of a
// cycle have patterns, it cannot be ruled out that they share one.
const anyTopic = ""

// passes reports whether a copied record of the topic may pass on through the
// link under the topic's own name.
func (r *route) passes(topic string) bool {
	if topic == anyTopic {
		return r.loose
	}
	return r.sel.Selects(topic)
}

// groups are the links between Kafka clusters that reach one another, where
// more than two do and a way leads back that is no way to and fro: there are
// at least as many neighbours as clusters then (fewer make a tree, whose links
// lead to and fro only).
func groups(routes []*route) [][]*route {
	g := graph{out: map[string][]*route{}, seen: map[string]int{}, low: map[string]int{}, group: map[string]int{}}
	for _, r := range routes {
		g.out[r.spec.Source] = append(g.out[r.spec.Source], r)
	}
	for _, r := range routes {
		if g.seen[r.spec.Source] == 0 {
			g.visit(r.spec.Source)
		}
	}
	links, members := make([][]*route, g.groups+1), make([]map[string]bool, g.groups+1)
	neighbours := make([]map[[2]string]bool, g.groups+1)
	for i := range members {
		members[i], neighbours[i] = map[string]bool{}, map[[2]string]bool{}
	}
	for _, r := range routes {
		a, b := r.spec.Source, r.spec.Target
		if i := g.group[a]; i == g.group[b] {
			links[i] = append(links[i], r)
			members[i][a], members[i][b] = true, true
			neighbours[i][[2]string{min(a, b), max(a, b)}] = true
		}
	}
	var out [][]*route
	for i := range links {
		if len(members[i]) > 2 && len(neighbours[i]) >= len(members[i]) {
			out = append(out, links[i])
		}
	}
	return out
}

// graph finds the groups of Kafka clusters that reach one another (Tarjan's
// algorithm for strongly connected components).
type graph struct {
	out       map[string][]*route
	seen, low map[string]int // when a cluster was come to, from 1; the earliest that it reaches
	stack     []string
	group     map[string]int // from 1; 0: not known yet
	groups    int
}

func (g *graph) visit(at string) {
	g.seen[at] = len(g.seen) + 1
	g.low[at] = g.seen[at]
	g.stack = append(g.stack, at)
	for _, r := range g.out[at] {
		to := r.spec.Target
		if g.seen[to] == 0 {
			g.visit(to)
			g.low[at] = min(g.low[at], g.low[to])
		} else if g.group[to] == 0 {
			g.low[at] = min(g.low[at], g.seen[to])
		}
	}
	if g.low[at] < g.seen[at] {
		return
	}
	g.groups++
	for {
		last := g.stack[len(g.stack)-1]
		g.stack = g.stack[:len(g.stack)-1]
		g.group[last] = g.groups
		if last == at {
			return
		}
	}
}

// ringOf is a cycle of more than two of the links with one of the manifest in
// it, nil where there is none.
func ringOf(group []*route) []*route {
	out := map[string][]*route{}
	for _, r := range group {
		out[r.spec.Source] = append(out[r.spec.Source], r)
	}
	for _, first := range group {
		if !first.isNew() {
			continue
		}
		if back := wayBack(out, first); back != nil {
			return append([]*route{first}, back...)
		}
	}
	return nil
}

// wayBack is the shortest way from where a link ends to where it begins, over
// other Kafka clusters.
func wayBack(out map[string][]*route, first *route) []*route {
	from, to := first.spec.Target, first.spec.Source
	by := map[string]*route{from: nil}
	for next := []string{from}; len(next) > 0; next = next[1:] {
		for _, r := range out[next[0]] {
			at := r.spec.Target
			if _, been := by[at]; been || next[0] == from && at == to {
				continue
			}
			by[at] = r
			if at != to {
				next = append(next, at)
				continue
			}
			var way []*route
			for ; at != from; at = by[at].spec.Source {
				way = append(way, by[at])
			}
			slices.Reverse(way)
			return way
		}
	}
	return nil
}

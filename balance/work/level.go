package work

import (
	"cmp"
	"slices"
)

// band is the difference of two nodes, in percent of their mean load, up to
// which nothing is leveled. One band is enough: whatever noise pushes over its
// edge moves a task for good, and so takes the pair away from the edge.
const band = 20

// MaxOpen is how many voluntary handovers may be open at a time when there
// are so many tasks, slow ones aside. A third of all tasks, those of a node that
// comes back to two others, moves in eight rounds: a round takes up to two
// seconds where there are thousands, and few tasks stand still together.
func MaxOpen(tasks int) int { return max(8, tasks/20) }

// bringHome hands tasks over that are outside their preferred nodes.
func (p *planner) bringHome() {
	var astray []item
	for i := range p.nodes {
		for l, items := range p.nodes[i].movable {
			if free := l%2 == 1; !free && !slices.Contains(p.pools[l/2], i) {
				astray = append(astray, items...)
			}
		}
	}
	slices.SortFunc(astray, func(a, b item) int { return cmp.Compare(a.task.ID, b.task.ID) })
	for _, it := range astray[:min(len(astray), max(0, p.budget))] {
		p.move(it, p.index[it.task.Owner], p.leastLoaded(it.pool))
	}
}

// level moves tasks from more to less loaded nodes. Each step takes from the
// difference of two nodes without turning it round by more than half, so the
// sum of squares falls, it ends, and no step undoes another.
func (p *planner) level() {
	for {
		it, from, to := p.step()
		if from < 0 {
			return
		}
		p.move(it, from, to)
	}
}

// step finds the next move for a pair of nodes that differ by more than the
// band, the most and the least loaded first; from is -1 when there is none.
func (p *planner) step() (it item, from, to int) {
	order := slices.Clone(p.pools[0])
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p.nodes[b].load, p.nodes[a].load) })
	for _, from := range order {
		for j := len(order) - 1; j >= 0; j-- {
			to := order[j]
			a, b := p.nodes[from].load, p.nodes[to].load
			if (a-b)*200 <= band*(a+b) {
				break
			}
			if it, ok := p.pick(from, to, a-b); ok {
				return it, from, to
			}
		}
	}
	return item{}, -1, -1
}

// pick finds the task whose move best levels two nodes that differ by diff:
// the heaviest up to half of it (fewest moves), or else the lightest up to
// three quarters. Tasks that are free to move come first among equals; the
// others need budget.
func (p *planner) pick(from, to int, diff int64) (best item, ok bool) {
	for l, items := range p.nodes[from].movable {
		free := l%2 == 1
		if len(items) == 0 || !free && p.budget <= 0 || !slices.Contains(p.pools[l/2], to) {
			continue
		}
		i, _ := slices.BinarySearchFunc(items, diff/2+1, func(it item, w int64) int { return cmp.Compare(it.weight, w) })
		for _, k := range []int{i - 1, i} {
			if k >= 0 && k < len(items) && items[k].weight <= diff*3/4 && (!ok || better(items[k], best, diff)) {
				best, ok = items[k], true
			}
		}
	}
	return best, ok
}

func better(a, b item, diff int64) bool {
	if a.weight == b.weight {
		if (a.kind == forced) != (b.kind == forced) {
			return a.kind == forced
		}
		return a.task.ID < b.task.ID
	}
	aFits, bFits := a.weight <= diff/2, b.weight <= diff/2
	if aFits != bFits {
		return aFits
	}
	return (a.weight > b.weight) == aFits
}

// move takes a task to another node: a forced one stays movable there, another
// is handed over and uses up budget.
func (p *planner) move(it item, from, to int) {
	l := p.nodes[from].list(it)
	i, _ := slices.BinarySearchFunc(*l, it, byWeight)
	*l = slices.Delete(*l, i, i+1)
	p.nodes[from].load -= it.weight
	p.nodes[to].load += it.weight
	if it.kind == forced {
		l := p.nodes[to].list(it)
		i, _ := slices.BinarySearchFunc(*l, it, byWeight)
		*l = slices.Insert(*l, i, it)
		return
	}
	p.budget--
	p.say(it, p.nodes[to].id, true)
}

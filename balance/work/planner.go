package work

import (
	"cmp"

	"sluice/fsm"
)

// Inputs are the measured values that a plan rests on.
type Inputs struct {
	Now int64 // unix ms, the leader's clock
	// Alive are the IDs of the nodes that may be given work. A node of the View
	// that is neither here nor in Dead is silent: it keeps its tasks and gets
	// none. A leaving node (fsm.Node.Leaving) gets none in any case.
	Alive []string
	// Dead are the IDs of the nodes whose tasks must go elsewhere at once.
	// Nodes that the View does not hold are dead too; Dead wins over Alive.
	Dead []string
	// Rates is the traffic of each task in bytes/s, smoothed by the caller; a
	// task without one weighs BaseCost.
	Rates map[fsm.TaskID]int64
}

// planner holds a plan under way. A task's load counts where it will be once
// the plan and all open handovers are carried out.
type planner struct {
	view     *fsm.View
	in       Inputs
	nodes    []node         // that may be given work, by ID
	index    map[string]int // of nodes, by ID; looked up only
	dead     map[string]bool
	pools    [][]int        // nodes that a task prefers; 0 is all of them
	poolByDC map[string]int // looked up only
	homeless []item         // forced or handover: must be given a node
	tasks    int
	open     int // voluntary handovers under way
	budget   int // voluntary handovers that may still be begun
	out      []fsm.Assignment
}

// item is one task in a plan under way.
type item struct {
	task   *fsm.Task
	weight int64
	pool   int
	kind   decision
}

// decision is what the plan says about a task.
type decision uint8

const (
	stays    decision = iota // nothing to say unless it is moved
	forced                   // its new owner owns it at once; moving it again within the plan is free
	handover                 // its owner drains it first
	callback                 // stays, but the open handover must be taken back
)

// node is one that may be given work.
type node struct {
	id   string
	load int64 // bytes/s
	// movable are its tasks that may be moved, by pool and freedom (see list),
	// each ascending by weight, then id.
	movable [][]item
}

func newPlanner(v *fsm.View, in Inputs) *planner {
	p := &planner{view: v, in: in, index: map[string]int{}, dead: map[string]bool{}, poolByDC: map[string]int{}, pools: [][]int{nil}}
	alive := make(map[string]bool, len(in.Alive))
	for _, id := range in.Alive {
		alive[id] = true
	}
	for _, id := range in.Dead {
		p.dead[id] = true
	}
	for _, n := range v.Nodes {
		if n.Leaving || p.dead[n.ID] || !alive[n.ID] {
			continue
		}
		i := len(p.nodes)
		p.index[n.ID] = i
		p.nodes = append(p.nodes, node{id: n.ID})
		p.pools[0] = append(p.pools[0], i)
		if n.Datacenter == "" {
			continue
		}
		pool, ok := p.poolByDC[n.Datacenter]
		if !ok {
			pool = len(p.pools)
			p.poolByDC[n.Datacenter] = pool
			p.pools = append(p.pools, nil)
		}
		p.pools[pool] = append(p.pools[pool], i)
	}
	for i := range p.nodes {
		p.nodes[i].movable = make([][]item, 2*len(p.pools))
	}
	return p
}

// keep puts a task on a node from which it may be moved again.
func (p *planner) keep(it item, n int) {
	p.nodes[n].load += it.weight
	l := p.nodes[n].list(it)
	*l = append(*l, it)
}

func (n *node) list(it item) *[]item {
	i := 2 * it.pool
	if it.kind == forced {
		i++
	}
	return &n.movable[i]
}

// say adds an assignment to the plan.
func (p *planner) say(it item, to string, handover bool) {
	p.out = append(p.out, fsm.Assignment{Task: it.task.ID, Turn: it.task.Turn, To: to, Handover: handover})
}

func byWeight(a, b item) int {
	return cmp.Or(cmp.Compare(a.weight, b.weight), cmp.Compare(a.task.ID, b.task.ID))
}

// leastLoaded returns -1 for an empty pool.
func (p *planner) leastLoaded(pool int) int {
	best := -1
	for _, n := range p.pools[pool] {
		if best < 0 || p.nodes[n].load < p.nodes[best].load {
			best = n
		}
	}
	return best
}

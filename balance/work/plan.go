package work

import (
	"cmp"
	"slices"
	"time"

	"sluice/fsm"
)

// HandoverTimeout is how long an owner may take to drain and release a task.
// After it the task is forced: compare-and-append keeps a late owner harmless.
const HandoverTimeout = 30 * time.Second

// slowHandover is when a handover counts as slow: what drains slowly, for its
// target hangs, does not keep others from moving.
const slowHandover = 5 * time.Second

// BaseCost is what a task weighs besides its traffic, in bytes/s: even a
// silent partition costs its place in fetch sessions and reports.
const BaseCost = 64 << 10

// maxRate keeps sums of weights far from overflow, in bytes/s.
const maxRate = 1 << 40

// Plan returns the assignments that bring the tasks to the nodes that should
// own them, forced ones first, each part in the order of task ids; nil when
// all is well.
//
// Tasks without an owner, or of a dead one, are given away at once, all in one
// plan. Tasks of leaving nodes are handed over, all at once. Beyond that at
// most MaxOpen handovers, slow ones aside, are open at a time: first of tasks outside their
// preferred datacenter, then to level the load, and these only once the
// imbalance exceeds a band. A handover to a node that is gone is redirected or
// called back, one that stays open longer than HandoverTimeout is forced. If
// the plan is applied and nothing else changes, the next plan is empty.
func Plan(v *fsm.View, in Inputs) []fsm.Assignment {
	p := newPlanner(v, in)
	for t := range v.Tasks {
		if pool, ok := p.poolOf(t); ok {
			p.tasks++
			p.judge(item{task: t, weight: p.weight(t), pool: pool})
		}
	}
	p.placeHomeless()
	p.budget = MaxOpen(p.tasks) - p.open
	p.bringHome()
	p.level()
	return p.result()
}

// poolOf gives the nodes that should carry the task: those in the datacenter
// that it writes to (read far, write near) or observes, or all when none of
// them may be given work. It reports false for a task that needs no owner.
func (p *planner) poolOf(t *fsm.Task) (int, bool) {
	kafka := t.Kafka
	if t.Link != 0 {
		l := p.view.Link(t.Link)
		if l == nil || l.Deleting {
			return 0, false
		}
		kafka = l.Spec.Target
	}
	if k := p.view.KafkaCluster(kafka); k != nil {
		return p.poolByDC[k.Datacenter], true
	}
	return 0, true
}

func (p *planner) weight(t *fsm.Task) int64 {
	return BaseCost + min(max(p.in.Rates[t.ID], 0), maxRate)
}

// gone reports whether nobody runs the node's tasks any more.
func (p *planner) gone(id string) bool {
	return id == "" || p.dead[id] || p.view.Node(id) == nil
}

// leaving reports whether the node, which is not gone, hands its tasks over.
func (p *planner) leaving(id string) bool { return p.view.Node(id).Leaving }

func (p *planner) slow(t *fsm.Task) bool { return p.in.Now-t.NextAt > slowHandover.Milliseconds() }

// judge says what is to become of a task, from its owner and its open handover.
func (p *planner) judge(it item) {
	t := it.task
	next, receives := p.index[t.Next]
	overdue := t.Next != "" && p.in.Now-t.NextAt > HandoverTimeout.Milliseconds()
	switch {
	case p.gone(t.Owner) || overdue && receives:
		it.kind = forced
		if receives && slices.Contains(p.pools[it.pool], next) {
			p.keep(it, next)
			return
		}
	case receives || t.Next != "" && !overdue && !p.gone(t.Next) && !p.leaving(t.Next):
		// Under way; a silent receiver may come back.
		if receives {
			p.nodes[next].load += it.weight
		}
		if !p.leaving(t.Owner) && !p.slow(t) {
			p.open++
		}
		return
	case !p.leaving(t.Owner):
		if t.Next != "" {
			it.kind = callback
		}
		if owner, ok := p.index[t.Owner]; ok {
			p.keep(it, owner)
		} else if it.kind == callback {
			p.say(it, t.Owner, true)
		}
		return
	case overdue:
		it.kind = forced
	default:
		it.kind = handover
	}
	p.homeless = append(p.homeless, it)
}

// placeHomeless gives each task that needs a node to the least loaded one of
// its pool, heaviest first.
func (p *planner) placeHomeless() {
	slices.SortFunc(p.homeless, func(a, b item) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.task.ID, b.task.ID))
	})
	for _, it := range p.homeless {
		n := p.leastLoaded(it.pool)
		switch {
		case n < 0:
		case it.kind == forced:
			p.keep(it, n)
		default:
			p.nodes[n].load += it.weight
			p.say(it, p.nodes[n].id, true)
		}
	}
	for i := range p.nodes {
		for _, l := range p.nodes[i].movable {
			slices.SortFunc(l, byWeight)
		}
	}
}

// result adds what is still to be said about tasks that were not moved, and
// puts everything in order.
func (p *planner) result() []fsm.Assignment {
	for _, n := range p.nodes {
		for _, l := range n.movable {
			for _, it := range l {
				// A late handover that leveling brought back to its owner needs
				// no force.
				back := it.kind == callback || it.kind == forced && n.id == it.task.Owner
				if it.kind != stays {
					p.say(it, n.id, back)
				}
			}
		}
	}
	slices.SortFunc(p.out, func(a, b fsm.Assignment) int {
		if a.Handover != b.Handover {
			if b.Handover {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Task, b.Task)
	})
	return p.out
}

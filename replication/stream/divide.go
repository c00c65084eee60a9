package stream

import (
	"cmp"
	"slices"

	"sluice/fsm"
	"sluice/task"
)

// dividing is how the limit of a link is divided: among the nodes that own its
// streams, as the facts say, by what each draws. All nodes do it with what all
// have told, so they agree but for the moment that it takes to be told.
type dividing struct {
	limit  float64 // bytes/s, 0: none
	owners []owner
	one    float64 // the part of one stream
}

// owner is a node with streams of the link.
type owner struct {
	node    string
	streams float64
	wants   float64 // bytes/s for each of its streams
}

// ownersOf reads the View.
func ownersOf(v *fsm.View, id fsm.LinkID) dividing {
	link := v.Link(id)
	if link == nil || link.Spec.Limit <= 0 {
		return dividing{}
	}
	streams := map[string]float64{}
	all := 0
	for t := range v.Tasks {
		if t.Link == id && t.Kind == fsm.KindCopy {
			all++
			if t.Owner != "" {
				streams[t.Owner]++
			}
		}
	}
	d := dividing{limit: float64(link.Spec.Limit)}
	d.one = d.limit / float64(max(all, 1))
	for n, count := range streams {
		d.owners = append(d.owners, owner{node: n, streams: count})
	}
	return d
}

const (
	// headroom is how much more than it draws a node gets that is not limited, so
	// that it is not, and what is kept for nothing stays small.
	headroom = 1.0 / 16
	// atRest is what a node keeps of its part by streams while it draws nothing:
	// with it, it begins.
	atRest = 1.0 / 25
)

// share is the part of a node in bytes/s. Who is limited gets as much for each
// stream as any other; who draws less than that leaves the rest to them, and
// where nobody is limited all get more. The part of one who does not tell is
// kept for him.
func (d *dividing) share(node string, draws map[string]task.Draw) float64 {
	owners := slices.Clone(d.owners)
	streams := 0.0
	for _, o := range owners {
		streams += o.streams
	}
	for i := range owners {
		o := &owners[i]
		fair := d.limit / streams
		draw, told := draws[o.node]
		switch {
		case !told:
			o.wants = fair
		case draw.Limited:
			o.wants = d.limit
		default:
			o.wants = max(float64(draw.Rate)*(1+headroom)/o.streams, fair*atRest)
		}
	}
	slices.SortFunc(owners, func(a, b owner) int { return cmp.Or(cmp.Compare(a.wants, b.wants), cmp.Compare(a.node, b.node)) })
	left, among, ours := d.limit, streams, owner{wants: -1}
	for _, o := range owners {
		o.wants = min(o.wants, left/among) // of what those leave who want less
		left, among = left-o.wants*o.streams, among-o.streams
		if o.node == node {
			ours = o
		}
	}
	if ours.wants < 0 { // it owns none, and may have one yet, which it is to give up
		return d.one
	}
	return (ours.wants + max(left, 0)/streams) * ours.streams
}

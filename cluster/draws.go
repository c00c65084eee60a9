package cluster

import (
	"time"

	"sluice/fsm"
	"sluice/task"
)

// Draws is how nodes tell each other, with their reports, what they fetch of
// links that have a limit.
type Draws struct{ n *Node }

// NewDraws returns those of a node's cluster.
func NewDraws(n *Node) *Draws { return &Draws{n} }

// Drew tells the other nodes, with the next report, what this one draws.
func (d *Draws) Drew(draws task.Draws) { d.n.reporter.draws.Store(&draws) }

// DrawsOf returns what nodes draw of a link, by ServerID. One that was not heard
// lately, or does not tell, is missing.
func (d *Draws) DrawsOf(link fsm.LinkID) map[string]task.Draw {
	return d.n.liveness.reports.drawsOf(link, time.Now().Add(-d.n.t.silent))
}

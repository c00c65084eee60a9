package cluster

import (
	"maps"
	"time"

	"sluice/fsm"
)

// How often a leader plans who owns what. Thousands of tasks at rest change
// nothing, and cost it no plan a second.
const (
	planMinimum = 100 * time.Millisecond // between two looks
	planMaximum = time.Second            // rates alone are looked at that often
	planAnyway  = 5 * time.Second        // and planned again where nothing has changed but the time
)

// agenda is when a leader plans. Its zero value is that of a new term: at once.
type agenda struct {
	due     bool                 // a node's life has changed since, or a plan was not carried out
	looked  time.Time            // the last look at whether to plan
	index   uint64               // of the facts then
	planned time.Time            // the last plan
	rates   map[fsm.TaskID]int64 // that it rested on, in bytes/s
}

// ripe reports whether it is time to look at the facts of an index.
func (a *agenda) ripe(now time.Time, index uint64) bool {
	since := now.Sub(a.looked)
	return a.due || since >= planMaximum || index != a.index && since >= planMinimum
}

// take notes a look and reports whether to plan.
func (a *agenda) take(now time.Time, index uint64, rates map[fsm.TaskID]int64) bool {
	same := !a.due && index == a.index && maps.Equal(rates, a.rates)
	a.looked, a.index, a.due = now, index, false
	if same && now.Sub(a.planned) < planAnyway {
		return false
	}
	a.planned, a.rates = now, rates
	return true
}

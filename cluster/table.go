package cluster

import (
	"sync"
	"time"

	"sluice/fsm"
	"sluice/task"
)

// Report is the last report of a node, as this node received it.
type Report struct {
	ServerID   string
	At         time.Time // when it came; zero: never
	Index      uint64    // of the node's View
	Reconciled uint64    // index whose stops it has carried out
	Confirmed  bool      // a leader has confirmed facts to its process
	Deaf       time.Duration
	Version    string // of its program
	Refused    bool   // its process is gone: connections ended and dials are refused
	Tasks      map[fsm.TaskID]task.Status
}

// table holds the last report of each node, and rates smoothed over reports.
type table struct {
	mu      sync.Mutex
	reports map[string]*Report
	rates   map[fsm.TaskID]int64
}

func newTable() *table {
	return &table{reports: map[string]*Report{}, rates: map[fsm.TaskID]int64{}}
}

// rateWeight smooths rates over about eight seconds.
const rateWeight = 8

// put stores a report and takes its rates.
func (t *table) put(r *Report) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reports[r.ServerID] = r
	for id, s := range r.Tasks {
		old, ok := t.rates[id]
		if !ok {
			old = s.Rate
		}
		t.rates[id] = old + (s.Rate-old)/rateWeight
	}
}

// refuse notes that a node's process is gone; it reports whether that is news.
// A later report lifts it.
func (t *table) refuse(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &Report{ServerID: id}
	if old := t.reports[id]; old != nil {
		*r = *old
	}
	if r.Refused {
		return false
	}
	r.Refused = true
	t.reports[id] = r
	return true
}

func (t *table) get(id string) Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.reports[id]; r != nil {
		return *r
	}
	return Report{ServerID: id}
}

func (t *table) all() map[string]Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[string]Report, len(t.reports))
	for id, r := range t.reports {
		out[id] = *r
	}
	return out
}

// smoothed returns the rates of the tasks that the View still holds.
func (t *table) smoothed(v *fsm.View) map[fsm.TaskID]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[fsm.TaskID]int64, len(t.rates))
	for id, rate := range t.rates {
		if v.Task(id) == nil {
			delete(t.rates, id)
			continue
		}
		out[id] = rate
	}
	return out
}

// keep drops the reports of nodes that are no members any more.
func (t *table) keep(member func(id string) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.reports {
		if !member(id) {
			delete(t.reports, id)
		}
	}
}

package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/task"
	"sluice/transport"
)

// reportEvery is the interval of reports; DESIGN section 3.
const reportEvery = time.Second

// report is what a node tells every member each second.
type report struct {
	ServerID   string       `json:"serverId"`
	Index      uint64       `json:"index"`             // of its View
	Reconciled uint64       `json:"reconciled"`        // index whose stops it has carried out
	Confirmed  bool         `json:"confirmed"`         // a leader has confirmed facts to this process
	DeafMillis int64        `json:"deafMillis"`        // since the last such confirmation, or since it started
	Version    string       `json:"version"`           // of the program
	Tasks      []byte       `json:"tasks"`             // their states, as task.Encode packs them
	Details    task.Details `json:"details,omitempty"` // of these; nodes of the first release do not read it
}

// reportAnswer is what a member answers. Index is set when a leader answers
// that has proven its leadership after the report was sent.
type reportAnswer struct {
	Leader bool   `json:"leader"`
	Index  uint64 `json:"index"`
	Member bool   `json:"member"` // the reporting node belongs to the cluster
}

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

// reporter sends this node's report each second to every member, itself
// included, and at once when the leader has changed.
type reporter struct {
	n    *Node
	mu   sync.Mutex
	busy map[string]bool // a call is under way; the next report waits for the next second
}

func (r *reporter) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		r.round(ctx, group)
		select {
		case <-tick.C:
		case <-r.n.kickReport:
		case <-ctx.Done():
			return group.Wait()
		}
	}
}

func (r *reporter) round(ctx context.Context, group *errgroup.Group) {
	rep := r.n.report()
	for _, s := range r.n.servers() {
		to := transport.Target{Address: string(s.Address), ServerID: string(s.ID)}
		if !r.begin(to.ServerID) {
			continue
		}
		group.Go(func() error {
			defer r.end(to.ServerID)
			r.n.sendReport(ctx, to, rep)
			return nil
		})
	}
}

func (r *reporter) begin(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[id] {
		return false
	}
	r.busy[id] = true
	return true
}

func (r *reporter) end(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.busy, id)
}

// report describes this node now.
func (n *Node) report() report {
	deaf, confirmed := n.LeaderAge()
	if !confirmed {
		deaf = time.Since(n.began)
	}
	tasks, details := task.Encode(n.reconciler.statuses())
	return report{
		ServerID: n.self.ServerID, Index: n.View().Index, Reconciled: n.reconciler.reconciled.Load(),
		Confirmed: confirmed, DeafMillis: deaf.Milliseconds(), Version: n.cfg.Version, Tasks: tasks, Details: details,
	}
}

// sendReport sends one report; a leader's answer extends the lease.
func (n *Node) sendReport(ctx context.Context, to transport.Target, rep report) {
	ctx, cancel := context.WithTimeout(ctx, n.t.rpc)
	defer cancel()
	g := grant{sent: time.Now(), wall: n.cfg.Wall()}
	var answer reportAnswer
	var err error
	if to.ServerID == n.self.ServerID {
		answer, err = n.handleReport(ctx, rep)
	} else {
		err = n.clients.reports.Call(ctx, to, pathReport, rep, &answer)
	}
	if err != nil {
		n.log.Debug("reporting", "to", to.ServerID, "error", err)
		if transport.IsRefused(err) && n.table.refuse(to.ServerID) {
			n.kickLead.fire()
		}
		return
	}
	if !answer.Leader {
		return
	}
	if !answer.Member {
		n.noMember(fmt.Sprintf("leader %s says so", to.ServerID))
		return
	}
	g.index = answer.Index
	n.lease.add(g)
	n.reconciler.wake.fire()
}

// handleReport takes a member's report and, on a leader, confirms.
func (n *Node) handleReport(ctx context.Context, rep report) (reportAnswer, error) {
	if !n.isMember(rep.ServerID) {
		// Only a leader's word counts: others may not know the newest member.
		_, err := n.confirm(ctx)
		return reportAnswer{Leader: err == nil && !n.isMember(rep.ServerID)}, nil
	}
	tasks, err := task.Decode(rep.Tasks, rep.Details)
	if err != nil {
		return reportAnswer{}, err
	}
	was := n.table.get(rep.ServerID)
	n.table.put(&Report{
		ServerID: rep.ServerID, At: time.Now(), Index: rep.Index, Reconciled: rep.Reconciled,
		Confirmed: rep.Confirmed, Deaf: time.Duration(rep.DeafMillis) * time.Millisecond, Tasks: tasks, Version: rep.Version,
	})
	if was.At.IsZero() || was.Refused || was.Confirmed != rep.Confirmed {
		n.kickLead.fire()
	}
	answer := reportAnswer{Member: true}
	if n.leading.Load() != nil {
		index, err := n.confirm(ctx)
		answer.Leader, answer.Index = err == nil, index
	}
	return answer, nil
}

func (n *Node) isMember(id string) bool {
	for _, s := range n.servers() {
		if string(s.ID) == id {
			return true
		}
	}
	return false
}

// watchLost probes peers whose connection ended: refused means that the
// process is gone, which needs no timeout.
func (n *Node) watchLost(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	probing := &reporter{n: n, busy: map[string]bool{}}
	for {
		select {
		case peer := <-n.tr.PeerLost():
			if peer.ServerID == n.self.ServerID || !n.isMember(peer.ServerID) || !probing.begin(peer.ServerID) {
				continue
			}
			if !group.TryGo(func() error {
				defer probing.end(peer.ServerID)
				n.probe(ctx, peer.ServerID)
				return nil
			}) {
				probing.end(peer.ServerID)
			}
		case <-ctx.Done():
			return group.Wait()
		}
	}
}

// probe finds out whether a member's process is gone.
func (n *Node) probe(ctx context.Context, id string) {
	to, err := n.targetOf(id)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, n.t.rpc)
	defer cancel()
	if err := n.tr.Probe(ctx, to.Address); transport.IsRefused(err) && n.table.refuse(id) {
		n.kickLead.fire()
	}
}

package cluster

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/pki"
	"sluice/task"
	"sluice/transport"
)

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
	Draws      task.Draws   `json:"draws,omitempty"`   // of links with a limit; nor this
	Certs      []pki.Held   `json:"certs,omitzero"`    // that it uses; absent: it does not tell, as older nodes do not
	Disk       *diskReport  `json:"disk,omitempty"`    // nil: a node of an older version, which does not say
}

// diskReport is how a node's writes to its data dir go.
type diskReport struct {
	Why    string `json:"why,omitempty"` // they fail; empty: they do not
	Millis int64  `json:"millis,omitempty"`
}

// at is the state of the disk when it was told; nil: unknown.
func (d *diskReport) at(now time.Time) *Disk {
	if d == nil {
		return nil
	}
	return &Disk{d.Why, now.Add(-time.Duration(d.Millis) * time.Millisecond)}
}

// states takes the states of the tasks apart. Thousands of tasks at rest say the
// same each second: they are those of the report before then.
func (rep *report) states(was *Report) (tasks map[fsm.TaskID]task.Status, encoded []byte, err error) {
	if was.encoded != nil && bytes.Equal(rep.Tasks, was.encoded) {
		return was.Tasks, was.encoded, nil
	}
	tasks, err = task.Decode(rep.Tasks)
	return tasks, rep.Tasks, err
}

// pathReport takes a report.
const pathReport = "/report"

// reportAnswer is what a member answers. Index is set when a leader answers
// that has proven its leadership after the report was sent.
type reportAnswer struct {
	Leader bool   `json:"leader"`
	Index  uint64 `json:"index"`
	Member bool   `json:"member"` // the reporting node belongs to the cluster
	Wall   int64  `json:"wall"`   // the clock of the one that answers when the report came, unix ms; nodes of before do not say: 0

	Members *members `json:"members,omitempty"` // who else does, where the reporting node does not know; nodes of before feature level 5 do not say
}

// reporter sends this node's report each second to every member, itself
// included, and at once when the leader has changed; and it takes the reports
// of others. A leader's answer to a report extends the lease. Its loop owns a
// goroutine per report that is under way and waits for them.
type reporter struct {
	*local
	consensus *consensus
	ownership *ownership
	liveness  *liveness
	door      *door
	tasks     *reconciler
	calls     *transport.Client
	removed   func(why string)           // a leader says that this node is no member
	wake      trigger                    // the leader has changed
	told      tasksTold                  // the loop's
	draws     atomic.Pointer[task.Draws] // as last told; nil: nothing
	sending   sync.Map                   // ServerIDs with a report under way: the next report waits for the next second
}

// tasksTold is what the tasks of this node said of themselves, and when.
type tasksTold struct {
	at      time.Time
	states  map[fsm.TaskID]task.Status
	encoded []byte
	details task.Details
}

// askedTogether is how many tasks are asked in a second; more are asked every
// second second, and so on: asking thousands costs a node that rests more than
// anything else.
const askedTogether = 1000

// due reports that the tasks are to be asked again.
func (s *tasksTold) due(now time.Time) bool {
	longer := time.Duration(len(s.states)/askedTogether) * reportEvery
	return longer == 0 || now.Sub(s.at) > longer+reportEvery/2
}

func (r *reporter) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		r.round(ctx, group)
		select {
		case <-tick.C:
		case <-r.wake:
		case <-ctx.Done():
			return group.Wait()
		}
	}
}

func (r *reporter) round(ctx context.Context, group *errgroup.Group) {
	rep := r.report()
	for _, s := range r.consensus.servers() {
		to := transport.Target{Address: string(s.Address), ServerID: string(s.ID)}
		if _, sending := r.sending.LoadOrStore(to.ServerID, true); sending {
			continue
		}
		group.Go(func() error {
			defer r.sending.Delete(to.ServerID)
			r.send(ctx, to, rep)
			return nil
		})
	}
}

// report describes this node now.
func (r *reporter) report() report {
	deaf, confirmed := r.ownership.leaderAge()
	if !confirmed {
		deaf = time.Since(r.liveness.began)
	}
	if now := time.Now(); r.told.due(now) {
		r.told.at = now
		r.tasks.statuses(r.told.states)
		r.told.encoded, r.told.details = task.Encode(r.told.states)
	}
	var draws task.Draws
	if told := r.draws.Load(); told != nil {
		draws = *told
	}
	return report{
		ServerID: r.self.ServerID, Index: r.consensus.facts.View().Index, Reconciled: r.tasks.reconciled.Load(),
		Confirmed: confirmed, DeafMillis: deaf.Milliseconds(), Version: r.cfg.Version, Tasks: r.told.encoded, Details: r.told.details, Draws: draws,
		Certs: r.cfg.Certificates(),
		Disk:  r.disk(),
	}
}

// disk is how Raft's writes go; nil: there is no Raft yet.
func (r *reporter) disk() *diskReport {
	raft := r.consensus.raft.Load()
	if raft == nil {
		return nil
	}
	why, since := raft.disk.state()
	if why == "" {
		return &diskReport{}
	}
	return &diskReport{why, time.Since(since).Milliseconds()}
}

// send sends one report; a leader's answer extends the lease.
func (r *reporter) send(ctx context.Context, to transport.Target, rep report) {
	ctx, cancel := context.WithTimeout(ctx, r.t.rpc)
	defer cancel()
	g := grant{sent: time.Now(), wall: r.cfg.Wall()}
	var answer reportAnswer
	var err error
	if to.ServerID == r.self.ServerID {
		answer, err = r.handleReport(ctx, rep)
	} else {
		err = r.calls.Call(ctx, to, pathReport, rep, &answer)
	}
	if err == nil && answer.Wall != 0 {
		r.liveness.reports.compared(to.ServerID, clockOf(answer.Wall, g.wall, time.Since(g.sent)))
	}
	r.door.hear(answer.Members)
	switch {
	case isNoMember(err), err == nil && answer.Leader && !answer.Member:
		r.removed(fmt.Sprintf("the leader, node %s, says so", r.consensus.nameOf(to.ServerID)))
	case isBanned(err) && !r.ownership.quorum():
		r.removed("its certificate is banned")
	case err != nil:
		r.log.Debug("reporting", "to", to.ServerID, "error", err)
		r.liveness.dialled(to.ServerID, err)
	case answer.Leader:
		g.index = answer.Index
		r.ownership.lease.add(g)
		if !rep.Confirmed { // tasks wait for it
			r.tasks.wake.fire()
		}
	}
}

// fromItsAddress says whether a member reports for itself, from where the
// cluster knows it. One that has moved counts when the leader knows its new address.
func (r *reporter) fromItsAddress(ctx context.Context, id string) bool {
	peer, remote := transport.PeerFrom(ctx)
	to, err := r.consensus.targetOf(id)
	return !remote || err == nil && id == peer.ServerID && to.Address == peer.Advertise
}

// handleReport takes a member's report and, on a leader, confirms.
func (r *reporter) handleReport(ctx context.Context, rep report) (reportAnswer, error) {
	now := r.nowMillis()
	if !r.consensus.isMember(rep.ServerID) {
		// Only a leader's word counts: others may not know the newest member.
		_, err := r.consensus.confirm(ctx)
		return reportAnswer{Leader: err == nil && !r.consensus.isMember(rep.ServerID)}, nil
	}
	if !r.fromItsAddress(ctx, rep.ServerID) {
		return reportAnswer{}, nil
	}
	was := r.liveness.reports.get(rep.ServerID)
	tasks, encoded, err := rep.states(&was)
	if err != nil {
		return reportAnswer{}, err
	}
	r.liveness.reports.put(Report{
		ServerID: rep.ServerID, At: time.Now(), Index: rep.Index, Reconciled: rep.Reconciled, Disk: rep.Disk.at(time.Now()),
		Confirmed: rep.Confirmed, Deaf: time.Duration(rep.DeafMillis) * time.Millisecond, Tasks: tasks, Details: rep.Details, encoded: encoded, Version: rep.Version,
	})
	r.liveness.reports.tell(rep.ServerID, beside{rep.Draws, rep.Certs})
	if was.At.IsZero() || was.Refused || was.Confirmed != rep.Confirmed {
		r.liveness.changed.fire()
	}
	answer := reportAnswer{Member: true, Members: r.door.news(rep.Index), Wall: now}
	if r.consensus.leading.Load() != nil {
		index, err := r.consensus.confirm(ctx)
		answer.Leader, answer.Index = err == nil, index
	}
	return answer, nil
}

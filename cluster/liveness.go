package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/pki"
	"sluice/task"
	"sluice/transport"
)

// Life is what a node is believed to be.
type Life string

// The lives. A silent node keeps its tasks and gets none; a dead one loses
// them.
const (
	LifeAlive  Life = "alive"
	LifeSilent Life = "silent"
	LifeDead   Life = "dead"
)

// Pace of hearing and judging.
const (
	// reportEvery is the interval of reports: every node sends them to every
	// member, so that a new leader knows the living within a second.
	reportEvery = time.Second
	leaderTick  = 250 * time.Millisecond // a leader judges lives
	// listening is how long one listens at least before one calls anybody dead:
	// everybody reports that often, and at once to a new leader.
	listening = reportEvery + leaderTick
)

// Report is the last report of a node, as this node received it.
type Report struct {
	ServerID   string
	At         time.Time // when it came; zero: never
	Index      uint64    // of the node's View
	Reconciled uint64    // index whose stops it has carried out
	Confirmed  bool      // a leader has confirmed facts to its process
	Deaf       time.Duration
	Version    string                     // of its program
	Disk       *Disk                      // how its writes go; nil: it does not say
	Behind     uint64                     // commands that it had not applied and another node had, when the report came
	Refused    bool                       // its process is gone: connections ended and dials are refused
	Tasks      map[fsm.TaskID]task.Status // without their details; never changed
	Details    task.Details               // never changed

	encoded []byte // that Tasks were decoded from
}

// Disk is how a node's writes to its data dir go.
type Disk struct {
	Why   string    // they fail; empty: they do not
	Since time.Time // when the first one failed
}

// Clock is a node's wall clock, compared with this node's.
type Clock struct {
	Offset time.Duration // what it is ahead
	Error  time.Duration // by which that may be wrong: half of the time that the question took
	At     time.Time
}

// clockOf compares the clock of a node that answered, in unix ms, with this
// node's when it asked, by the time that it took.
func clockOf(answered int64, asked time.Time, took time.Duration) Clock {
	return Clock{time.UnixMilli(answered).Sub(asked.Add(took / 2)), took/2 + time.Millisecond, time.Now()}
}

// table holds the last report of each node, and rates smoothed over reports.
type table struct {
	mu      sync.Mutex
	reports map[string]Report
	rates   map[fsm.TaskID]int64
	beside  map[string]beside
	clocks  map[string]Clock // as last compared
	ahead   uint64           // the largest index that a node has reported
}

// beside is what comes with a node's last report and is not about what it
// carries out.
type beside struct {
	draws task.Draws
	certs []pki.Held // nil: it does not tell
}

func newTable() *table {
	return &table{reports: map[string]Report{}, rates: map[fsm.TaskID]int64{}, beside: map[string]beside{}, clocks: map[string]Clock{}}
}

// rateWeight smooths rates over about eight seconds.
const rateWeight = 8

// put stores a report and takes its rates.
func (t *table) put(r Report) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ahead = max(t.ahead, r.Index)
	r.Behind = t.ahead - r.Index
	t.reports[r.ServerID] = r
	for id, s := range r.Tasks {
		old, ok := t.rates[id]
		step := (s.Rate - old) / rateWeight
		if !ok || step == 0 { // the rest would never be made up for
			step = s.Rate - old
		}
		if !ok || step != 0 {
			t.rates[id] = old + step
		}
	}
}

// tell stores what came with a node's report.
func (t *table) tell(id string, b beside) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.beside[id] = b
}

// certsOf are the certificates that a node uses, as it last told; nil: it has
// not.
func (t *table) certsOf(id string) []pki.Held {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.beside[id].certs
}

// compared stores what a node's clock showed.
func (t *table) compared(id string, c Clock) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clocks[id] = c
}

// clock is what a node's clock showed last; nil: it was never compared.
func (t *table) clock(id string) *Clock {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, ok := t.clocks[id]; ok {
		return &c
	}
	return nil
}

// drawsOf is what the nodes draw of a link, by node, of those that were heard
// since.
func (t *table) drawsOf(link fsm.LinkID, since time.Time) map[string]task.Draw {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]task.Draw{}
	for id, b := range t.beside {
		if d, ok := b.draws[link]; ok && t.reports[id].At.After(since) {
			out[id] = d
		}
	}
	return out
}

// refuse notes that a node's process is gone; it reports whether that is news.
// A later report lifts it.
func (t *table) refuse(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.reports[id]
	news := !r.Refused
	r.ServerID, r.Refused = id, true
	t.reports[id] = r
	return news
}

// get returns the last report of a node, empty before the first.
func (t *table) get(id string) Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reports[id]
}

// smoothed returns the rates, other than 0, of the tasks that the View still
// holds.
func (t *table) smoothed(v *fsm.View) map[fsm.TaskID]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[fsm.TaskID]int64{}
	for id, rate := range t.rates {
		if v.Task(id) == nil {
			delete(t.rates, id)
		} else if rate != 0 {
			out[id] = rate
		}
	}
	return out
}

// keep drops the reports of nodes that are no members any more.
func (t *table) keep(member func(id string) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.reports, func(id string, _ Report) bool { return !member(id) })
	maps.DeleteFunc(t.beside, func(id string, _ beside) bool { return !member(id) })
	maps.DeleteFunc(t.clocks, func(id string, _ Clock) bool { return !member(id) })
}

// judge says from its last report whether a node is alive. since is when one
// began to listen (the begin of a leader's term): a leader that was cut
// off itself hears everybody again before it calls anybody dead. A node that
// reports but has not heard a leader for long is as dead as one that is not
// heard: it would not learn what it must start or stop.
func judge(now, since time.Time, r Report, t timing) Life {
	if r.Refused {
		return LifeDead
	}
	listened := now.Sub(since)
	age := listened
	if !r.At.IsZero() {
		age = now.Sub(r.At)
	}
	switch {
	case age >= t.dead && listened >= listening:
		return LifeDead
	case r.Deaf >= t.dead && listened >= t.dead+t.silent && !r.At.IsZero():
		return LifeDead
	case age >= t.silent || !r.Confirmed:
		return LifeSilent
	}
	return LifeAlive
}

// probesAtOnce bounds probes; a node that waits for one is probed when there is
// the next hint.
const probesAtOnce = 16

// liveness is what this node believes of the others: their reports, and which
// of their processes are surely gone. Its loop owns a goroutine per probe and
// waits for them.
type liveness struct {
	*local
	tr      *transport.Transport
	members directory
	reports *table
	hints   chan string // ServerIDs of nodes that are perhaps gone
	changed trigger     // leadership is to judge anew
	probes  sync.Map    // ServerIDs that are being probed
}

// directory is Raft's configuration.
type directory interface {
	servers() []raft.Server
	isMember(id string) bool
	targetOf(id string) (transport.Target, error)
}

func newLiveness(l *local, tr *transport.Transport, members directory) *liveness {
	return &liveness{
		local: l, tr: tr, members: members, reports: newTable(), hints: make(chan string, probesAtOnce), changed: newTrigger(),
	}
}

// life judges a node by what was heard since then.
func (l *liveness) life(id string, since time.Time) Life {
	return judge(time.Now(), since, l.reports.get(id), l.t)
}

// run probes members whose connection ended or that others ask about: refused
// means that the process is gone, which needs no timeout.
func (l *liveness) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(probesAtOnce)
	for {
		var id string
		select {
		case peer := <-l.tr.PeerLost():
			id = peer.ServerID
		case id = <-l.hints:
		case <-ctx.Done():
			return group.Wait()
		}
		if id == l.self.ServerID || !l.members.isMember(id) {
			continue
		}
		if _, probing := l.probes.LoadOrStore(id, true); probing {
			continue
		}
		if !group.TryGo(func() error {
			defer l.probes.Delete(id)
			l.probe(ctx, id)
			return nil
		}) {
			l.probes.Delete(id)
		}
	}
}

// hint asks for a probe of a node.
func (l *liveness) hint(id string) {
	select {
	case l.hints <- id:
	default:
	}
}

// probe finds out whether a member's process is gone.
func (l *liveness) probe(ctx context.Context, id string) {
	to, err := l.members.targetOf(id)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, l.t.rpc)
	defer cancel()
	l.dialled(id, l.tr.Probe(ctx, to.Address))
}

// dialled takes the outcome of reaching a node: one that refuses is gone.
func (l *liveness) dialled(id string, err error) {
	if transport.IsRefused(err) && l.reports.refuse(id) {
		l.changed.fire()
	}
}

// ErrQuorum: those who would remain could change nothing any more.
var ErrQuorum = errors.New("too few voters would remain alive")

// quorumWithout says whether the cluster can do without a voter, as far as
// reports heard since then tell: of those who remain a majority must be alive,
// or nothing, not even the removal, is ever committed again. name words a
// ServerID for the error, which wraps ErrQuorum.
func (l *liveness) quorumWithout(id string, since time.Time, name func(id string) string) error {
	voters := votersOf(l.members.servers())
	rest := others(voters, id)
	if len(rest) == len(voters) {
		return nil
	}
	alive := 0
	var missing []string
	for _, voter := range rest {
		v := string(voter)
		if v == l.self.ServerID || l.life(v, since) == LifeAlive {
			alive++
		} else {
			missing = append(missing, name(v))
		}
	}
	if alive > len(rest)/2 {
		return nil
	}
	if len(rest) == 0 {
		return fmt.Errorf("%w: no other node votes yet; a new one does after some healthy seconds (`sluice cluster members`)", ErrQuorum)
	}
	return fmt.Errorf("%w: %d of %d, without %s; bring these back or take them out first (`sluice cluster remove`)",
		ErrQuorum, alive, len(rest), strings.Join(missing, ", "))
}

package sync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/task"
)

// Clients gives the client of a Kafka cluster, and forgets one that is no
// longer needed; *kafka.Pool does.
type Clients interface {
	Client(ctx context.Context, spec fsm.KafkaCluster) (*kafka.Client, error)
	Forget(name string)
}

// Config of a Runner.
type Config struct {
	Node       string        // this node's name, for events and claims
	Interval   time.Duration // between two looks at both Kafka clusters
	Timeout    time.Duration // of one round
	ClaimEvery time.Duration // how often the claims of others are looked for
}

// DefaultConfig returns a Config that finds new topics within 2 s.
func DefaultConfig() Config {
	return Config{Interval: 2 * time.Second, Timeout: 60 * time.Second, ClaimEvery: 30 * time.Second}
}

// Validate names everything that is wrong with the Config.
func (c Config) Validate() error {
	if c.Interval <= 0 || c.Timeout <= 0 || c.ClaimEvery <= 0 {
		return errors.New("sync: interval, timeout and claim interval must be positive")
	}
	return nil
}

// Measurement is what the Runner tells of itself, for status.
type Measurement struct {
	State   fsm.Code  // idle: in step; or why not
	Message string    // about a State that is not idle
	Topics  int       // that the selectors mean now
	Streams int       // partitions of these that are copied or about to be
	Refused []Refused // topics that cannot be copied, each with its reason
	At      int64     // unix ms of the last round that saw both Kafka clusters, 0: none yet
}

// Runner runs one sync task.
type Runner struct {
	cfg     Config
	clients Clients
	ctl     task.Control
	log     *slog.Logger
	link    fsm.LinkID
	task    fsm.TaskID
	turn    uint64

	measure  atomic.Pointer[Measurement]
	told     map[string]Refused // last refusal told of each topic, "": of the link
	ledger   ledger
	ledgerAt time.Time
}

// New makes the Runner of a sync task that this node owns at the task's turn.
func New(cfg Config, clients Clients, ctl task.Control, t *fsm.Task, log *slog.Logger) (*Runner, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return newRunner(cfg, clients, ctl, t, log), nil
}

func newRunner(cfg Config, clients Clients, ctl task.Control, t *fsm.Task, log *slog.Logger) *Runner {
	r := &Runner{cfg: cfg, clients: clients, ctl: ctl, log: log, link: t.Link, task: t.ID, turn: t.Turn, told: map[string]Refused{}}
	r.measure.Store(&Measurement{State: fsm.CodeStarting})
	return r
}

// Measure returns what the last round found.
func (r *Runner) Measure() Measurement { return *r.measure.Load() }

// Run looks at both Kafka clusters again and again until ctx ends; the error
// is the context's. What goes wrong in a round is shown by Measure, told in an
// event, and tried again in the next one.
func (r *Runner) Run(ctx context.Context) error {
	tick := time.NewTicker(r.cfg.Interval)
	defer tick.Stop()
	for {
		r.once(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// once runs a round and shows how it went.
func (r *Runner) once(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	m := Measurement{State: fsm.CodeIdle, At: r.Measure().At}
	link := r.ctl.View().Link(r.link)
	if link == nil || !link.Running() {
		m.State = fsm.CodePaused
		r.measure.Store(&m)
		return
	}
	err := r.round(ctx, link, &m)
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return // told to end
	}
	if err != nil {
		m.State, m.Message = codeOf(err), err.Error()
		r.log.Warn("topics not in step", "error", err)
	}
	r.tell(link, err, m.Refused)
	r.measure.Store(&m)
}

// round is one look and what follows from it.
func (r *Runner) round(ctx context.Context, link *fsm.Link, m *Measurement) error {
	s, err := r.look(ctx, link)
	if err != nil {
		return err
	}
	if err := r.hold(ctx, s); err != nil {
		return err
	}
	m.At = time.Now().UnixMilli()
	plan, err := r.plan(ctx, s)
	if err != nil {
		return err
	}
	m.Topics, m.Streams, m.Refused = plan.Topics, plan.Streams, plan.Refused
	if len(plan.Actions) == 0 {
		return nil
	}
	if err := r.ctl.ConfirmOwner(ctx, r.task, r.turn); err != nil {
		return fmt.Errorf("confirming the ownership of the link's topics: %w", err)
	}
	failed, err := r.carry(ctx, s, plan.Actions)
	m.Refused = append(m.Refused, failed...)
	return err
}

// sight is what one look found.
type sight struct {
	view           *fsm.View
	link           *fsm.Link
	source, target *kafka.Client
	sourceMeta     kafka.Metadata
	targetMeta     kafka.Metadata
	claim          Key
}

// look asks both Kafka clusters for their topics, and pins their ids.
func (r *Runner) look(ctx context.Context, link *fsm.Link) (*sight, error) {
	s := &sight{view: r.ctl.View(), link: link}
	g, ctx := errgroup.WithContext(ctx)
	ask := func(name string, client **kafka.Client, meta *kafka.Metadata) {
		g.Go(func() (err error) {
			spec := s.view.KafkaCluster(name)
			if spec == nil {
				return fmt.Errorf("no Kafka cluster %s", name)
			}
			if *client, err = r.clients.Client(ctx, *spec); err != nil {
				return err
			}
			if *meta, err = (*client).AllMetadata(ctx); err != nil {
				return fmt.Errorf("asking Kafka cluster %s: %w", name, err)
			}
			return r.pin(ctx, *spec, meta.ClusterID)
		})
	}
	ask(link.Spec.Source, &s.source, &s.sourceMeta)
	ask(link.Spec.Target, &s.target, &s.targetMeta)
	if err := g.Wait(); err != nil {
		return nil, err
	}
	s.claim = Key{Kind: kindClaim, Sluice: s.view.ClusterID, Source: s.sourceMeta.ClusterID, Link: link.Spec.Name}
	return s, nil
}

func (r *Runner) pin(ctx context.Context, spec fsm.KafkaCluster, id string) error {
	if spec.ClusterID != "" || id == "" {
		return nil
	}
	res, err := r.ctl.Propose(ctx, &fsm.KafkaPin{Name: spec.Name, ClusterID: id})
	if err == nil && res.Refused != fsm.RefusedNot {
		err = errors.New(res.Message)
	}
	if err != nil {
		return fmt.Errorf("pinning the cluster id of Kafka cluster %s: %w", spec.Name, err)
	}
	return nil
}

// plan decides, and looks into existing target topics where the decision
// needs it.
func (r *Runner) plan(ctx context.Context, s *sight) (Plan, error) {
	selector, err := s.link.Spec.Selector()
	if err != nil {
		return Plan{}, err
	}
	// The facts are read after the metadata: a mapping that is older than a
	// topic of the same name is seen to be of another topic.
	mine, taken := copied(r.ctl.View(), s.link)
	in := Input{
		Spec: s.link.Spec, Selector: selector,
		SameCluster: s.sourceMeta.ClusterID != "" && s.sourceMeta.ClusterID == s.targetMeta.ClusterID,
		Source:      topicsOf(s.sourceMeta), Target: byName(topicsOf(s.targetMeta)),
		Copied: mine, Taken: taken, Made: r.ledger.makers(s.claim),
	}
	p := Decide(in)
	if len(p.Examine) == 0 {
		return p, nil
	}
	if in.Empty, err = examine(ctx, s.target, s.targetMeta, p.Examine); err != nil {
		return Plan{}, err
	}
	if err := r.readLedger(ctx, s.target); err != nil { // another may have made them since
		return Plan{}, err
	}
	in.Made = r.ledger.makers(s.claim)
	return Decide(in), nil
}

// tell records an event for what was not told before, of the link as a whole
// and of each topic.
func (r *Runner) tell(link *fsm.Link, err error, refused []Refused) {
	now := map[string]Refused{}
	if err != nil {
		refused = append(slices.Clone(refused), Refused{Code: codeOf(err), Message: err.Error()})
		now = maps.Clone(r.told) // the round did not get to look at every topic
	}
	at := time.Now().UnixMilli()
	for _, f := range refused {
		now[f.Topic] = f
		if old, ok := r.told[f.Topic]; ok && old.Code == f.Code {
			continue
		}
		r.ctl.Record(fsm.Event{
			Link: link.ID, Task: r.task, Topic: f.Topic, Part: -1, Node: r.cfg.Node,
			Code: f.Code, Message: f.Message, From: -1, To: -1, First: at, Last: at,
		})
	}
	r.told = now
}

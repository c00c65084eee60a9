package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"sluice/api"
	"sluice/cluster"
	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/replication/filter"
	"sluice/replication/link"
	"sluice/task"
	"sluice/transport"
)

// control is the cluster as the API sees it.
type control struct{ *cluster.Node }

// Confirm goes through the log: what is committed behind the barrier is
// everything that was committed before the call.
func (c control) Confirm(ctx context.Context) (uint64, error) {
	index, err := c.Node.Confirm(ctx)
	return index, apiError(err)
}

func (c control) Propose(ctx context.Context, cmd fsm.Command) (fsm.Result, error) {
	r, err := c.Node.Order(ctx, cmd)
	return r, apiError(err)
}

// apiError turns the cluster's errors into those that the API knows.
func apiError(err error) error {
	switch {
	case errors.Is(err, cluster.ErrAmbiguous): // first: it may hold the other
		return fmt.Errorf("%w: %w", api.ErrAmbiguous, err)
	case errors.Is(err, cluster.ErrNoLeader), errors.Is(err, task.ErrUnknown):
		return fmt.Errorf("%w: %w", api.ErrNoLeader, err)
	case errors.Is(err, cluster.ErrLevel):
		return fmt.Errorf("%w: %w", api.ErrLevel, err)
	}
	return err
}

// membership is the cluster's members as the API sees them.
type membership struct {
	*cluster.Node
}

func (m membership) State() api.ClusterState {
	s := m.Status()
	out := api.ClusterState{NodeID: s.Self, Leader: s.Leader, Quorum: s.Quorum, Term: s.Term, Obstacles: s.Obstacles, Voters: s.Voters}
	if s.Confirmed {
		out.Confirmed = time.Now().Add(-s.LeaderAge)
	}
	return out
}

func (m membership) Members() []api.Member {
	quorum := m.Quorum()
	var out []api.Member
	for _, n := range m.Node.Members() {
		out = append(out, api.Member{
			ID: n.ServerID, Voter: n.Voter, Heard: n.At, Version: n.Version, Index: n.Reconciled, Behind: n.Behind, Tasks: n.Tasks, Details: n.Details,
			Disk: (*api.Disk)(n.Disk), Clock: (*api.Clock)(n.Clock),
			Certificates: cluster.CertificatesOf(m.Node, n.ServerID),
			// Without a quorum nobody hears a leader, and who is there must be seen all the more.
			Alive: n.Life == cluster.LifeAlive || n.Heard && !quorum,
		})
	}
	return out
}

// Leave goes on in the background once it has begun; the process ends when the
// node has left.
func (m membership) Leave(ctx context.Context, act *fsm.Act) error {
	finish, err := m.Node.Leave(ctx, act)
	if err != nil {
		return refused(err)
	}
	go func() { _ = finish(context.WithoutCancel(ctx)) }()
	return nil
}

// TransferLeadership implements api.Successor.
func (m membership) TransferLeadership(ctx context.Context, id string, act *fsm.Act) (from, to string, err error) {
	from, to, err = m.Node.TransferLeadership(ctx, id, act)
	return from, to, refused(err)
}

func (m membership) Remove(ctx context.Context, id string, act *fsm.Act) error {
	return refused(m.Node.Remove(ctx, id, act))
}

// refused words what a leader refused by rule.
func refused(err error) error {
	remote, ok := errors.AsType[*transport.RemoteError](err)
	ok = ok && remote.Status == http.StatusConflict
	if ok || errors.Is(err, cluster.ErrLastNode) || errors.Is(err, cluster.ErrQuorum) || errors.Is(err, cluster.ErrLeaving) {
		p := &api.Problem{
			Type: "about:blank", Title: http.StatusText(http.StatusConflict), Status: http.StatusConflict, Code: api.CodeRefused, Detail: err.Error(),
		}
		if ok {
			p.Detail = remote.Message // without the code
		}
		return p
	}
	return apiError(err)
}

// secret asks whether a reference can be read on this node.
func secret(s kafka.Secrets) func(string) error {
	return func(reference string) error {
		_, err := s.Read(reference)
		return err
	}
}

// filters compiles links' filters with the secrets that this node reads.
func filters(s kafka.Secrets) func(*fsm.Filter) (*filter.Filter, error) {
	return func(spec *fsm.Filter) (*filter.Filter, error) {
		secret, err := s.Read(spec.Secret) // without a reference: nothing
		if err != nil {
			return nil, errors.New("filter.secret: " + kafka.Explain(err))
		}
		return filter.Compile(spec, secret)
	}
}

// claims finds out whose a link is.
type claims struct{ catalog *catalog.Catalog }

func (c claims) Claim(ctx context.Context, v *fsm.View, l *fsm.Link) (api.Claim, error) {
	got, err := link.ClaimOn(ctx, c.catalog, v, l)
	switch {
	case errors.Is(err, link.ErrNotClaimed):
		return api.Claim{}, api.ErrNotClaimed
	case err != nil:
		return api.Claim{}, errors.New(kafka.Explain(err))
	}
	return api.Claim{Sluice: got.Sluice, Node: got.Node, At: time.UnixMilli(got.At), ProducerID: got.ProducerID}, nil
}

// preflight looks at both Kafka clusters of a link before it is applied.
type preflight struct{ catalog *catalog.Catalog }

func (p preflight) Check(ctx context.Context, v *fsm.View, spec fsm.LinkSpec, clusters map[string]fsm.KafkaCluster) (api.Preflight, error) {
	f, err := link.Preflight(ctx, p.catalog, v, spec, clusters[spec.Source], clusters[spec.Target])
	out := api.Preflight{ClusterIDs: f.ClusterIDs, Starts: f.Starts, LeftOut: f.LeftOut}
	for _, t := range f.Topics {
		planned := api.PlannedTopic{Topic: t.Topic, Target: t.Target, Partitions: t.Partitions, Create: !t.Exists, Settings: t.Settings, Copied: t.Copied}
		if t.Bytes >= 0 {
			planned.Bytes = new(t.Bytes)
		}
		out.Topics = append(out.Topics, planned)
	}
	for _, m := range f.Refusals {
		out.Refusals = append(out.Refusals, api.Finding{Message: m})
	}
	for _, m := range f.Warnings {
		out.Warnings = append(out.Warnings, api.Finding{Message: m})
	}
	return out, err
}

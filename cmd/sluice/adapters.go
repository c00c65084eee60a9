package main

import (
	"context"
	"errors"
	"time"

	"sluice/api"
	"sluice/cluster"
	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication"
	"sluice/replication/sync"

	"log/slog"
)

// streamControl is the cluster as streams see it.
type streamControl struct{ *cluster.Node }

func (c streamControl) ConfirmOwner(ctx context.Context, id fsm.TaskID, turn uint64) error {
	err := c.Node.ConfirmOwner(ctx, id, turn)
	if errors.Is(err, cluster.ErrNotOwner) {
		return replication.ErrNotOwner
	}
	return err
}

// copyRunner runs copy tasks.
type copyRunner struct{ r *replication.Runner }

func (c copyRunner) Start(ctx context.Context, t *fsm.Task) cluster.Running {
	return copyTask{c.r.Start(ctx, t)}
}

type copyTask struct{ *replication.Stream }

func (t copyTask) Measure() cluster.Measurement {
	m := t.Stream.Measure()
	return cluster.Measurement{State: m.State, LagRecords: m.LagRecords, LagMillis: m.LagMs, BytesPerSec: m.BytesPerS}
}

// syncRunner runs sync tasks.
type syncRunner struct {
	cfg  sync.Config
	pool *kafka.Pool
	ctl  *cluster.Node
	log  *slog.Logger
}

func (s syncRunner) Start(ctx context.Context, t *fsm.Task) cluster.Running {
	ctx, cancel := context.WithCancel(ctx)
	run := &syncTask{cancel: cancel, done: make(chan struct{})}
	r, err := sync.New(s.cfg, s.pool, s.ctl, t, s.log)
	if err != nil {
		s.log.Error("starting a sync task", "err", err)
		cancel()
		close(run.done)
		return run
	}
	run.r = r
	go func() {
		defer close(run.done)
		_ = r.Run(ctx)
	}()
	return run
}

type syncTask struct {
	r      *sync.Runner
	cancel context.CancelFunc
	done   chan struct{}
}

func (s *syncTask) Update(*fsm.Task)      {}
func (s *syncTask) Drain()                { s.cancel() }
func (s *syncTask) Done() <-chan struct{} { return s.done }

func (s *syncTask) Measure() cluster.Measurement {
	m := cluster.Measurement{State: fsm.CodeStarting, LagRecords: -1, LagMillis: -1}
	if s.r != nil {
		m.State = s.r.Measure().State
	}
	return m
}

// control is the cluster as the API sees it.
type control struct{ *cluster.Node }

// Confirm goes through the log: what is committed behind the barrier is
// everything that was committed before the call.
func (c control) Confirm(ctx context.Context) (uint64, error) {
	r, err := c.Node.Propose(ctx, &fsm.Barrier{})
	return r.Index, apiError(err)
}

func (c control) Propose(ctx context.Context, cmd fsm.Command) (fsm.Result, error) {
	r, err := c.Node.Propose(ctx, cmd)
	return r, apiError(err)
}

// apiError turns the cluster's errors into those that the API knows.
func apiError(err error) error {
	switch {
	case errors.Is(err, cluster.ErrNoLeader), errors.Is(err, cluster.ErrUnknown):
		return errors.Join(api.ErrNoLeader, err)
	case errors.Is(err, cluster.ErrAmbiguous):
		return errors.Join(api.ErrAmbiguous, err)
	}
	return err
}

// membership is the cluster's members as the API sees them.
type membership struct {
	*cluster.Node
	version string
}

func (m membership) State() api.ClusterState {
	s := m.Status()
	out := api.ClusterState{NodeID: s.Self, Leader: s.Leader, Quorum: s.Quorum, Term: s.Term}
	if s.Confirmed {
		out.Confirmed = time.Now().Add(-s.LeaderAge)
	}
	return out
}

func (m membership) Members() []api.Member {
	reports := m.Reports()
	var out []api.Member
	for _, n := range m.Node.Members() {
		a := api.Member{ID: n.ServerID, Voter: n.Voter, Alive: n.Life == cluster.LifeAlive, Version: m.version, Index: n.Reconciled}
		if n.ReportAge >= 0 {
			a.Heard = time.Now().Add(-n.ReportAge)
		}
		for id, t := range reports[n.ServerID].Tasks {
			measure := api.Measure{Task: id, State: t.State, LagRecords: t.LagRecords, LagMillis: t.LagMillis, BytesPerSecond: float64(t.BytesPerSec), Source: -1, Target: -1}
			if task := m.View().Task(id); task != nil {
				measure.Turn = task.Turn
			}
			a.Measures = append(a.Measures, measure)
		}
		out = append(out, a)
	}
	return out
}

// Leave drains in the background; the process ends when the node has left.
func (m membership) Leave(ctx context.Context) error {
	began := make(chan error, 1)
	go func() { began <- m.Node.Leave(context.WithoutCancel(ctx)) }()
	select {
	case err := <-began:
		return err
	case <-time.After(200 * time.Millisecond):
		return nil
	}
}

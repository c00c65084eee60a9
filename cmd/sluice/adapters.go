package main

import (
	"context"
	"errors"
	"log/slog"

	"sluice/cluster"
	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication"
	"sluice/replication/sync"
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
	return cluster.Measurement{State: m.State, Message: m.Message, LagRecords: m.LagRecords, LagMillis: m.LagMs, BytesPerSec: m.BytesPerS}
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
		now := s.r.Measure()
		m.State, m.Message = now.State, now.Message
	}
	return m
}

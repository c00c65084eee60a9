package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"sluice/api"
	"sluice/cluster"
	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication"
	"sluice/replication/sync"
	"sluice/transport"
)

// version is set by the linker.
var version = "dev"

// idleBuffers is how much of the memory limit may lie unused in buffers.
const idleBuffers = 4

// serve runs a node until ctx ends or it has left the cluster.
func serve(ctx context.Context, path string, insecure bool, logs io.Writer) error {
	file, err := readFile(path)
	if err != nil {
		return err
	}
	cfg, err := file.configs(insecure)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	level := slog.LevelInfo
	if err := level.UnmarshalText([]byte(file.Log)); err != nil {
		return fmt.Errorf("%s: log: %w", path, err)
	}
	log := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: level}))
	n, err := assemble(cfg, log)
	if err != nil {
		return err
	}
	return n.run(ctx)
}

// node is everything that one process runs.
type node struct {
	cfg       parts
	log       *slog.Logger
	transport *transport.Transport
	cluster   *cluster.Node
	pool      *kafka.Pool
	streams   *replication.Runner
	runners   map[fsm.Kind]cluster.Runner
	api       *api.Server
}

// assemble builds the parts from the ground up; nothing runs yet.
func assemble(cfg parts, log *slog.Logger) (*node, error) {
	n := &node{cfg: cfg, log: log}
	id, err := cluster.OpenIdentity(cfg.cluster.DataDir)
	if err != nil {
		return nil, err
	}
	self := transport.Identity{ServerID: id.ServerID, Name: cfg.cluster.Name}
	if n.transport, err = transport.New(cfg.transport, self, log); err != nil {
		return nil, err
	}
	if n.cluster, err = cluster.New(cfg.cluster, n.transport, log); err != nil {
		return nil, err
	}
	budget := replication.NewBudget(cfg.replication.Memory)
	kc := kafka.DefaultConfig()
	kc.ClientID, kc.Buffers = "sluice-"+cfg.cluster.Name, kafka.NewBuffers(budget, int(cfg.replication.Memory/idleBuffers))
	if n.pool, err = kafka.NewPool(kc, log); err != nil {
		return nil, err
	}
	cfg.replication.Node, cfg.replication.Name = id.ServerID, cfg.cluster.Name
	if n.streams, err = replication.NewRunner(cfg.replication, n.pool, budget, streamControl{n.cluster}, log); err != nil {
		return nil, err
	}
	sc := sync.DefaultConfig()
	sc.Node = cfg.cluster.Name
	n.runners = map[fsm.Kind]cluster.Runner{
		fsm.KindCopy: copyRunner{n.streams},
		fsm.KindSync: syncRunner{cfg: sc, pool: n.pool, ctl: n.cluster, log: log},
	}
	n.api, err = api.New(cfg.api, api.Parts{
		Control: control{n.cluster}, Cluster: membership{n.cluster, version},
		Metrics: n.metrics(), Version: version, Log: log,
	})
	return n, err
}

// metrics serves every part's collector.
func (n *node) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		n.transport.Collector(), n.pool.Collector(), n.cluster.Collector(), n.streams.Collector())
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// run starts the parts in order and stops them in the opposite order: tasks
// drain while the cluster still hears of it, and the network goes last.
func (n *node) run(ctx context.Context) error {
	listener, err := n.cfg.api.Open()
	if err != nil {
		return err
	}
	base, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var below errgroup.Group
	below.Go(func() error { return n.transport.Run(base) })
	below.Go(func() error { return n.api.Run(base, listener) })
	below.Go(func() error { return n.streams.Run(base) })
	n.log.Info("node started", "node", n.cfg.cluster.Name, "peer", n.cfg.transport.Advertise, "http", n.cfg.api.Listen, "version", version, "pid", os.Getpid())
	err = n.cluster.Run(ctx, n.runners)
	n.streams.Close()
	n.pool.Close()
	stop()
	err = errors.Join(err, below.Wait())
	n.log.Info("node ended", "node", n.cfg.cluster.Name)
	return err
}

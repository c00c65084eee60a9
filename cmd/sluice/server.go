package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"sluice/api"
	"sluice/cli"
	"sluice/cluster"
	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/pki"
	"sluice/replication/link"
	"sluice/replication/stream"
	"sluice/replication/verify"
	"sluice/replication/wire"
	"sluice/task"
	"sluice/transport"
	"sluice/web"
)

// idleBuffers is how much of the memory limit may lie unused in buffers.
const idleBuffers = 4

// serve runs a node until ctx ends or it has left the cluster.
func serve(ctx context.Context, path string, o cli.ServerOptions) error {
	c, err := ready(path, o)
	if err != nil {
		return err
	}
	c.cluster.Token = o.Token
	if o.Verbose {
		c.log = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(o.Stderr, &slog.HandlerOptions{Level: c.log}))
	for _, text := range c.found.lighter(fatal, c.fields) {
		log.Warn("something in node.yaml is not as it should be", "finding", text)
	}
	if c.coreDumps {
		log.Warn("core files of this process are allowed, and hold the secrets that it uses (coreDumps in node.yaml)")
	} else if err := seal(); err != nil {
		log.Warn("the memory of this process could not be kept from core files and other processes of its user; the secrets that it uses stand in it", "error", err)
	}
	n, err := assemble(c.parts, log)
	if err != nil {
		return err
	}
	return n.run(ctx)
}

// ready reads and checks node.yaml; an error is what keeps the node from
// starting.
func ready(path string, o cli.ServerOptions) (checked, error) {
	c, err := check(path, func(nodeFile) bool { return o.Insecure }, o.Join)
	if err == nil {
		err = c.found.err(fatal, c.fields)
	}
	return c, err
}

// node is everything that one process runs.
type node struct {
	cfg        parts
	log        *slog.Logger
	https      *pki.Store // the API's certificate; nil: plain HTTP
	transport  *transport.Transport
	cluster    *cluster.Node
	pool       *kafka.Pool
	catalog    *catalog.Catalog
	streams    *stream.Runner
	verify     *verify.Jobs
	operations *cluster.Operations
	runners    map[fsm.Kind]task.Runner
	api        *api.Server
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
	if cfg.api.Cert != "" {
		if n.https, err = pki.Open(pki.Files{Cert: cfg.api.Cert, Key: cfg.api.Key}, "", cfg.api.AdvertisedHost(), log); err != nil {
			return nil, fmt.Errorf("http: %w", err)
		}
	}
	cfg.cluster.Version, cfg.cluster.Certificates = version, n.held
	if n.cluster, err = cluster.New(cfg.cluster, n.transport, log); err != nil {
		return nil, err
	}
	budget := wire.NewBudget(cfg.replication.Memory)
	cfg.kafka.Buffers = kafka.NewBuffers(int(cfg.replication.Memory / idleBuffers))
	if n.pool, err = kafka.NewPool(cfg.kafka, log); err != nil {
		return nil, err
	}
	n.catalog = catalog.New(catalog.DefaultConfig(), n.pool, n.cluster.View, log)
	cfg.replication.Node, cfg.replication.Name, cfg.replication.Filter = id.ServerID, cfg.cluster.Name, filters(cfg.kafka.Secrets)
	if n.streams, err = stream.NewRunner(cfg.replication, n.catalog, budget, n.cluster, cluster.NewDraws(n.cluster), log); err != nil {
		return nil, err
	}
	lc := link.DefaultConfig()
	lc.Node = cfg.cluster.Name
	links, err := link.New(lc, n.catalog, n.cluster, log)
	if err != nil {
		return nil, err
	}
	n.runners = map[fsm.Kind]task.Runner{fsm.KindCopy: n.streams, fsm.KindLink: links}
	vc := verify.DefaultConfig()
	vc.Memory, vc.Filter = budget.Share("(verify)"), cfg.replication.Filter
	if n.verify, err = verify.New(vc, n.catalog, n.cluster); err != nil {
		return nil, err
	}
	n.operations = cluster.NewOperations(n.cluster, acts(n.catalog), log)
	n.api, err = api.New(cfg.api, api.Parts{
		Control: control{n.cluster}, Cluster: membership{n.cluster}, Successor: membership{n.cluster}, Preflight: preflight{n.catalog}, Claims: claims{n.catalog}, Secret: secret(cfg.kafka.Secrets),
		Verify:  verifier{n.verify, cfg.cluster.Name},
		Metrics: metrics(log, n.collectors()), Web: web.Handler(), Version: version, Log: log,
	})
	return n, err
}

// collectors are those of the parts; a node shows what it owns.
func (n *node) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		build(), pki.Collector(n.held), api.LinkCollector(control{n.cluster}, membership{n.cluster}), n.streams.Collector(), n.cluster.Collector(), n.pool.Collector(), n.transport.Collector(),
	}
}

// held are the certificates that this node uses; empty: it uses none.
func (n *node) held() []pki.Held {
	return slices.Concat([]pki.Held{}, n.transport.Certificates().Held(), n.https.Held())
}

// look is held after a look at the files.
func (n *node) look() []pki.Held {
	return slices.Concat(n.transport.Certificates().Look(), n.https.Look())
}

// run opens the API's port and lives.
func (n *node) run(ctx context.Context) error {
	listener, err := n.cfg.api.Open(n.https, n.log)
	if err != nil {
		return err
	}
	n.log.Info("node started", "node", n.cfg.cluster.Name, "peer", n.cfg.transport.Advertise, "http", listener.Addr().String(),
		"version", version, "pid", os.Getpid())
	err = n.live(ctx, func(ctx context.Context) error { return n.api.Run(ctx, listener) })
	n.log.Info("node ended", "node", n.cfg.cluster.Name)
	return err
}

// live starts the parts in order, the face to the outside among them, and
// stops them in the opposite order: tasks drain while the cluster still hears
// of it, and the network goes last.
func (n *node) live(ctx context.Context, face func(context.Context) error) error {
	base, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	above, stopAbove := context.WithCancel(ctx)
	defer stopAbove()
	var below errgroup.Group
	for _, part := range []func(context.Context) error{
		n.transport.Run, n.streams.Run, n.operations.Run, face,
		func(ctx context.Context) error { return pki.Watch(ctx, n.look, n.log) },
	} {
		below.Go(func() error {
			defer stopAbove() // without one of them the node is none
			return part(base)
		})
	}
	err := n.cluster.Run(above, n.runners)
	n.verify.Close()
	n.streams.Close()
	n.catalog.Close()
	n.pool.Close()
	stop()
	return errors.Join(err, below.Wait())
}

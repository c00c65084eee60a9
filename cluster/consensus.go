package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"sluice/transport"
)

// Sizes of Raft's log. A command is at most 64 KiB in practice (progress), so
// the log keeps at most about 160 MiB behind a snapshot.
const (
	raftDir           = "raft"
	logFile           = "log.db"
	snapshotThreshold = 1024 // entries
	trailingLogs      = 2560 // entries; more than twice the threshold
	snapshotInterval  = 30 * time.Second
	maxAppendEntries  = 512
	logCache          = 512 // entries
	keptSnapshots     = 2
	boltOpenTimeout   = 5 * time.Second // another process holds the data dir
)

// consensus is this node's Raft with what it stands on.
type consensus struct {
	*raft.Raft
	questions
	rpc    time.Duration // Raft gets that long to answer at the end
	peers  *peers
	layer  *transport.RaftLayer
	bolt   *boltdb.BoltStore
	logs   raft.LogStore
	notify chan bool // leadership gained and lost, in order
}

// raftConfig gives Raft's settings (FACTS section 4 says why).
func (n *Node) raftConfig(notify chan bool) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(n.self.ServerID)
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = n.t.heartbeat, n.t.heartbeat, n.t.lease
	c.MaxAppendEntries = maxAppendEntries
	c.SnapshotThreshold, c.TrailingLogs, c.SnapshotInterval = snapshotThreshold, trailingLogs, snapshotInterval
	c.NotifyCh = notify
	c.Logger = hlog{log: n.log.With("part", "raft")}
	c.NoLegacyTelemetry = true
	return c
}

// startRaft opens the stores and starts Raft; identity.Bootstrap begins the
// cluster with this node as its only server.
func (n *Node) startRaft(identity Identity) (*consensus, error) {
	dir := filepath.Join(n.cfg.DataDir, raftDir)
	if _, err := os.Stat(filepath.Join(dir, logFile)); identity.Log && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening %s: %w", dir, ErrLogLost)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating raft dir: %w", err)
	}
	c := &consensus{rpc: n.t.rpc, notify: make(chan bool, 64)}
	if err := c.open(n, dir, identity.Bootstrap); err != nil {
		return nil, errors.Join(err, c.close())
	}
	if err := n.founding.begun(n.commitIdentity); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *consensus) open(n *Node, dir string, bootstrap bool) (err error) {
	c.bolt, err = boltdb.New(boltdb.Options{
		Path:        filepath.Join(dir, logFile),
		BoltOptions: &bbolt.Options{Timeout: boltOpenTimeout, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType},
	})
	if err != nil {
		return fmt.Errorf("opening log store (does another process use %s?): %w", dir, err)
	}
	var store raft.LogStore = c.bolt
	if n.cfg.hooks.store != nil {
		store = n.cfg.hooks.store(store)
	}
	if c.logs, err = raft.NewLogCache(logCache, store); err != nil {
		return fmt.Errorf("creating log cache: %w", err)
	}
	config := n.raftConfig(c.notify)
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, keptSnapshots, config.Logger)
	if err != nil {
		return fmt.Errorf("opening snapshots: %w", err)
	}
	if c.layer, err = n.tr.Raft(); err != nil {
		return fmt.Errorf("opening raft's stream: %w", err)
	}
	c.peers = newPeers(raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		ServerAddressProvider: n, Logger: config.Logger, Stream: c.layer,
		MaxPool: 3, MaxRPCsInFlight: 1, Timeout: 2 * n.t.rpc,
	}))
	if bootstrap {
		err := raft.BootstrapCluster(config, c.logs, c.bolt, snapshots, c.peers, raft.Configuration{Servers: []raft.Server{
			{ID: config.LocalID, Address: raft.ServerAddress(n.self.Advertise)},
		}})
		if err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
			return fmt.Errorf("beginning the cluster: %w", err)
		}
	}
	var machine raft.FSM = n.machine
	if n.cfg.hooks.fsm != nil {
		machine = n.cfg.hooks.fsm(machine)
	}
	if c.Raft, err = raft.NewRaft(config, machine, c.logs, c.bolt, snapshots, c.peers); err != nil {
		return fmt.Errorf("starting raft: %w", err)
	}
	return nil
}

// close stops Raft, waits for it and closes the stores.
func (c *consensus) close() error {
	var errs []error
	if c.peers != nil {
		_ = c.peers.Close() // first: an append that is held back ends
	}
	if c.Raft != nil {
		c.end(c.rpc)
		errs = append(errs, c.Shutdown().Error())
	}
	if c.layer != nil {
		_ = c.layer.Close()
	}
	if c.bolt != nil {
		errs = append(errs, c.bolt.Close())
	}
	return errors.Join(errs...)
}

// ServerAddr implements raft.ServerAddressProvider: every dial names the
// server that it means.
func (n *Node) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	to, err := n.targetOf(string(id))
	return raft.ServerAddress(to.String()), err
}

// targetOf finds where a server is dialled, from Raft's configuration.
func (n *Node) targetOf(id string) (transport.Target, error) {
	if id == n.self.ServerID {
		return transport.Target{Address: n.self.Advertise, ServerID: id}, nil
	}
	for _, s := range n.servers() {
		if string(s.ID) == id {
			return transport.Target{Address: string(s.Address), ServerID: id}, nil
		}
	}
	return transport.Target{}, fmt.Errorf("server %s is no member", id)
}

// servers returns the latest membership that this node knows.
func (n *Node) servers() []raft.Server {
	c := n.raft.Load()
	if c == nil || c.Raft == nil {
		return nil
	}
	return c.GetConfiguration().Configuration().Servers
}

// lastCommand returns the index of the last command at or before a committed
// index, which is what a View's index is: Raft's own entries never reach the
// FSM.
func (c *consensus) lastCommand(committed, applied uint64) uint64 {
	var entry raft.Log
	for i := committed; i > applied; i-- {
		if err := c.logs.GetLog(i, &entry); err != nil || entry.Type == raft.LogCommand {
			return i // not readable: ask for more than there may be
		}
	}
	return applied
}

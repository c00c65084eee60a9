package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"sluice/fsm"
	"sluice/transport"
)

// Sizes of Raft's log. A command is at most 64 KiB in practice (progress), so
// the log keeps at most about 160 MiB behind a snapshot.
const (
	snapshotThreshold = 1024 // entries
	trailingLogs      = 2560 // entries; more than twice the threshold
	snapshotInterval  = 30 * time.Second
	maxAppendEntries  = 512
	logCache          = 512 // entries
	keptSnapshots     = 2
	boltOpenTimeout   = 5 * time.Second // another process holds the data dir
)

// raftNode is a running Raft with what it stands on. Whatever has an answer
// that Raft may forget at its end is asked through questions; close ends these
// first, then Raft, and waits for both.
type raftNode struct {
	*raft.Raft
	questions
	*local
	clusterID string
	transport *raftTransport
	layer     *transport.RaftLayer
	bolt      *boltdb.BoltStore
	logs      raft.LogStore
	stable    *watchedStable
	floor     *floor
	disk      disk
	notify    chan bool // leadership gained and lost, in order
}

// openRaft opens the stores and starts Raft; identity.Bootstrap begins the
// cluster with this node as its only server.
func openRaft(l *local, tr *transport.Transport, addresses raft.ServerAddressProvider, machine raft.FSM, identity Identity) (*raftNode, error) {
	dir := filepath.Join(l.cfg.DataDir, raftDir)
	if _, err := os.Stat(filepath.Join(dir, logFile)); identity.Log && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening %s: %w", dir, ErrLogLost)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating raft dir: %w", err)
	}
	r := &raftNode{local: l, clusterID: identity.ClusterID, notify: make(chan bool, 64), disk: disk{ending: make(chan struct{})}}
	if err := r.open(dir, tr, addresses, machine, identity.Bootstrap); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// config gives Raft's settings. Leadership is told by NotifyCh, which keeps the
// order of gains and losses.
func (r *raftNode) config() *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(r.self.ServerID)
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = r.t.heartbeat, r.t.heartbeat, r.t.lease
	c.MaxAppendEntries = maxAppendEntries
	c.SnapshotThreshold, c.TrailingLogs, c.SnapshotInterval = snapshotThreshold, trailingLogs, snapshotInterval
	c.NotifyCh = r.notify
	c.Logger = hlog{log: r.log.With("part", "raft")}
	c.NoLegacyTelemetry = true
	return c
}

// canaryKey holds what is written to see whether the store takes writes; Raft's
// own keys are others.
const canaryKey = "sluice-canary"

// openBolt opens a log store, or makes one.
func openBolt(path string) (*boltdb.BoltStore, error) {
	return boltdb.New(boltdb.Options{
		Path:        path,
		BoltOptions: &bbolt.Options{Timeout: boltOpenTimeout, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType},
	})
}

// openLog opens the log store, which holds Raft's term and vote too, unless it
// is damaged.
func (r *raftNode) openLog(dir string) error {
	path := filepath.Join(dir, logFile)
	if err := checkStore(path); err != nil {
		return damaged(path, r.cfg.Name, err)
	}
	var err error
	if r.floor, err = openFloor(dir); err != nil {
		return err
	}
	if r.bolt, err = openBolt(path); err != nil {
		return fmt.Errorf("opening log store (does another process use %s?): %w", dir, err)
	}
	var stable raft.StableStore = &flooredStable{r.bolt, r.floor}
	var store raft.LogStore = &flooredLog{r.bolt, r.floor}
	if r.cfg.hooks.stable != nil {
		stable = r.cfg.hooks.stable(stable)
	}
	if r.cfg.hooks.store != nil {
		store = r.cfg.hooks.store(store)
	}
	r.stable = &watchedStable{StableStore: stable, disk: &r.disk, path: path}
	if err := r.stable.Set([]byte(canaryKey), nil); err != nil { // Raft begins with a write, and panics where it fails
		why, _ := r.disk.state()
		return fmt.Errorf("this node cannot take part in the cluster: %s", why)
	}
	if r.logs, err = raft.NewLogCache(logCache, &watchedLog{store, &r.disk, path}); err != nil {
		return fmt.Errorf("creating log cache: %w", err)
	}
	return nil
}

// whole compares what the stores hold with what they once held.
func (r *raftNode) whole(snapshots raft.SnapshotStore) error {
	term, err := r.bolt.GetUint64([]byte(keyTerm))
	if err != nil && !errors.Is(err, boltdb.ErrKeyNotFound) {
		return fmt.Errorf("reading Raft's term: %w", err)
	}
	index, err := r.logs.LastIndex()
	if err != nil {
		return fmt.Errorf("reading the end of Raft's log: %w", err)
	}
	kept, err := snapshots.List()
	if err != nil {
		return fmt.Errorf("reading snapshots: %w", err)
	}
	for _, s := range kept {
		index = max(index, s.Index)
	}
	return r.floor.holds(term, index)
}

func (r *raftNode) open(dir string, tr *transport.Transport, addresses raft.ServerAddressProvider, machine raft.FSM, bootstrap bool) error {
	if err := r.openLog(dir); err != nil {
		return err
	}
	config := r.config()
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, keptSnapshots, config.Logger)
	if err != nil {
		return fmt.Errorf("opening snapshots: %w", err)
	}
	if err := r.whole(snapshots); err != nil {
		return fmt.Errorf("opening %s: %w", dir, err)
	}
	if r.layer, err = tr.Raft(); err != nil {
		return fmt.Errorf("opening raft's stream: %w", err)
	}
	r.transport = newRaftTransport(raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		ServerAddressProvider: addresses, Logger: config.Logger, Stream: r.layer,
		MaxPool: 3, MaxRPCsInFlight: 1, Timeout: 2 * r.t.rpc, // with more in flight a failed append stops a follower for good
	}), r.stable.keepTerm)
	if bootstrap {
		err := raft.BootstrapCluster(config, r.logs, r.stable, snapshots, r.transport, raft.Configuration{Servers: []raft.Server{
			{ID: config.LocalID, Address: raft.ServerAddress(r.self.Advertise)},
		}})
		if err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
			return fmt.Errorf("beginning the cluster: %w", err)
		}
	}
	if r.cfg.hooks.fsm != nil {
		machine = r.cfg.hooks.fsm(machine)
	}
	if r.Raft, err = raft.NewRaft(config, machine, r.logs, r.stable, snapshots, r.transport); err != nil {
		return fmt.Errorf("starting raft: %w", err)
	}
	return nil
}

// close stops Raft, waits for it and closes the stores.
func (r *raftNode) close() error {
	var errs []error
	close(r.disk.ending)
	if r.transport != nil {
		_ = r.transport.Close() // first: an append that is held back ends
	}
	if r.Raft != nil {
		r.end(r.t.rpc)
		errs = append(errs, r.Shutdown().Error())
	}
	if r.layer != nil {
		_ = r.layer.Close()
	}
	if r.bolt != nil {
		errs = append(errs, r.bolt.Close())
	}
	return errors.Join(errs...)
}

// watchLeader calls news whenever this node learns of a leader, until ctx ends.
func (r *raftNode) watchLeader(ctx context.Context, news func()) error {
	observed := make(chan raft.Observation, 8)
	observer := raft.NewObserver(observed, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	r.RegisterObserver(observer)
	defer r.DeregisterObserver(observer)
	for {
		select {
		case o := <-observed:
			if l := o.Data.(raft.LeaderObservation); l.LeaderID != "" {
				r.log.Info("leader", "id", l.LeaderID)
				news()
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// append puts a command into the log and returns what the FSM answered. Errors
// are ErrNoLeader and ErrAmbiguous, wrapped.
func (r *raftNode) append(ctx context.Context, data []byte) (fsm.Result, error) {
	var f raft.ApplyFuture
	err := r.ask(func() raft.Future { f = r.Apply(data, r.t.rpc); return f }).wait(ctx)
	if err != nil {
		return fsm.Result{}, appendError(err)
	}
	switch answer := f.Response().(type) {
	case fsm.Result:
		return answer, nil
	case error:
		return fsm.Result{}, fmt.Errorf("%w: %w", ErrAmbiguous, answer)
	default:
		return fsm.Result{}, fmt.Errorf("%w: the FSM answered %T", ErrAmbiguous, answer)
	}
}

// appendError says whether a failed append may still take place.
func appendError(err error) error {
	switch {
	case errors.Is(err, ErrNoLeader), errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrEnqueueTimeout), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return fmt.Errorf("%w: %w", ErrNoLeader, err)
	}
	return fmt.Errorf("%w: %w", ErrAmbiguous, err)
}

// lastCommand returns the index of the last command at or before a committed
// index, which is what a View's index is: Raft's own entries never reach the
// FSM.
func (r *raftNode) lastCommand(committed, applied uint64) uint64 {
	var entry raft.Log
	for i := committed; i > applied; i-- {
		if err := r.logs.GetLog(i, &entry); err != nil || entry.Type == raft.LogCommand {
			return i // not readable: ask for more than there may be
		}
	}
	return applied
}

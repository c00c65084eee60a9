package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"

	"sluice/fsm"
)

// Held is what the data dir of a node that does not run holds of its cluster.
type Held struct {
	Dir       string
	ServerID  string
	ClusterID string
	Term      uint64 // of the last entry
	Index     uint64 // of the last entry, whether it was committed or not
	Members   []raft.Server
	Facts     *fsm.State // with all entries, also those of which nobody can say whether they were committed

	voted uint64 // Raft's current term
}

// Later reports whether h holds more than other: what a cluster has committed is
// with the latest, by the term of the last entry, then by its index.
func (h *Held) Later(other *Held) bool {
	return h.Term > other.Term || h.Term == other.Term && h.Index > other.Index
}

// ErrNoCluster: a data dir holds nothing of a cluster.
var ErrNoCluster = errors.New("it holds nothing of a Sluice cluster")

// Read reads the data dir of a node that does not run, and changes nothing in it
// that counts. Errors wrap ErrNoCluster, ErrDamaged, ErrLogLost, ErrCopied and
// what fsm says of facts that cannot be read.
func Read(dataDir string) (*Held, error) {
	id, err := ReadIdentity(dataDir)
	if err != nil {
		return nil, err
	}
	h := &Held{Dir: dataDir, ServerID: id.ServerID, ClusterID: id.ClusterID}
	dir := filepath.Join(dataDir, raftDir)
	path := filepath.Join(dir, logFile)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) && id.Log { // a recovery was cut short between its last two steps
		_ = os.Rename(dir+nextStore, dir)
	}
	switch _, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("reading %s: %w", dataDir, ErrNoCluster)
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", dataDir, err)
	}
	if err := checkStore(path); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	}
	bolt, err := openBolt(path)
	if err != nil {
		return nil, fmt.Errorf("opening %s (does the node run?): %w", path, err)
	}
	defer bolt.Close()
	if err := h.read(dir, bolt); err != nil {
		return nil, fmt.Errorf("reading %s: %w", dir, err)
	}
	return h, nil
}

// read takes the newest snapshot and all entries behind it.
func (h *Held) read(dir string, log *boltdb.BoltStore) error {
	var err error
	if h.voted, err = log.GetUint64([]byte(keyTerm)); err != nil && !errors.Is(err, boltdb.ErrKeyNotFound) {
		return err
	}
	m := newMachine(func(error) {})
	if err := h.snapshot(dir, m); err != nil {
		return err
	}
	last, err := log.LastIndex()
	if err != nil {
		return err
	}
	for i := h.Index + 1; i <= last; i++ {
		var entry raft.Log
		if err := log.GetLog(i, &entry); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		h.Index, h.Term = entry.Index, entry.Term
		switch entry.Type {
		case raft.LogCommand:
			m.Apply(&entry)
		case raft.LogConfiguration:
			h.Members = raft.DecodeConfiguration(entry.Data).Servers
		case raft.LogNoop, raft.LogAddPeerDeprecated, raft.LogRemovePeerDeprecated, raft.LogBarrier:
		}
	}
	if m.err != nil {
		return m.err
	}
	h.Facts = m.state
	floor, err := openFloor(dir)
	if err != nil {
		return err
	}
	return floor.holds(h.voted, h.Index)
}

// snapshot restores the newest snapshot, if there is one.
func (h *Held) snapshot(dir string, m *machine) error {
	if _, err := os.Stat(filepath.Join(dir, snapshotDir)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	store, err := raft.NewFileSnapshotStoreWithLogger(dir, keptSnapshots, quiet())
	if err != nil {
		return err
	}
	list, err := store.List()
	if err != nil || len(list) == 0 {
		return err
	}
	meta, data, err := store.Open(list[0].ID)
	if err != nil {
		return err
	}
	h.Index, h.Term, h.Members = meta.Index, meta.Term, meta.Configuration.Servers
	return m.Restore(data)
}

// writeStore makes the Raft store of a cluster of one server in a folder that is
// not there yet: the facts as a snapshot at an index and term, and no log.
func writeStore(dir string, self raft.Server, state *fsm.State, index, term, voted uint64) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("creating raft dir: %w", err)
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, keptSnapshots, quiet())
	if err != nil {
		return fmt.Errorf("opening snapshots: %w", err)
	}
	_, peers := raft.NewInmemTransport(self.Address) // it only encodes the address
	defer peers.Close()
	sink, err := snapshots.Create(1, index, term, raft.Configuration{Servers: []raft.Server{self}}, index, peers)
	if err == nil {
		err = snapshot{state.View()}.Persist(sink)
	}
	if err != nil {
		return fmt.Errorf("writing the facts: %w", err)
	}
	bolt, err := openBolt(filepath.Join(dir, logFile))
	if err == nil {
		err = errors.Join(bolt.SetUint64([]byte(keyTerm), max(term, voted)), bolt.Close())
	}
	if err != nil {
		return fmt.Errorf("making the log store: %w", err)
	}
	return syncDir(dir)
}

// nextStore is added to the name of a Raft store that is to take the place of
// another.
const nextStore = ".new"

// stamp names a folder that is kept, by when.
func stamp(now time.Time) string { return now.UTC().Format("20060102T150405") }

// snapshotDir is where Raft keeps snapshots, in raftDir.
const snapshotDir = "snapshots"

// quiet is Raft's logger where nobody reads along.
func quiet() hlog { return hlog{log: slog.New(slog.DiscardHandler)} }

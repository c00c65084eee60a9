package cluster

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"sluice/fsm"
)

// A cluster that has lost more than half of its voters for good goes on as
// another one: with an id of its own, so that no node of the lost one, should it
// come back, is let in or can have it let in. docs/adr says why.

// ErrInUse: a data dir is not empty.
var ErrInUse = errors.New("the data dir belongs to a node already")

// Recover makes the node of a data dir, which does not run, the only one of a new
// cluster, with all that it holds: entries too of which nobody can say whether
// they were committed, for what was acknowledged is among them. advertise is its
// peer address. It returns the new cluster's id, and where the store of before is
// kept. Cut short, it can be done again.
func Recover(h *Held, advertise string, now time.Time) (clusterID, kept string, err error) {
	id, err := ReadIdentity(h.Dir)
	if err != nil {
		return "", "", err
	}
	if id.ServerID != h.ServerID {
		return "", "", fmt.Errorf("recovering %s: it was changed meanwhile", h.Dir)
	}
	clusterID = newID()
	dir := filepath.Join(h.Dir, raftDir)
	next := dir + nextStore
	if err := os.RemoveAll(next); err != nil {
		return "", "", fmt.Errorf("removing what an earlier recovery left: %w", err)
	}
	self := raft.Server{ID: raft.ServerID(h.ServerID), Address: raft.ServerAddress(advertise)}
	if err := writeStore(next, self, h.Facts.Successor(clusterID, now.UnixMilli()), h.Index, h.Term, h.voted); err != nil {
		return "", "", err
	}
	// With the new id and the old store the node finds no quorum, and nobody.
	id.ClusterID, id.Address, id.Log, id.Bootstrap, id.Members = clusterID, advertise, true, false, nil
	if err := saveIdentity(h.Dir, id); err != nil {
		return "", "", err
	}
	kept = dir + ".lost-" + stamp(now)
	err = os.Rename(dir, kept)
	if err == nil {
		err = os.Rename(next, dir)
	}
	if err == nil {
		err = syncDir(h.Dir)
	}
	if err != nil {
		return "", "", fmt.Errorf("putting the new store in place: %w", err)
	}
	return clusterID, kept, nil
}

// Restore makes a cluster of one node with facts that were saved, in a data dir
// that is empty or not there. It returns the new cluster's id.
func Restore(dataDir, advertise string, state *fsm.State, now time.Time) (clusterID string, err error) {
	for _, name := range []string{identityFile, raftDir} {
		if _, err := os.Stat(filepath.Join(dataDir, name)); err == nil {
			return "", fmt.Errorf("%w: there is %s; name an empty one as dataDir in node.yaml, or move that one away", ErrInUse, filepath.Join(dataDir, name))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("looking into the data dir: %w", err)
		}
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return "", fmt.Errorf("creating data dir: %w", err)
	}
	clusterID = newID()
	id := Identity{ServerID: newID(), ClusterID: clusterID, Log: true, Address: advertise}
	next, dir := filepath.Join(dataDir, raftDir+nextStore), filepath.Join(dataDir, raftDir)
	if err := os.RemoveAll(next); err != nil {
		return "", fmt.Errorf("removing what an earlier restoring left: %w", err)
	}
	self := raft.Server{ID: raft.ServerID(id.ServerID), Address: raft.ServerAddress(advertise)}
	if err := writeStore(next, self, state.Successor(clusterID, now.UnixMilli()), max(state.View().Index, 1), 1, 1); err != nil {
		return "", err
	}
	if err := saveIdentity(dataDir, id); err != nil { // without the store it is as a node that has lost its log: it does not start
		return "", err
	}
	if err := os.Rename(next, dir); err != nil {
		return "", fmt.Errorf("putting the new store in place: %w", err)
	}
	return clusterID, syncDir(dataDir)
}

// NameOf is the name of a member by what is held, or its id.
func (h *Held) NameOf(id string) string {
	if n := h.Facts.View().Node(id); n != nil {
		return cmp.Or(n.Name, id)
	}
	return id
}

func newID() string { return strings.ToLower(rand.Text()) }

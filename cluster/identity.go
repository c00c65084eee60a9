package cluster

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Identity is what a data dir makes of a node. ServerID is random and lives
// and dies with the data dir: a wiped node has forgotten its vote, so it must
// not come back under the id that gave it.
type Identity struct {
	ServerID  string   `json:"serverId"`
	ClusterID string   `json:"clusterId,omitempty"` // empty before the node belongs to a cluster
	Bootstrap bool     `json:"bootstrap,omitempty"` // this node decided to begin the cluster and has not yet
	Log       bool     `json:"log,omitempty"`       // Raft's log was made: without it this node has forgotten its vote
	Address   string   `json:"address,omitempty"`   // at which the others knew the node; empty: a release wrote it that did not say
	Members   *members `json:"members,omitempty"`   // who belonged to the cluster last; nil: not known, or not all nodes say
	CopyOf    string   `json:"copyOf,omitempty"`    // the address at which the node of this identity was alive while this one ran
}

// ErrLogLost: a part of the data dir is gone, and with it what this node promised.
var ErrLogLost = errors.New("the data dir holds the identity of a member, but not all of its Raft log; empty it to let the node join as a new one")

// ErrCopied: the node of the data dir's identity is alive elsewhere.
var ErrCopied = errors.New("the data dir of this node is a copy")

// copied says that a data dir is a copy of a living node's, and the way out.
func copied(dataDir, serverID, alive string) error {
	return fmt.Errorf("%w: the node with its identity %s is alive at %s, and what this one knows is out of date; to let this one join as a new node remove %s and %s, and give it a name and an address of its own in its node.yaml",
		ErrCopied, serverID, alive, filepath.Join(dataDir, identityFile), filepath.Join(dataDir, raftDir))
}

// What lies in a data dir.
const (
	identityFile = "node.json"
	raftDir      = "raft"
	logFile      = "log.db" // in raftDir
)

// DataFiles are the files and folders of a data dir that a node writes, below
// it.
func DataFiles() []string {
	return []string{identityFile, raftDir, filepath.Join(raftDir, logFile)}
}

// OpenIdentity reads the identity in a data dir, or makes one there. It is
// called before the transport is built, which presents the ServerID.
func OpenIdentity(dataDir string) (Identity, error) {
	id, err := ReadIdentity(dataDir)
	if err == nil && id.ServerID == "" {
		id.ServerID = strings.ToLower(rand.Text())
		err = saveIdentity(dataDir, id)
	}
	return id, err
}

// ReadIdentity reads the identity in a data dir and writes nothing; it is empty
// where there is none. That of a copy is ErrCopied.
func ReadIdentity(dataDir string) (Identity, error) {
	var id Identity
	data, err := os.ReadFile(filepath.Join(dataDir, identityFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return id, nil
	case err != nil:
		return id, fmt.Errorf("reading the node's identity: %w", err)
	}
	path := filepath.Join(dataDir, identityFile)
	if err := json.Unmarshal(data, &id); err != nil {
		return id, fmt.Errorf("reading %s: not the identity of a node: %w", path, err)
	}
	if id.ServerID == "" {
		return id, fmt.Errorf("reading %s: not the identity of a node: it has no serverId", path)
	}
	if id.CopyOf != "" {
		return id, copied(dataDir, id.ServerID, id.CopyOf)
	}
	return id, nil
}

// saveIdentity replaces the file as a whole: after a crash it is the former
// or the new one.
func saveIdentity(dataDir string, id Identity) error {
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return fmt.Errorf("creating data dir: %w", err)
	}
	data, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("encoding identity: %w", err)
	}
	if err := replaceFile(dataDir, identityFile, data); err != nil {
		return fmt.Errorf("writing identity: %w", err)
	}
	return nil
}

// replaceFile replaces a file of a data dir as a whole.
func replaceFile(dataDir, name string, data []byte) error {
	path := filepath.Join(dataDir, name)
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(dataDir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening data dir: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("syncing data dir: %w", err)
	}
	return nil
}

// wipeIdentity removes identity and log after a node has left its cluster: started
// again it is a new node.
func wipeIdentity(dataDir string) error {
	return errors.Join(os.RemoveAll(filepath.Join(dataDir, raftDir)), os.Remove(filepath.Join(dataDir, identityFile)))
}

package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/raft"
)

// floorFile beside Raft's log says how much Raft's store must hold at least. A node
// that starts with less has forgotten a vote or entries that it had confirmed,
// and might elect a leader that does not have them: to the cluster it is lost.
const floorFile = "floor.json"

// floorEvery is after how many entries the floor is raised.
const floorEvery = 256

// Floor is what a Raft store must hold.
type Floor struct {
	Term  uint64 `json:"term"`  // Raft's, in which this node may have voted
	Index uint64 `json:"index"` // of an entry in the log or in a snapshot
}

// floor keeps the Floor of Raft's folder.
type floor struct {
	dir string

	mu sync.Mutex
	is Floor
}

// openFloor reads it; a folder without one asks for nothing.
func openFloor(dir string) (*floor, error) {
	f := &floor{dir: dir}
	path := filepath.Join(dir, floorFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &f.is)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return f, nil
}

// holds reports whether a store with that term and last index is whole.
func (f *floor) holds(term, index uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if term < f.is.Term || index < f.is.Index {
		return fmt.Errorf("%w: its log ends with entry %d in term %d, and has held entry %d and term %d", ErrLogLost, index, term, f.is.Index, f.is.Term)
	}
	return nil
}

// change makes a change last before it returns.
func (f *floor) change(how func(*Floor)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.is
	how(&next)
	if next == f.is {
		return nil
	}
	data, err := json.Marshal(next)
	if err == nil {
		err = replaceFile(f.dir, floorFile, data)
	}
	if err == nil {
		f.is = next
	}
	return err
}

// flooredLog raises the floor behind what is written, and lowers it before
// entries are removed that another leader has replaced.
type flooredLog struct {
	raft.LogStore
	floor *floor
}

// StoreLog implements raft.LogStore.
func (l *flooredLog) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore.
func (l *flooredLog) StoreLogs(entries []*raft.Log) error {
	err := l.LogStore.StoreLogs(entries)
	if err != nil || len(entries) == 0 {
		return err
	}
	last := entries[len(entries)-1].Index
	return l.floor.change(func(f *Floor) {
		if last >= f.Index+floorEvery {
			f.Index = last
		}
	})
}

// DeleteRange implements raft.LogStore.
func (l *flooredLog) DeleteRange(first, last uint64) error {
	err := l.floor.change(func(f *Floor) {
		if first <= f.Index && f.Index <= last {
			f.Index = first - 1
		}
	})
	if err != nil {
		return err
	}
	return l.LogStore.DeleteRange(first, last)
}

// flooredStable raises the floor before this node votes in a new term.
type flooredStable struct {
	raft.StableStore
	floor *floor
}

// keyTerm is Raft's key of the current term.
const keyTerm = "CurrentTerm"

// SetUint64 implements raft.StableStore.
func (s *flooredStable) SetUint64(key []byte, value uint64) error {
	err := s.StableStore.SetUint64(key, value)
	if err != nil || string(key) != keyTerm {
		return err
	}
	return s.floor.change(func(f *Floor) { f.Term = max(f.Term, value) })
}

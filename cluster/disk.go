package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

// disk is how Raft's writes to the data dir go. A node whose disk takes none
// takes no part in Raft, but lives, and its reports say why.
type disk struct {
	ending chan struct{} // closed: this node's Raft ends

	mu   sync.Mutex
	log  trouble // of entries
	own  trouble // of Raft's term and vote, and of the canary
	over bool    // Raft is in a term that was not kept: nothing is written any more
}

// errOver is why nothing is written any more.
var errOver = errors.New("this node ends, and its disk has not taken Raft's term")

// write does one write of a kind and notes how it ends.
func (d *disk) write(kind *trouble, path string, do func() error) error {
	d.mu.Lock()
	over := d.over
	d.mu.Unlock()
	if over {
		return errOver
	}
	err := do()
	d.wrote(kind, path, err)
	return err
}

// giveUp ends all writing.
func (d *disk) giveUp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
}

// trouble is why writes of a kind fail; its zero value is none.
type trouble struct {
	why   string
	since time.Time // when the first one failed
}

// wrote notes how a write of a kind ended.
func (d *disk) wrote(kind *trouble, path string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		*kind = trouble{}
	case kind.why == "":
		*kind = trouble{unwritable(path, err), time.Now()}
	default: // the reason may be another one by now
		kind.why = unwritable(path, err)
	}
}

// state says why the node cannot write, and since when; an empty text: it can.
func (d *disk) state() (why string, since time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.log
	if t.why == "" {
		t = d.own
	}
	return t.why, t.since
}

// unwritable says for a person why a file cannot be written.
func unwritable(path string, err error) string {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		path = of.Path
	}
	what, text := "the disk fails", err.Error()
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		text = errno.Error()
		switch errno {
		case syscall.ENOSPC:
			what = "disk full"
		case syscall.EDQUOT:
			what = "disk quota used up"
		case syscall.EFBIG:
			what = "limit of a file's size reached"
		case syscall.EROFS:
			what = "the disk is read-only"
		default:
		}
	}
	return fmt.Sprintf("%s: writing %s: %s", what, path, text)
}

// watchedLog notes how entries are written.
type watchedLog struct {
	raft.LogStore
	disk *disk
	path string
}

// StoreLog implements raft.LogStore.
func (l *watchedLog) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore.
func (l *watchedLog) StoreLogs(entries []*raft.Log) error {
	return l.disk.write(&l.disk.log, l.path, func() error { return l.LogStore.StoreLogs(entries) })
}

// DeleteRange implements raft.LogStore.
func (l *watchedLog) DeleteRange(first, last uint64) error {
	return l.disk.write(&l.disk.log, l.path, func() error { return l.LogStore.DeleteRange(first, last) })
}

// watchedStable notes how Raft's term and vote are written. Raft panics where it
// cannot keep its term, and without a process nobody would say that the disk is
// full: so that write waits until the disk takes it, or Raft ends. Raft stands
// still meanwhile, which is right for a node that can confirm nothing.
type watchedStable struct {
	raft.StableStore
	disk *disk
	path string

	mu   sync.Mutex
	term uint64 // kept, since this process began; 0: none was written yet
}

// termRetry is how often the term is written again.
const termRetry = time.Second

// Set implements raft.StableStore.
func (s *watchedStable) Set(key, value []byte) error {
	return s.disk.write(&s.disk.own, s.path, func() error { return s.StableStore.Set(key, value) })
}

// SetUint64 implements raft.StableStore. At the end Raft is let go into a term
// that is not kept; as nothing is written from then on, it neither votes nor
// confirms an entry in it.
func (s *watchedStable) SetUint64(key []byte, value uint64) error {
	if string(key) != keyTerm {
		return s.disk.write(&s.disk.own, s.path, func() error { return s.StableStore.SetUint64(key, value) })
	}
	for s.keepTerm(value) != nil {
		select {
		case <-time.After(termRetry):
		case <-s.disk.ending:
			s.disk.giveUp()
			return nil
		}
	}
	return nil
}

// keepTerm writes a term, unless it or a later one is kept already.
func (s *watchedStable) keepTerm(term uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if term <= s.term {
		return nil
	}
	err := s.disk.write(&s.disk.own, s.path, func() error { return s.StableStore.SetUint64([]byte(keyTerm), term) })
	if err == nil {
		s.term = term
	}
	return err
}

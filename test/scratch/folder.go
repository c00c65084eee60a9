// Package scratch gives tests folders that outlive nobody: what a run leaves
// because it was killed, or died of a panic, is taken away by the next one. It
// owns the folders and the locks that tell which are in use, and knows nothing
// of what lies in them.
package scratch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Folder is a folder that one process uses.
type Folder struct {
	Path string
	lock *os.File // tells others that it is in use, and ends with the process
}

const (
	inUse = "in-use"
	// A folder gets its name when it is locked. One that never got there is as
	// good as left behind after this time.
	unnamed = "new-"
	stale   = time.Hour
)

// Make makes a folder in parent ("" for os.TempDir) whose name begins with
// prefix, and removes those of that prefix whose owners are gone.
func Make(parent, prefix string) (*Folder, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	sweep(parent, prefix)
	dir, err := os.MkdirTemp(parent, unnamed+prefix)
	if err != nil {
		return nil, fmt.Errorf("making a scratch folder: %w", err)
	}
	lock, err := TryLock(filepath.Join(dir, inUse))
	if err != nil || lock == nil {
		return nil, errors.Join(fmt.Errorf("locking a scratch folder: %w", err), os.RemoveAll(dir))
	}
	f := &Folder{Path: filepath.Join(parent, filepath.Base(dir)[len(unnamed):]), lock: lock}
	if err := os.Rename(dir, f.Path); err != nil {
		lock.Close()
		return nil, errors.Join(fmt.Errorf("naming a scratch folder: %w", err), os.RemoveAll(dir))
	}
	return f, nil
}

// Remove removes the folder with all that is in it. Removing twice is fine.
func (f *Folder) Remove() error {
	err := os.RemoveAll(f.Path)
	f.lock.Close()
	return err
}

// sweep removes the folders whose owners are gone. Failures are of no interest.
func sweep(parent, prefix string) {
	found, _ := filepath.Glob(filepath.Join(parent, prefix+"*"))
	for _, dir := range found {
		if lock := takeOver(filepath.Join(dir, inUse)); lock != nil {
			os.RemoveAll(dir)
			lock.Close()
		}
	}
	found, _ = filepath.Glob(filepath.Join(parent, unnamed+prefix+"*"))
	for _, dir := range found {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > stale {
			os.RemoveAll(dir)
		}
	}
}

// takeOver locks a file that is there and that nobody has locked; nil where
// that is not so: its owner uses it, or is just removing it.
func takeOver(path string) *os.File {
	lock, _ := tryLock(path, os.O_RDWR)
	return lock
}

// Shared is a folder of a name in the user's cache folder, made where it is
// missing: what test processes of all checkouts have in common.
func Shared(name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder: %w", err)
	}
	dir := filepath.Join(cache, "sluice-kafkalab", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making a cache folder: %w", err)
	}
	return dir, nil
}

// Lock takes an exclusive lock on the file path, which is made where it is
// missing, and waits for it. The lock ends with the process, too.
func Lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// TryLock is Lock for who does not wait: nil without error where somebody has
// the lock. Closing the file gives it back.
func TryLock(path string) (*os.File, error) { return tryLock(path, os.O_CREATE|os.O_RDWR) }

func tryLock(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag, 0o644)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, err
}

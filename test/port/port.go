// Package port reserves TCP ports of this machine for servers that tests start,
// also while such a server is down. It knows nothing of who uses them.
package port

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"

	"sluice/test/scratch"
)

// Ports are taken below the range from which kernels give outgoing connections
// theirs: a stopped server's port can then not be taken by a client's
// connection, nor can a client that dials it while nobody listens end up
// connected to itself (TCP's simultaneous open).
const (
	firstPort = 12000
	lastPort  = 31999
)

// Port is a reserved port of 127.0.0.1. The reservation is a file lock, which
// ends with the process, too.
type Port struct {
	number int
	lock   *os.File
}

// Addr is the port's address.
func (p Port) Addr() string { return fmt.Sprintf("127.0.0.1:%d", p.number) }

// Release gives the port back. The file goes first: who opens it from now on
// makes another, and who has it open already finds that it is gone.
func (p Port) Release() {
	os.Remove(p.lock.Name())
	p.lock.Close()
}

// Reserve finds a port that nobody listens on and no other test has reserved,
// of whatever checkout: reservations lie in the user's cache folder.
func Reserve() (Port, error) {
	dir, err := scratch.Shared("ports")
	if err != nil {
		return Port{}, fmt.Errorf("reserving a port: %w", err)
	}
	for range 1000 {
		n := firstPort + rand.IntN(lastPort-firstPort+1)
		lock, err := scratch.TryLock(filepath.Join(dir, fmt.Sprint(n)))
		if err != nil {
			return Port{}, fmt.Errorf("reserving a port: %w", err)
		}
		if lock == nil {
			continue
		}
		if !named(lock) {
			lock.Close()
			continue
		}
		p := Port{number: n, lock: lock}
		if l, err := net.Listen("tcp4", p.Addr()); err == nil {
			l.Close()
			return p, nil
		}
		p.Release()
	}
	return Port{}, errors.New("reserving a port: none is free")
}

// named reports whether a file still has its name: a lock on one that lost it
// excludes nobody.
func named(f *os.File) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(f.Name())
	return err == nil && os.SameFile(open, there)
}

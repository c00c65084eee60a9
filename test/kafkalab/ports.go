package kafkalab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"

	"sluice/test/scratch"
)

// Ports are taken below the range from which kernels give outgoing connections theirs: a stopped
// broker's port can then not be taken by a client's connection, nor can a client that dials it
// while nobody listens end up connected to itself (TCP's simultaneous open).
const (
	firstPort = 12000
	lastPort  = 31999
)

// port is a reserved TCP port of 127.0.0.1. The reservation is a file lock, held for as long as the
// cluster lives, since the broker that listens on it may be down for a while.
type port struct {
	number int
	lock   *os.File
}

func (p port) addr() string { return fmt.Sprintf("127.0.0.1:%d", p.number) }

// release gives the port back. The file goes first: who opens it from now on
// makes another, and who has it open already finds that it is gone.
func (p port) release() {
	os.Remove(p.lock.Name())
	p.lock.Close()
}

// reservePort finds a port that nobody listens on and no other lab has
// reserved, of whatever checkout: reservations lie in the user's cache folder.
func reservePort() (port, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return port{}, fmt.Errorf("reserving a port: %w", err)
	}
	dir := filepath.Join(cache, "sluice-kafkalab", "ports")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return port{}, fmt.Errorf("reserving a port: %w", err)
	}
	for range 1000 {
		n := firstPort + rand.IntN(lastPort-firstPort+1)
		lock, err := scratch.TryLock(filepath.Join(dir, fmt.Sprint(n)))
		if err != nil {
			return port{}, fmt.Errorf("reserving a port: %w", err)
		}
		if lock == nil {
			continue
		}
		if !named(lock) {
			lock.Close()
			continue
		}
		p := port{number: n, lock: lock}
		if l, err := net.Listen("tcp4", p.addr()); err == nil {
			l.Close()
			return p, nil
		}
		p.release()
	}
	return port{}, errors.New("reserving a port: none is free")
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

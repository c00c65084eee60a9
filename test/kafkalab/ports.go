package kafkalab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
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

func (p port) release() { p.lock.Close() }

// reservePort finds a port that nobody listens on and no other lab has reserved.
func reservePort() (port, error) {
	dir := filepath.Join(os.TempDir(), "sluice-kafkalab-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return port{}, fmt.Errorf("reserving a port: %w", err)
	}
	for range 1000 {
		n := firstPort + rand.IntN(lastPort-firstPort+1)
		lock, err := tryLockFile(filepath.Join(dir, fmt.Sprint(n)))
		if err != nil {
			return port{}, fmt.Errorf("reserving a port: %w", err)
		}
		if lock == nil {
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

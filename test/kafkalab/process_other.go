//go:build !linux

package kafkalab

import (
	"errors"
	"syscall"
)

func dieWithParent() *syscall.SysProcAttr { return nil }

// Usage is read from /proc and thus known on Linux only.
func Usage(int) (ProcessUsage, error) {
	return ProcessUsage{}, errors.New("reading CPU time: only on Linux")
}

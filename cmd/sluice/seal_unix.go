//go:build unix

package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// noCoreFile lets the process leave no core file.
func noCoreFile() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, new(unix.Rlimit)); err != nil {
		return fmt.Errorf("forbidding core files: %w", err)
	}
	return nil
}

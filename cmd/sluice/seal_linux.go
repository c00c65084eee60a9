package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// seal keeps the memory of this process, where the secrets stand that it uses,
// from core files and from other processes of its user: what is not dumpable
// also belongs to root in /proc. The limit alone would not do, since the kernel
// asks for none where a core goes to a program (core(5)).
func seal() error {
	if err := noCoreFile(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("making this process undumpable: %w", err)
	}
	return nil
}

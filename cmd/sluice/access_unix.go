//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// writable says why this process may not write a file, or make and remove files
// in a folder.
func writable(path string) error {
	mode := uint32(unix.R_OK | unix.W_OK)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		mode |= unix.X_OK
	}
	return unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS)
}

//go:build unix

package pki

import (
	"os"
	"syscall"
)

// keepOwner gives a file to the owner of another one: a node could not read what
// root alone may.
func keepOwner(f *os.File, of os.FileInfo) error {
	there, ok := of.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if own, ok := info.Sys().(*syscall.Stat_t); ok && own.Uid == there.Uid && own.Gid == there.Gid {
		return nil
	}
	return f.Chown(int(there.Uid), int(there.Gid))
}

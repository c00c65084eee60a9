//go:build unix

package pki

import (
	"os"
	"syscall"
	"testing"
)

// TestRenewKeepsTheOwner: what root renews the node can still read.
func TestRenewKeepsTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give files away")
	}
	s := newSite(t)
	for _, f := range []string{s.files.Cert, s.files.Key} {
		if err := os.Chown(f, 4321, 4322); err != nil {
			t.Skip("this machine does not let root do so: ", err)
		}
	}
	if _, err := RenewNodeCert(s.dir, "n1"); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{s.files.Cert, s.files.Key} {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if of := info.Sys().(*syscall.Stat_t); of.Uid != 4321 || of.Gid != 4322 {
			t.Errorf("%s is of %d:%d", f, of.Uid, of.Gid)
		}
	}
}

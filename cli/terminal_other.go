//go:build !unix

package cli

import (
	"errors"
	"os"
)

// isTerminal takes every character device for one.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// size is how many columns and rows the terminal shows, 0: unknown.
func size(*os.File) (columns, rows int) { return 0, 0 }

// singleKeys is not known here: Ctrl-C leaves.
func singleKeys(*os.File) (restore func(), err error) { return nil, errors.ErrUnsupported }

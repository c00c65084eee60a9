//go:build !unix

package cli

import "os"

// isTerminal takes every character device for one.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// height is how many lines the terminal shows, 0: unknown.
func height(*os.File) int { return 0 }

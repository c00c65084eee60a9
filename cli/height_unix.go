//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// height is how many lines the terminal shows, 0: unknown.
func height(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Row)
}

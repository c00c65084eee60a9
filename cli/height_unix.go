//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// isTerminal tells a terminal from other devices, such as /dev/null.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

// height is how many lines the terminal shows, 0: unknown.
func height(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Row)
}

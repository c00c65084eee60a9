//go:build unix

package cli

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// isTerminal tells a terminal from other devices, such as /dev/null.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

// size is how many columns and rows the terminal shows, 0: unknown.
func size(f *os.File) (columns, rows int) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	return int(size.Col), int(size.Row)
}

// singleKeys makes the terminal give each key as it is pressed, without showing
// it; Ctrl-C stays a signal. restore makes it as it was.
func singleKeys(f *os.File) (restore func(), err error) {
	fd := int(f.Fd())
	before, err := unix.IoctlGetTermios(fd, readTermios)
	if err != nil {
		return nil, fmt.Errorf("asking how the terminal is set: %w", err)
	}
	now := *before
	now.Lflag &^= unix.ICANON | unix.ECHO
	now.Cc[unix.VMIN], now.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, writeTermios, &now); err != nil {
		return nil, fmt.Errorf("setting the terminal: %w", err)
	}
	return func() { _ = unix.IoctlSetTermios(fd, writeTermios, before) }, nil
}

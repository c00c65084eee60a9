package cli

import (
	"context"
	"io"
	"iter"
	"strings"

	"sluice/api"
)

// watchStatus shows the picture again and again: on a terminal in place,
// elsewhere one after the other. A node that does not answer is waited for.
func watchStatus(ctx context.Context, a *app, f statusFlags) error {
	text := a.std.format == "text" || a.std.format == "wide"
	if text && a.std.Terminal {
		var leave func()
		ctx, leave = a.std.takeScreen(ctx)
		defer leave()
	}
	return watch(ctx, &a.nodes, f.every, func(ctx context.Context, c *api.Client) (*api.Status, error) { return f.get(ctx, a, c) },
		func(s *api.Status, err error) error {
			switch {
			case err != nil && text && a.std.Terminal:
				why := "no answer: " + a.nodes.explain(err).Detail
				columns, _ := a.std.screen()
				a.std.redraw(wrap(why, columns))
			case err != nil:
				return a.std.put("no answer: " + a.nodes.explain(err).Detail + "\n")
			case text && a.std.Terminal:
				_, rows := a.std.screen()
				a.std.redraw(statusLines(a.std.style(), s, rows-1)) // the last one says how to leave
			case text:
				var b strings.Builder
				statusText(&b, a.std.style(), s)
				return a.std.put(b.String() + "\n")
			default:
				return showStatus(a, s)
			}
			return nil
		})
}

// screen is how large the terminal is; what is not known is the usual.
func (s *streams) screen() (columns, rows int) {
	if s.Size != nil {
		columns, rows = s.Size()
	}
	if columns <= 0 || rows <= 0 {
		return textWidth, 24
	}
	return columns, rows
}

// takeScreen shows an empty screen until leave gives back what was there
// before. The context ends with q.
func (s *streams) takeScreen(ctx context.Context) (_ context.Context, leave func()) {
	ctx, stop := context.WithCancel(ctx)
	restore := func() {}
	if s.Interactive && s.Keys != nil {
		if back, err := s.Keys(); err == nil { // else Ctrl-C leaves
			restore = back
			go untilQ(s.Stdin, stop)
		}
	}
	_ = s.put("\x1b[?1049h\x1b[?25l") // another screen, no cursor; nobody watches any more where it fails
	return ctx, func() {
		stop()
		_ = s.put("\x1b[?25h\x1b[?1049l")
		restore()
	}
}

// untilQ reads keys until one is q; what still reads ends with the process.
func untilQ(keys io.Reader, stop func()) {
	b := make([]byte, 1)
	for {
		n, err := keys.Read(b)
		if n == 1 && (b[0] == 'q' || b[0] == 'Q') {
			stop()
			return
		}
		if err != nil {
			return
		}
	}
}

// redraw writes over what it wrote before, without a flicker: each line is cut
// to the screen and cleared to its end, then all that is below.
func (s *streams) redraw(lines []string) {
	columns, rows := s.screen()
	lines = lines[:min(len(lines), rows-1)]
	var b strings.Builder
	b.WriteString("\x1b[H")
	for _, line := range append(lines, s.style().paint(dim, "q leaves")) {
		b.WriteString(cutPainted(line, columns) + "\x1b[K\n")
	}
	_ = s.put(strings.TrimSuffix(b.String(), "\n") + "\x1b[J") // nobody watches any more
}

// cutPainted shortens a line that may hold colours to n runes that are seen.
func cutPainted(line string, n int) string {
	var b strings.Builder
	long, at := plainLen(line) > n, 0
	for r, seen := range runes(line) {
		if seen {
			if at++; long && at == n {
				return b.String() + "…\x1b[0m"
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}

// plainLen is how many runes of a line are seen.
func plainLen(line string) int {
	n := 0
	for _, seen := range runes(line) {
		if seen {
			n++
		}
	}
	return n
}

// runes are those of a line, and whether each is seen or is of a colour.
func runes(line string) iter.Seq2[rune, bool] {
	return func(yield func(rune, bool) bool) {
		painting := false
		for _, r := range line {
			painting = painting || r == '\x1b'
			if !yield(r, !painting) {
				return
			}
			painting = painting && r != 'm'
		}
	}
}

package cli

import (
	"fmt"
	"sync"
)

// progress is one line on stderr that long work keeps current. Where stderr
// is not watched on a terminal, each new text is a line of its own.
type progress struct {
	a     *app
	mu    sync.Mutex
	last  string
	ended bool
}

func (a *app) progress() *progress { return &progress{a: a} }

func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if p.ended || p.a.flags.quiet || text == p.last {
		return
	}
	p.last = text
	if p.a.env.Watched {
		fmt.Fprintf(p.a.env.Stderr, "\r\x1b[K%s", text)
	} else {
		fmt.Fprintln(p.a.env.Stderr, text)
	}
}

// end takes the line away; it may be called often.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended && p.last != "" && p.a.env.Watched {
		fmt.Fprint(p.a.env.Stderr, "\r\x1b[K")
	}
	p.ended = true
}

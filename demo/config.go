package demo

import (
	"io"
	"os"
)

// Config of a demo.
type Config struct {
	Check  bool      // run by itself: copy, kill, compare, print the summary, end
	Binary string    // the sluice executable that the nodes run
	Out    io.Writer // the summary
	Err    io.Writer // what is going on
	Rate   int       // records a second
	HTTP   int       // port of the first node's page; the others follow
}

// DefaultConfig shows the page at http://127.0.0.1:8080.
func DefaultConfig() Config {
	return Config{Out: os.Stdout, Err: os.Stderr, Rate: 500, HTTP: 8080}
}

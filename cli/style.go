package cli

// style says how text on stdout is drawn.
type style struct {
	wide    bool
	headers bool
	single  bool // each row is one line, cut where it is longer
	paint   func(color, string) string
}

// color is an ANSI colour.
type color string

const (
	plain  color = ""
	red    color = "31"
	green  color = "32"
	yellow color = "33"
	dim    color = "2"
)

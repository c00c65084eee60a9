package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Pos is a place in a text. Line and Column count from 1; a zero Line means
// that only the file is known.
type Pos struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

func (p Pos) String() string {
	switch {
	case p.File == "" && p.Line == 0:
		return ""
	case p.Line == 0:
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Error is one fault in a text, at its place.
type Error struct {
	Pos     Pos    `json:"pos"`
	Message string `json:"message"`
}

func (e *Error) Error() string {
	if at := e.Pos.String(); at != "" {
		return at + ": " + e.Message
	}
	return e.Message
}

// Errors are all faults found, in the order of their places; it is what the
// functions of this package return when a text is at fault.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, x := range e {
		lines[i] = x.Error()
	}
	return strings.Join(lines, "\n")
}

// add records a fault.
func (e *Errors) add(at Pos, format string, args ...any) {
	*e = append(*e, &Error{Pos: at, Message: fmt.Sprintf(format, args...)})
}

// join adds the faults of err, which may be of any kind.
func (e *Errors) join(err error) {
	var list Errors
	switch {
	case err == nil:
	case errors.As(err, &list):
		*e = append(*e, list...)
	default:
		*e = append(*e, &Error{Message: err.Error()})
	}
}

// err returns the faults in order, nil when there are none.
func (e Errors) err() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	return e
}

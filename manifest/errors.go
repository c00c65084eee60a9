package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sluice/words"
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

// Errors are the faults found, in the order of their places, as many as are
// shown; it is what the functions of this package return when a text is at
// fault.
type Errors struct {
	List []*Error
	More int // found beside them
}

func (e Errors) Error() string {
	var lines []string
	for _, x := range e.List {
		lines = append(lines, x.Error())
	}
	if e.More > 0 {
		lines = append(lines, e.Rest())
	}
	return strings.Join(lines, "\n")
}

// Rest tells of the faults that are not shown; empty: there are none.
func (e Errors) Rest() string {
	if e.More == 0 {
		return ""
	}
	return words.Count(e.More, "more fault") + " " + words.Verb(e.More, "is", "are") + " not shown; mend these first"
}

// Faults are the errors of a text that was checked elsewhere, in the order of
// their places and as many as are shown; nil where there are none.
func Faults(list []Error) error {
	slices.SortStableFunc(list, func(a, b Error) int { return a.Pos.compare(b.Pos) })
	var e Errors
	for _, x := range list {
		e.add(x.Pos, "%s", x.Message)
	}
	return e.err()
}

// compare orders places.
func (p Pos) compare(q Pos) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
}

// oneError is a fault that ends the reading.
func oneError(at Pos, format string, args ...any) error {
	var e Errors
	e.add(at, format, args...)
	return e
}

// none reports whether nothing was found.
func (e *Errors) none() bool { return len(e.List) == 0 }

// full reports whether a further fault is only counted.
func (e *Errors) full() bool { return len(e.List) >= maxErrors }

// add records a fault.
func (e *Errors) add(at Pos, format string, args ...any) {
	if e.full() {
		e.More++
		return
	}
	e.List = append(e.List, &Error{Pos: at, Message: shorten(fmt.Sprintf(format, args...))})
}

// join adds the faults of err, which may be of any kind.
func (e *Errors) join(err error) {
	if err == nil {
		return
	}
	list, ok := errors.AsType[Errors](err)
	if !ok {
		list = Errors{List: []*Error{{Message: shorten(err.Error())}}}
	}
	room := min(len(list.List), maxErrors-len(e.List))
	e.List = append(e.List, list.List[:room]...)
	e.More += len(list.List) - room + list.More
}

// err returns the faults in order, nil when there are none.
func (e Errors) err() error {
	if e.none() {
		return nil
	}
	slices.SortStableFunc(e.List, func(a, b *Error) int { return a.Pos.compare(b.Pos) })
	return e
}

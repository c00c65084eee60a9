package filter

import (
	"errors"
	"strings"
)

// step is one name of a path to a field.
type step struct {
	name string
	any  bool // every name
	deep bool // at any depth below the step before
	last bool
	hash bool // last: hashed, not masked
}

func (s *step) is(name []byte) bool { return s.any || s.name == string(name) }

// What a path may be made of, for messages.
const pathForm = "names with dots between them, * for any name, ** for any number of them; \\. is a dot in a name"

// parsePath reads a path such as "customer.email", "cards.*.number" or
// "**.email".
func parsePath(path string, hash bool) ([]step, error) {
	var out []step
	deep := false
	for _, name := range splitPath(path) {
		switch {
		case name == "":
			return nil, errors.New("an empty name; a path is " + pathForm)
		case name == "**":
			deep = true
			continue
		case name != "*" && strings.Contains(strings.ReplaceAll(name, `\*`, ""), "*"):
			return nil, errors.New("a * stands for a whole name; \\* is a star in one")
		}
		s := step{name: unquote(name), any: name == "*", deep: deep}
		out, deep = append(out, s), false
	}
	if len(out) == 0 || deep {
		return nil, errors.New("it ends with **; a field that is named stands for all that is in it")
	}
	out[len(out)-1].last, out[len(out)-1].hash = true, hash
	return out, nil
}

// splitPath cuts a path at its dots, but not at those behind a backslash.
func splitPath(path string) []string {
	var out []string
	begin := 0
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '\\':
			i++
		case '.':
			out, begin = append(out, path[begin:i]), i+1
		}
	}
	return append(out, path[begin:])
}

// unquote takes the backslashes off.
func unquote(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+1 < len(name) {
			i++
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sluice/manifest"
)

// weight is what comes of a finding.
type weight int

// The weights, from the heaviest.
const (
	fatal   weight = iota // a node does not start with it
	wrong                 // `server validate` refuses it; a node says it and starts
	advised               // both say it
)

// finding is something about node.yaml or the files that it names.
type finding struct {
	weight
	path    string // of the key: "join[0]"; empty: the whole of it
	message string
}

func (x finding) String() string {
	if x.path == "" {
		return x.message
	}
	return x.path + ": " + x.message
}

// findings are all of them.
type findings []finding

func (f *findings) add(w weight, path, format string, args ...any) {
	*f = append(*f, finding{w, path, fmt.Sprintf(format, args...)})
}

func (f *findings) fatal(path, format string, args ...any) { f.add(fatal, path, format, args...) }

// join takes what a part says of its own configuration, which stands below a
// key. Many of these errors begin with the name of the key that they are about.
func (f *findings) join(path string, err error) {
	if err == nil {
		return
	}
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		for _, err := range several.Unwrap() {
			f.join(path, err)
		}
		return
	}
	at, message := path, err.Error()
	first, rest, _ := strings.Cut(message, " ")
	if key := strings.TrimSuffix(first, ":"); slices.Contains([]string{"listen", "advertise", "dialFrom", "tls", "profile", "memory"}, key) {
		at, message = key, rest
		if path != "" {
			at = path + "." + key
		}
	}
	f.fatal(at, "%s", message)
}

// err is what is of that weight or heavier, each with its place in node.yaml.
func (f findings) err(least weight, fields manifest.Fields) error {
	var list []manifest.Error
	for _, x := range f {
		if x.weight <= least {
			list = append(list, manifest.Error{Pos: fields.At(x.path), Message: x.String()})
		}
	}
	return manifest.Faults(list)
}

// lighter are those that are not as heavy, for a person, with their places.
func (f findings) lighter(than weight, fields manifest.Fields) []string {
	var out []string
	for _, x := range f {
		if x.weight > than {
			out = append(out, fields.At(x.path).String()+": "+x.String())
		}
	}
	return out
}

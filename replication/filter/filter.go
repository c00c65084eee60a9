package filter

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"math"
	"strings"

	"sluice/fsm"
	"sluice/kafka/record"
)

// Filter is a compiled spec. It never changes: many may use it at once.
type Filter struct {
	keep    *keep // nil: all records are
	headers headers
	fields  *fields // nil: none is changed
	drops   bool    // what cannot be parsed
}

// Fault is what is wrong with a key of a spec, such as "mask[1]".
type Fault struct{ Key, Message string }

// Faults is all that is wrong with a spec.
type Faults []Fault

// Error names them.
func (f Faults) Error() string {
	var out []string
	for _, x := range f {
		out = append(out, x.Key+": "+x.Message)
	}
	return "the link's filter is wrong: " + strings.Join(out, "; ")
}

// MinSecret is how many bytes a secret has at least, so that nobody guesses it.
const MinSecret = 16

// maxFields is how many fields may be masked or hashed, and as many headers
// dropped or renamed: each costs time on each record.
const maxFields = 500

// Check says what is wrong with a spec, as Faults; nil: nothing.
func Check(spec *fsm.Filter) error {
	_, faults := build(spec)
	if len(faults) > 0 {
		return faults
	}
	return nil
}

// Compile makes a Filter of a spec and the secret that it refers to. Errors are
// Faults.
func Compile(spec *fsm.Filter, secret string) (*Filter, error) {
	f, faults := build(spec)
	if len(spec.Hash) > 0 && len(secret) < MinSecret {
		faults = append(faults, Fault{"secret", fmt.Sprintf("what it refers to has %d bytes; with less than %d, hashed fields could be guessed", len(secret), MinSecret)})
	}
	if len(faults) > 0 {
		return nil, faults
	}
	if f.fields != nil {
		f.fields.secret = []byte(secret)
	}
	return f, nil
}

// build compiles all but the secret.
func build(spec *fsm.Filter) (*Filter, Faults) {
	f := &Filter{headers: headers{drop: map[string]bool{}, to: map[string]string{}}, drops: spec.OnUnparseable == fsm.UnparseableDrop}
	var faults Faults
	fault := func(key, format string, args ...any) {
		faults = append(faults, Fault{key, fmt.Sprintf(format, args...)})
	}
	if spec.Keep != "" {
		var err error
		if f.keep, err = compileKeep(spec.Keep); err != nil {
			fault("keep", "%v", err)
		}
	}
	for i, name := range spec.DropHeaders {
		if key := fmt.Sprintf("dropHeaders[%d]", i); name == "" {
			fault(key, "a header without a name")
		} else if !f.headers.add(name, "", true) {
			fault(key, "the header %q is named twice", name)
		}
	}
	for i, h := range spec.RenameHeaders {
		if key := fmt.Sprintf("renameHeaders[%d]", i); h.From == "" || h.To == "" {
			fault(key, "from or to is missing")
		} else if !f.headers.add(h.From, h.To, false) {
			fault(key, "the header %q is named twice", h.From)
		}
	}
	if len(spec.Mask)+len(spec.Hash) > maxFields {
		fault("mask", "more than %d fields are masked or hashed", maxFields)
	} else {
		faults = append(faults, f.buildFields(spec)...)
	}
	switch {
	case len(spec.Hash) > 0 && spec.Secret == "":
		fault("secret", "is missing; fields are hashed with a secret, ${file:/path} or ${env:NAME}, so that nobody can guess what they held")
	case len(spec.Hash) == 0 && spec.Secret != "":
		fault("secret", "is for fields that are hashed, and hash names none")
	}
	if f.keep == nil && f.fields == nil && len(f.headers.drop)+len(f.headers.to) == 0 && len(faults) == 0 {
		fault("keep", "is missing; a filter says which records to keep, or names headers or fields")
	}
	return f, faults
}

func (f *Filter) buildFields(spec *fsm.Filter) (faults Faults) {
	seen := map[string]bool{}
	for _, list := range []struct {
		key   string
		paths []string
		hash  bool
	}{{"mask", spec.Mask, false}, {"hash", spec.Hash, true}} {
		for i, path := range list.paths {
			key := fmt.Sprintf("%s[%d]", list.key, i)
			steps, err := parsePath(path, list.hash)
			switch {
			case err != nil:
				faults = append(faults, Fault{key, fmt.Sprintf("%q: %v", path, err)})
				continue
			case seen[path]:
				faults = append(faults, Fault{key, fmt.Sprintf("the field %q is named twice", path)})
			}
			seen[path] = true
			if f.fields == nil {
				f.fields = &fields{}
			}
			f.fields.add(steps)
		}
	}
	return faults
}

// Drops reports whether records that cannot be parsed are dropped; else they stop
// the stream.
func (f *Filter) Drops() bool { return f.drops }

// Verdict is what becomes of a record.
type Verdict uint8

// The verdicts.
const (
	Kept        Verdict = iota // as it is
	Changed                    // kept, with another value or other headers
	Dropped                    // the expression is false
	Unparseable                // it cannot be said whether it is kept, or what of it to change
	Outgrown                   // what is changed of it takes more than Scratch.Room
)

func (v Verdict) String() string {
	return [...]string{"kept", "changed", "dropped", "unparseable", "outgrown"}[v]
}

// Counts are how many records met with a verdict.
type Counts struct {
	Dropped     int64 `json:"dropped"`
	Changed     int64 `json:"changed"`
	Unparseable int64 `json:"unparseable"` // dropped for it
}

// Plus adds counts.
func (c Counts) Plus(d Counts) Counts {
	return Counts{c.Dropped + d.Dropped, c.Changed + d.Changed, c.Unparseable + d.Unparseable}
}

// Minus takes counts away.
func (c Counts) Minus(d Counts) Counts {
	return Counts{c.Dropped - d.Dropped, c.Changed - d.Changed, c.Unparseable - d.Unparseable}
}

// Scratch is the memory that records are judged in, one after the other. The zero
// value is ready.
type Scratch struct {
	// Room is how many bytes a changed value may take, 0: as many as it needs.
	Room int

	facts  facts
	mask   masking
	header []byte
	of     *Filter // whose secret the mask's hash has
}

// Shrink lets go of buffers that have grown beyond n bytes.
func (s *Scratch) Shrink(n int) {
	if cap(s.mask.out)+cap(s.mask.tmp)+cap(s.header) > n {
		*s = Scratch{Room: s.Room}
	}
	s.facts = facts{}
}

// Holds changes a record to what the target holds of it; false: the target does
// not hold it.
func (f *Filter) Holds(r *record.Record, s *Scratch) bool {
	v, _ := f.Apply(r, s)
	return v == Kept || v == Changed
}

// Apply judges a record. Where it gives Changed, the record is changed: what is
// new of it is valid until the next call. Why is told of a record that is
// Unparseable, and holds nothing of it.
func (f *Filter) Apply(r *record.Record, s *Scratch) (v Verdict, why string) {
	if f.keep != nil {
		s.facts = facts{record: r, reading: newReading(len(r.Value))}
		switch kept, why := f.keep.keeps(&s.facts); {
		case why != "":
			return Unparseable, why
		case !kept:
			return Dropped, ""
		}
	}
	if f.fields != nil && r.Value != nil {
		value, why := f.fields.change(r.Value, f, s)
		switch {
		case s.mask.full:
			return Outgrown, ""
		case why != "":
			return Unparseable, why
		case s.mask.done > 0:
			v, r.Value = Changed, value
		}
	}
	if raw, count, changed := f.headers.change(r, s.header[:0]); changed {
		v, r.RawHeaders, r.HeaderCount, s.header = Changed, raw, count, raw
	}
	return v, ""
}

// change gives the value as it is to be copied.
func (x *fields) change(value []byte, f *Filter, s *Scratch) (changed []byte, why string) {
	m := &s.mask
	if s.of != f {
		s.of, m.mac = f, newMAC(x.secret)
	}
	*m = masking{text: text{b: value}, fields: x, mac: m.mac, out: m.out[:0], live: append(m.live[:0], x.starts...), tmp: m.tmp, room: s.Room}
	if m.room == 0 {
		m.room = math.MaxInt
	}
	m.value(0, asItIs)
	if why := m.end(); why != "" {
		return nil, notJSON + why
	}
	return m.changed(), ""
}

func newMAC(secret []byte) hash.Hash {
	if len(secret) == 0 {
		return nil
	}
	return hmac.New(sha256.New, secret)
}

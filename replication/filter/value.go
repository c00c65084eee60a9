package filter

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// reading bounds how many bytes an expression may read of one value, again and
// again.
type reading struct {
	left int
	over bool
}

// Bounds of reading.
const (
	readAgain = 64      // times the value's size
	readMore  = 1 << 20 // bytes
)

func newReading(size int) reading { return reading{left: readAgain*size + readMore} }

// take spends n bytes; not nil: there are no more.
func (r *reading) take(n int) ref.Val {
	if r.left -= n; r.left >= 0 {
		return nil
	}
	r.over = true
	return types.WrapErr(errTooCostly)
}

// reason is an error that holds nothing of a record, so that it may be shown.
type reason string

func (r reason) Error() string { return string(r) }

const errTooCostly = reason("it costs too much on this record")

// node is the value that the JSON text begins with, which is known to be one, as
// CEL sees it. Objects stay text until something of them is asked for.
func node(b []byte, r *reading) ref.Val {
	t := text{b: b}
	switch c := t.kind(); c {
	case '{':
		return &object{b[t.at:], r}
	case '[':
		return array(&t, r)
	case '"':
		raw, escaped := t.string()
		if err := r.take(len(raw)); err != nil {
			return err
		}
		if escaped {
			raw = unescape(nil, raw)
		}
		return types.String(raw)
	case 't':
		return types.True
	case 'f':
		return types.False
	case 'n':
		return types.NullValue
	}
	return number(string(t.b[t.at : t.at+numberSize(t.b[t.at:])]))
}

// number is an int where it was written as one that fits, else a double.
func number(s string) ref.Val {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return types.Int(n)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return types.WrapErr(reason("a number of the value is too large"))
	}
	return types.Double(f)
}

// element is what a slot of an array takes.
const element = 64

// array is the list that begins at t.
func array(t *text, r *reading) ref.Val {
	var out []ref.Val
	for more := t.open(']'); more; more = t.next(']') {
		t.space()
		begin := t.at
		t.skip()
		if err := r.take(element + t.at - begin); err != nil {
			return err
		}
		out = append(out, node(t.b[begin:t.at], r))
	}
	return types.NewRefValList(types.DefaultTypeAdapter, out)
}

// object is a JSON object of which only what is asked for is read. It implements
// traits.Mapper.
type object struct {
	b []byte
	r *reading
}

var _ traits.Mapper = (*object)(nil)

// each calls f with the names and values of the members.
func (o *object) each(f func(name, value []byte)) ref.Val {
	if err := o.r.take(len(o.b)); err != nil {
		return err
	}
	t := text{b: o.b}
	for more := t.open('}'); more; more = t.next('}') {
		name, escaped := t.name()
		if escaped {
			name = unescape(nil, name)
		}
		t.space()
		begin := t.at
		t.skip()
		f(name, t.b[begin:t.at])
	}
	return nil
}

// Find implements traits.Mapper. A member that is there twice means one thing to
// one reader and another to the next, so it is neither.
func (o *object) Find(key ref.Val) (ref.Val, bool) {
	want, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key), false
	}
	var found []byte
	count := 0
	if err := o.each(func(name, value []byte) {
		if string(name) == string(want) {
			found = value
			count++
		}
	}); err != nil {
		return err, false
	}
	switch count {
	case 0:
		return nil, false
	case 1:
		return node(found, o.r), true
	}
	return types.WrapErr(reason("a field that it names is there twice in one object")), false
}

// Get implements traits.Indexer.
func (o *object) Get(key ref.Val) ref.Val {
	v, found := o.Find(key)
	if !found && v == nil {
		return types.NewErr("no such key: %v", key)
	}
	return v
}

// Contains implements traits.Container.
func (o *object) Contains(key ref.Val) ref.Val {
	v, found := o.Find(key)
	if !found && v != nil {
		return v
	}
	return types.Bool(found)
}

// names are those of the members.
func (o *object) names() ([]string, ref.Val) {
	var out []string
	err := o.each(func(name, _ []byte) { out = append(out, string(name)) })
	return out, err
}

// Size implements traits.Sizer.
func (o *object) Size() ref.Val {
	names, err := o.names()
	if err != nil {
		return err
	}
	return types.Int(len(names))
}

// Iterator implements traits.Iterable.
func (o *object) Iterator() traits.Iterator {
	names, _ := o.names() // what costs too much is told by reading.over
	return types.NewStringList(types.DefaultTypeAdapter, names).Iterator()
}

// Equal implements ref.Val.
func (o *object) Equal(other ref.Val) ref.Val {
	m, ok := other.(traits.Mapper)
	if !ok {
		return types.False
	}
	names, err := o.names()
	if err != nil {
		return err
	}
	if m.Size().Equal(types.Int(len(names))) != types.True {
		return types.False
	}
	for _, name := range names {
		a, found := o.Find(types.String(name))
		if !found {
			return a
		}
		b, found := m.Find(types.String(name))
		if !found {
			if b != nil {
				return b
			}
			return types.False
		}
		if same := types.Equal(a, b); same != types.True {
			return same
		}
	}
	return types.True
}

// Type implements ref.Val.
func (o *object) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (o *object) Value() any { return o.b }

// ConvertToType implements ref.Val.
func (o *object) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.MapType:
		return o
	case types.TypeType:
		return types.MapType
	}
	return types.NewErr("type conversion error from '%s' to '%s'", types.MapType, t)
}

var errNotNative = errors.New("a JSON object is read by expressions only")

// ConvertToNative implements ref.Val.
func (o *object) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("making a %v: %w", t, errNotNative)
}

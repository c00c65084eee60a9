package filter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"sluice/fsm"
	"sluice/kafka/record"
)

// written is a JSON text as it is made, and as it has to be once it is masked.
type written struct {
	t          *rapid.T
	masks      []*regexp.Regexp
	text, want strings.Builder
}

// both writes what stays.
func (w *written) both(s string) { w.text.WriteString(s); w.want.WriteString(s) }

func (w *written) space() {
	w.both(rapid.SampledFrom([]string{"", "", "", " ", "\n\t", "\r\n "}).Draw(w.t, "space"))
}

// memberNames are few, so that paths meet them; some are written with escapes.
var memberNames = map[string]string{"a": `"a"`, "b": `"\u0062"`, "c.d": `"c.d"`, "": `""`, "ä": `"ä"`, "*": `"*"`}

var scalars = []string{`"x"`, `"\"\\\u00e9"`, `"\ud83d"`, `""`, "0", "-1.50", "123456789012345678901234567890", "1E+2", "true", "false", "null"}

// value writes any value that stands at a path; masked: all of it is.
func (w *written) value(path string, masked bool, depth int) {
	w.space()
	defer w.space()
	kinds := []string{"scalar", "object", "array"}
	if depth > 4 {
		kinds = kinds[:1]
	}
	switch rapid.SampledFrom(kinds).Draw(w.t, "kind") {
	case "scalar":
		s := rapid.SampledFrom(scalars).Draw(w.t, "scalar")
		w.text.WriteString(s)
		switch {
		case !masked || s == "null":
		case s[0] == '"':
			s = `"***"`
		case s[0] == 't' || s[0] == 'f':
			s = "false"
		default:
			s = "0"
		}
		w.want.WriteString(s)
	case "object":
		before := w.want.String()
		w.both("{")
		for i := range rapid.IntRange(0, 4).Draw(w.t, "members") {
			if i > 0 {
				w.both(",")
			}
			w.space()
			name := rapid.SampledFrom([]string{"a", "b", "c.d", "", "ä", "*"}).Draw(w.t, "name")
			w.both(memberNames[name])
			w.space()
			w.both(":")
			below := path + "/" + name
			hit := slices.ContainsFunc(w.masks, func(r *regexp.Regexp) bool { return r.MatchString(below) })
			w.value(below, hit, depth+1)
		}
		w.both("}")
		if masked {
			w.want.Reset()
			w.want.WriteString(before + "{}")
		}
	case "array":
		w.both("[")
		for i := range rapid.IntRange(0, 3).Draw(w.t, "elements") {
			if i > 0 {
				w.both(",")
			}
			w.value(path, masked, depth+1)
		}
		w.both("]")
	}
}

// drawPath draws a path to fields and, as its meaning, what the names on the way
// there look like.
func drawPath(t *rapid.T) (path string, means *regexp.Regexp) {
	var steps []string
	pattern := "^"
	for range rapid.IntRange(1, 3).Draw(t, "steps") {
		if rapid.IntRange(0, 3).Draw(t, "any depth") == 0 {
			steps, pattern = append(steps, "**"), pattern+"(/[^/]*)*"
		}
		s := rapid.SampledFrom([]string{"a", "b", `c\.d`, "ä", `\*`, "*"}).Draw(t, "step")
		steps = append(steps, s)
		if s == "*" {
			pattern += "/[^/]*"
		} else {
			pattern += "/" + regexp.QuoteMeta(strings.ReplaceAll(s, `\`, ""))
		}
	}
	return strings.Join(steps, "."), regexp.MustCompile(pattern + "$")
}

// TestMaskingLeavesTheRest: of any JSON text only the bytes of masked fields
// change.
func TestMaskingLeavesTheRest(t *testing.T) {
	s := new(Scratch)
	rapid.Check(t, func(t *rapid.T) {
		w := written{t: t}
		var paths []string
		for range rapid.IntRange(1, 3).Draw(t, "paths") {
			path, means := drawPath(t)
			if !slices.Contains(paths, path) {
				paths, w.masks = append(paths, path), append(w.masks, means)
			}
		}
		w.value("", false, 0)
		f, err := Compile(&fsm.Filter{Mask: paths}, "")
		if err != nil {
			t.Fatal(err)
		}
		r := record.Record{Value: []byte(w.text.String())}
		v, why := f.Apply(&r, s)
		if v != Kept && v != Changed || string(r.Value) != w.want.String() {
			t.Fatalf("%q: %v %q\nof   %q\ngave %q\nwant %q", paths, v, why, w.text.String(), r.Value, w.want.String())
		}
		if v == Kept && w.text.String() != w.want.String() {
			t.Fatal("it changed and is said to be as it was")
		}
	})
}

// maskTree masks decoded JSON at every member that one of the names is.
func maskTree(v any, names []string, masked bool) any {
	switch x := v.(type) {
	case map[string]any:
		if masked {
			return map[string]any{}
		}
		for k, below := range x {
			x[k] = maskTree(below, names, slices.Contains(names, k))
		}
	case []any:
		for i := range x {
			x[i] = maskTree(x[i], names, masked)
		}
	case string:
		if masked {
			return "***"
		}
	case json.Number:
		if masked {
			return json.Number("0")
		}
	case bool:
		return x && !masked
	}
	return v
}

func decoded(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// FuzzMask: any bytes are either told to be no JSON, and are none, or masked as
// another reader of JSON would have masked what it reads.
func FuzzMask(f *testing.F) {
	for _, s := range []string{
		`{"a":1,"b":{"a":"x","c":[{"a":true},[null,-1.5e+10]]}}`, `[{"\u0061":"\ud83d\ude00\n"}]`, `"a"`, " {} ", `{"a":1,"a":{"a":2}}`, `{"a":}`, "{\"a\":\"\xff\"}", `1 2`,
	} {
		f.Add([]byte(s))
	}
	mask, err := Compile(&fsm.Filter{Mask: []string{"**.a", "**.ab"}}, "")
	if err != nil {
		f.Fatal(err)
	}
	s := new(Scratch)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := record.Record{Value: bytes.Clone(data)}
		if r.Value == nil {
			r.Value = []byte{}
		}
		verdict, why := mask.Apply(&r, s)
		if verdict == Unparseable {
			if json.Valid(data) && utf8.Valid(data) && !strings.Contains(why, "deep") {
				t.Fatalf("%q is JSON: %s", data, why)
			}
			return
		}
		if !json.Valid(data) || !json.Valid(r.Value) || (verdict == Kept) != bytes.Equal(data, r.Value) && verdict == Kept {
			t.Fatalf("%q became %q: %v", data, r.Value, verdict)
		}
		want, err := decoded(data)
		if err != nil {
			return // a number that is too much for it
		}
		got, err := decoded(r.Value)
		if want = maskTree(want, []string{"a", "ab"}, false); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q became %q: %v, want %v (%v)", data, r.Value, got, want, err)
		}
		again := record.Record{Value: bytes.Clone(r.Value)}
		if _, why := mask.Apply(&again, new(Scratch)); why != "" || !bytes.Equal(again.Value, r.Value) {
			t.Fatalf("masked again %q is %q %s", r.Value, again.Value, why)
		}
	})
}

// FuzzKeep: an expression never panics, and what it says of a record does not
// depend on what was asked before.
func FuzzKeep(f *testing.F) {
	f.Add([]byte("k"), []byte(`{"a":[1,{"b":"x"}],"b":2}`))
	f.Add([]byte(nil), []byte(`{"a":"\u0000","a":1}`))
	f.Add([]byte("\xff"), []byte(`[`))
	keep, err := Compile(&fsm.Filter{Keep: `value.a == value.b || value.exists(k, value[k] == key) || size(value.a) > 2 || value in [[1], {"a": 1}]`}, "")
	if err != nil {
		f.Fatal(err)
	}
	s := new(Scratch)
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r := record.Record{Key: key, Value: value}
		v, why := keep.Apply(&r, s)
		fresh, whyFresh := keep.Apply(&r, new(Scratch))
		if v != fresh || why != whyFresh || v == Changed || v == Outgrown {
			t.Fatalf("%v %q, and %v %q", v, why, fresh, whyFresh)
		}
		if bytes.Contains(value, []byte("hidden")) && strings.Contains(why, "hidden") {
			t.Fatal(why)
		}
	})
}

// typical is a record as business writes them: some 900 bytes in 30 fields.
func typical() []byte {
	var b strings.Builder
	b.WriteString(`{"id":"4711-0815","country":"DE","amount":1299.95,"customer":{"name":"Erika Mustermann","email":"erika@example.com","phone":"+49 30 123456"},"cards":[{"number":"4111111111111111","valid":"12/29"},{"number":"5500000000000004","valid":"01/30"}]`)
	for i := range 22 {
		fmt.Fprintf(&b, `,"attribute%02d":"value %d"`, i, i*i)
	}
	b.WriteString("}")
	return []byte(b.String())
}

func BenchmarkApply(b *testing.B) {
	mask, hash := []string{"customer.name", "customer.phone", "cards.number"}, []string{"id", "customer.email"}
	for _, c := range []struct {
		name string
		spec fsm.Filter
	}{
		{"mask three fields", fsm.Filter{Mask: mask}},
		{"mask three, hash two", fsm.Filter{Mask: mask, Hash: hash}},
		{"mask a name at any depth", fsm.Filter{Mask: []string{"**.number"}}},
		{"keep by key", fsm.Filter{Keep: `key.startsWith("eu-")`}},
		{"keep by two fields", fsm.Filter{Keep: `value.country == "DE" && value.amount > 100`}},
		{"keep by a header", fsm.Filter{Keep: `has(headers.region) && "eu" in headers.region`}},
		{"keep, mask and hash", fsm.Filter{Keep: `value.country == "DE"`, Mask: mask, Hash: hash}},
		{"drop a header", fsm.Filter{DropHeaders: []string{"trace"}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			f, s := compile(b, c.spec), new(Scratch)
			value, headers := typical(), []byte("\x0cregion\x04eu\x0atrace\x06abc")
			b.SetBytes(int64(len(value)))
			b.ReportAllocs()
			for b.Loop() {
				r := record.Record{Key: []byte("eu-1"), Value: value, RawHeaders: headers, HeaderCount: 2}
				if v, why := f.Apply(&r, s); v > Changed {
					b.Fatal(v, why)
				}
			}
		})
	}
}

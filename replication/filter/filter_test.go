package filter

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/test/oracle"
)

const secret = "0123456789abcdef"

// compile makes a filter that must be right.
func compile(t testing.TB, spec fsm.Filter) *Filter {
	t.Helper()
	if len(spec.Hash) > 0 && spec.Secret == "" {
		spec.Secret = "${env:SECRET}"
	}
	f, err := Compile(&spec, secret)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// hashOf is what a hashed field becomes, worked out apart.
func hashOf(text string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(text))
	return `"` + hex.EncodeToString(m.Sum(nil)) + `"`
}

func TestKeep(t *testing.T) {
	type headers = []oracle.Header
	h := func(key, value string) oracle.Header { return oracle.Header{Key: key, Value: []byte(value)} }
	for _, c := range []struct {
		name, keep string
		record     oracle.Entry
		want       Verdict
		why        string
	}{
		{"a field", `value.country == "DE"`, oracle.Entry{Value: []byte(`{"a":[1,{"country":"x"}],"country" : "DE"}`)}, Kept, ""},
		{"another value", `value.country == "DE"`, oracle.Entry{Value: []byte(`{"country":"FR"}`)}, Dropped, ""},
		{"a field that is not there", `value.country == "DE"`, oracle.Entry{Value: []byte(`{}`)}, Unparseable, "not there"},
		{"asked whether it is there", `has(value.country) && value.country == "DE"`, oracle.Entry{Value: []byte(`{}`)}, Dropped, ""},
		{"null is there", `has(value.country) && value.country == null`, oracle.Entry{Value: []byte(`{"country":null}`)}, Kept, ""},
		{"a nested field of an array", `value.items[1].price > 10`, oracle.Entry{Value: []byte(`{"items":[{"price":1},{"price":10.5}]}`)}, Kept, ""},
		{"any of an array", `value.items.exists(i, i.price == 3)`, oracle.Entry{Value: []byte(`{"items":[{"price":1},{"price":3}]}`)}, Kept, ""},
		{"none of an array", `value.items.exists(i, i.price == 3)`, oracle.Entry{Value: []byte(`{"items":[]}`)}, Dropped, ""},
		{"members of an object", `value.all(k, k.startsWith("a"))`, oracle.Entry{Value: []byte(`{"ab":1,"a":{}}`)}, Kept, ""},
		{"in an object", `"x" in value && size(value) == 2`, oracle.Entry{Value: []byte(`{"x":1,"y":2}`)}, Kept, ""},
		{"objects are compared whole", `value.a == value.b`, oracle.Entry{Value: []byte(`{"a":{"x":1,"y":[1,2]},"b":{"y":[1,2.0],"x":1}}`)}, Kept, ""},
		{"and may differ", `value.a == value.b`, oracle.Entry{Value: []byte(`{"a":{"x":1},"b":{"x":2}}`)}, Dropped, ""},
		{"an object and what is written out", `value.a == {"x": 1}`, oracle.Entry{Value: []byte(`{"a":{"x":1}}`)}, Kept, ""},
		{"the same the other way", `{"x": 1} == value.a`, oracle.Entry{Value: []byte(`{"a":{"x":1}}`)}, Kept, ""},
		{"a large int keeps its digits", `value.id == 9007199254740993`, oracle.Entry{Value: []byte(`{"id":9007199254740993}`)}, Kept, ""},
		{"its neighbour is another", `value.id == 9007199254740993`, oracle.Entry{Value: []byte(`{"id":9007199254740992}`)}, Dropped, ""},
		{"a number beyond all", `value.id > 1`, oracle.Entry{Value: []byte(`{"id":1e999}`)}, Unparseable, "too large"},
		{"an escaped name", `value.name == "ä\n"`, oracle.Entry{Value: []byte(`{"n\u0061me":"\u00e4\n"}`)}, Kept, ""},
		{"a name that is there twice", `value.a == 1`, oracle.Entry{Value: []byte(`{"a":1,"a":2}`)}, Unparseable, "twice"},
		{"another name twice", `value.b == 1`, oracle.Entry{Value: []byte(`{"a":1,"a":2,"b":1}`)}, Kept, ""},
		{"another type", `value.a > 1`, oracle.Entry{Value: []byte(`{"a":"x"}`)}, Unparseable, "another type"},
		{"an error that leaks nothing", `int(value.a) > 1`, oracle.Entry{Value: []byte(`{"a":"hidden"}`)}, Unparseable, "fails on this record"},
		{"no bool", `value.a`, oracle.Entry{Value: []byte(`{"a":"x"}`)}, Unparseable, "something else than true or false"},
		{"a bool", `value.a`, oracle.Entry{Value: []byte(`{"a":true}`)}, Kept, ""},
		{"no JSON", `value.a == 1`, oracle.Entry{Value: []byte(`a=1`)}, Unparseable, "not JSON: no value begins at byte 0"},
		{"nothing", `value.a == 1`, oracle.Entry{Value: []byte{}}, Unparseable, "not JSON"},
		{"two values", `value.a == 1`, oracle.Entry{Value: []byte(`{"a":1}{"a":1}`)}, Unparseable, "follows the value at byte 7"},
		{"behind a byte order mark", `value.a == 1`, oracle.Entry{Value: []byte("\ufeff{}")}, Unparseable, "not JSON"},
		{"not UTF-8", `value.a == 1`, oracle.Entry{Value: []byte("{\"b\":\"\xff\",\"a\":1}")}, Unparseable, "not UTF-8"},
		{"broken behind what is asked for", `value.a == 1`, oracle.Entry{Value: []byte(`{"a":1,"b":[1,}`)}, Unparseable, "not JSON"},
		{"what is not named is not read", `key == "k"`, oracle.Entry{Key: []byte("k"), Value: []byte(`a=1`)}, Kept, ""},

		{"a key", `key.startsWith("eu-")`, oracle.Entry{Key: []byte("eu-1")}, Kept, ""},
		{"no key", `key.startsWith("eu-")`, oracle.Entry{}, Unparseable, "another type"},
		{"asked whether there is a key", `key != null && key.startsWith("eu-")`, oracle.Entry{}, Dropped, ""},
		{"an empty key is one", `key == ""`, oracle.Entry{Key: []byte{}}, Kept, ""},
		{"a key that is not UTF-8", `key.startsWith("eu-")`, oracle.Entry{Key: []byte("eu-\xff\xfe")}, Kept, ""},
		{"a header", `"eu" in headers.region`, oracle.Entry{Headers: headers{h("region", "eu")}}, Kept, ""},
		{"a header that is there twice", `headers["x-r"] == ["us", "eu"]`, oracle.Entry{Headers: headers{h("x-r", "us"), h("y", ""), h("x-r", "eu")}}, Kept, ""},
		{"a header without a value", `headers.region == [""]`, oracle.Entry{Headers: headers{{Key: "region"}}}, Kept, ""},
		{"a header that is not there", `"eu" in headers.region`, oracle.Entry{}, Unparseable, "not there"},
		{"asked whether it is", `has(headers.region) && "eu" in headers.region`, oracle.Entry{}, Dropped, ""},
		{"a time", `timestamp >= timestamp("2026-01-01T00:00:00Z")`, oracle.Entry{Timestamp: 1767225600000}, Kept, ""},
		{"an earlier one", `timestamp >= timestamp("2026-01-01T00:00:00Z")`, oracle.Entry{Timestamp: 1767225599999}, Dropped, ""},

		// A record without a value deletes its key at the target too, unless no
		// record of that key was ever kept.
		{"a delete", `value.country == "DE"`, oracle.Entry{Key: []byte("k")}, Kept, ""},
		{"a delete, asked for more", `has(value.a) && value.a.exists(x, x > 1) || size(value) == 0`, oracle.Entry{Key: []byte("k")}, Kept, ""},
		{"a delete of a key that is not kept", `key.startsWith("eu-") && value.country == "DE"`, oracle.Entry{Key: []byte("us-1")}, Dropped, ""},
		{"the same the other way", `value.country == "DE" && key.startsWith("eu-")`, oracle.Entry{Key: []byte("us-1")}, Dropped, ""},
		{"a delete of one that is", `key.startsWith("eu-") && value.country == "DE"`, oracle.Entry{Key: []byte("eu-1")}, Kept, ""},
		{"a delete where the value is not named", `"eu" in headers.region`, oracle.Entry{Key: []byte("k"), Headers: headers{h("region", "us")}}, Dropped, ""},
		{"null in JSON is a value", `value == null`, oracle.Entry{Value: []byte("null")}, Kept, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := compile(t, fsm.Filter{Keep: c.keep})
			r := c.record.Record()
			got, why := f.Apply(&r, new(Scratch))
			if got != c.want || !strings.Contains(why, c.why) || (why == "") != (c.why == "") {
				t.Errorf("%v %q, want %v %q", got, why, c.want, c.why)
			}
			if strings.Contains(why, "hidden") {
				t.Errorf("%q tells what the record holds", why)
			}
		})
	}
}

func TestFields(t *testing.T) {
	h := hashOf
	for _, c := range []struct {
		name       string
		mask, hash []string
		value      string
		want       string // empty: as it is
	}{
		{"types stay", []string{"*"}, nil, `{"s":"x","i":12,"f":-1.5e3,"b":true,"n":null,"o":{"x":1},"a":[1,"x",[2]]}`,
			`{"s":"***","i":0,"f":0,"b":false,"n":null,"o":{},"a":[0,"***",[0]]}`},
		{"only the field", []string{"b"}, nil, "{ \"a\" : 1.0,\t\"b\" : \"x\" ,\n\"c\" : 1e2 }", "{ \"a\" : 1.0,\t\"b\" : \"***\" ,\n\"c\" : 1e2 }"},
		{"nested", []string{"a.b"}, nil, `{"b":1,"a":{"b":1,"c":{"b":1}}}`, `{"b":1,"a":{"b":0,"c":{"b":1}}}`},
		{"through arrays", []string{"a.b"}, nil, `{"a":[{"b":1},[{"b":2}],3,{"c":4}]}`, `{"a":[{"b":0},[{"b":0}],3,{"c":4}]}`},
		{"an array at the top", []string{"b"}, nil, `[{"b":1},{"b":2}]`, `[{"b":0},{"b":0}]`},
		{"at any depth", []string{"**.b"}, nil, `{"b":1,"a":{"b":{"b":1}},"c":[[{"b":"x"}]]}`, `{"b":0,"a":{"b":{}},"c":[[{"b":"***"}]]}`},
		{"at any depth below", []string{"a.**.b"}, nil, `{"b":1,"a":{"b":1,"c":{"d":{"b":1}}}}`, `{"b":1,"a":{"b":0,"c":{"d":{"b":0}}}}`},
		{"any name between", []string{"a.*.b"}, nil, `{"a":{"b":1,"c":{"b":1},"d":{"e":{"b":1}}}}`, `{"a":{"b":1,"c":{"b":0},"d":{"e":{"b":1}}}}`},
		{"twice", []string{"a"}, nil, `{"a":1,"a":"x","a":2}`, `{"a":0,"a":"***","a":0}`},
		{"an escaped name", []string{"ab"}, nil, `{"\u0061b":"x"}`, `{"\u0061b":"***"}`},
		{"a name with a dot", []string{`a\.b`}, nil, `{"a.b":1,"a":{"b":1}}`, `{"a.b":0,"a":{"b":1}}`},
		{"a star as a name", []string{`\*`}, nil, `{"*":1,"a":1}`, `{"*":0,"a":1}`},
		{"the case counts", []string{"a"}, nil, `{"A":1}`, ""},
		{"nothing to mask", []string{"a"}, nil, `{"b" : 1}`, ""},
		{"a scalar at the top", []string{"**.a"}, nil, `"a"`, ""},
		{"a string of the length of the mask", []string{"a"}, nil, `{"a":"abc"}`, `{"a":"***"}`},

		{"a hash", nil, []string{"id"}, `{"id":"x"}`, `{"id":` + h("x") + `}`},
		{"of what an escape stands for", nil, []string{"id"}, `{"id":"\u0078"}`, `{"id":` + h("x") + `}`},
		{"a surrogate pair", nil, []string{"id"}, `{"id":"\ud83d\ude00"}`, `{"id":` + h("😀") + `}`},
		{"half of one", nil, []string{"id"}, `{"id":"\ud83dx"}`, `{"id":` + h("\ufffdx") + `}`},
		{"of a number as it is written", nil, []string{"id"}, `{"id":12.50}`, `{"id":` + h("12.50") + `}`},
		{"of words", nil, []string{"**.id"}, `{"id":true,"a":{"id":null}}`, `{"id":` + h("true") + `,"a":{"id":null}}`},
		{"of all in an object", nil, []string{"o"}, `{"o":{"a":"x","b":[1,{"c":"x"}]}}`, `{"o":{"a":` + h("x") + `,"b":[` + h("1") + `,{"c":` + h("x") + `}]}}`},
		{"masked in what is hashed", []string{"o.b"}, []string{"o"}, `{"o":{"a":"x","b":[1,2]}}`, `{"o":{"a":` + h("x") + `,"b":[0,0]}}`},
		{"hashed in what is masked", []string{"o"}, []string{"o.a"}, `{"o":{"a":"x"}}`, `{"o":{}}`},
		{"both", []string{"*"}, []string{"a"}, `{"a":"x"}`, `{"a":"***"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := compile(t, fsm.Filter{Mask: c.mask, Hash: c.hash})
			r := record.Record{Value: []byte(c.value)}
			verdict, why := f.Apply(&r, new(Scratch))
			want, as := c.want, Changed
			if want == "" {
				want, as = c.value, Kept
			}
			if verdict != as || why != "" || string(r.Value) != want {
				t.Errorf("%v %q\n%s, want\n%s", verdict, why, r.Value, want)
			}
			if checkJSON(r.Value) != "" {
				t.Error("it is no JSON any more")
			}
		})
	}
}

// TestFieldsOfWhatIsNoJSON: what cannot be masked is not passed on.
func TestFieldsOfWhatIsNoJSON(t *testing.T) {
	f := compile(t, fsm.Filter{Mask: []string{"a"}})
	for _, value := range []string{
		"", " ", "x", `{"a":1`, `{"a":1,}`, `{"a" 1}`, `{a:1}`, `[1 2]`, `01`, `1.`, `-`, `1e`, `+1`, `.5`, `tru`, `nul`, `{"a":"\x"}`, `{"a":"\u12g4"}`, "{\"a\":\"\x01\"}",
		`"a`, `{"a":1}x`, "\x00\x00\x00\x00\x01{}", "{\"\xff\":1}", `NaN`, `{'a':1}`, `[`, `{"a":`, `{"a"`, strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
	} {
		r := record.Record{Value: []byte(value)}
		if v, why := f.Apply(&r, new(Scratch)); v != Unparseable || !strings.HasPrefix(why, notJSON) || string(r.Value) != value {
			t.Errorf("%.40q: %v %q", value, v, why)
		}
	}
	deep := record.Record{Value: []byte(strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth))}
	if v, why := f.Apply(&deep, new(Scratch)); v != Kept {
		t.Errorf("nested as deep as may be: %v %s", v, why)
	}
	if null := (record.Record{Key: []byte("k")}); !f.Holds(&null, new(Scratch)) || null.Value != nil {
		t.Error("a delete has nothing to mask and is kept")
	}
}

func TestHeaders(t *testing.T) {
	f := compile(t, fsm.Filter{DropHeaders: []string{"d", "ü"}, RenameHeaders: []fsm.Rename{{From: "a", To: "b"}, {From: "b", To: "c"}}})
	e := oracle.Entry{Value: []byte("x"), Headers: []oracle.Header{
		{Key: "d", Value: []byte("1")}, {Key: "a", Value: []byte("2")}, {Key: "b"}, {Key: "k", Value: []byte{}}, {Key: "a", Value: []byte("3")}, {Key: "d"}, {Key: "ü", Value: []byte("4")},
	}}
	r := e.Record()
	if v, why := f.Apply(&r, new(Scratch)); v != Changed || why != "" {
		t.Fatalf("%v %q", v, why)
	}
	if got, want := shown(&r), `b="2" c=null k="" b="3"`; got != want || r.HeaderCount != 4 {
		t.Errorf("%d headers %s, want %s", r.HeaderCount, got, want)
	}
	for _, e := range []oracle.Entry{{Value: []byte("x")}, {Headers: []oracle.Header{{Key: "D"}, {Key: "k"}}}} {
		r := e.Record()
		before := shown(&r)
		if v, _ := f.Apply(&r, new(Scratch)); v != Kept || shown(&r) != before {
			t.Errorf("%v %s, before %s", v, shown(&r), before)
		}
	}
	only := oracle.Entry{Headers: []oracle.Header{{Key: "d"}}}.Record()
	if v, _ := f.Apply(&only, new(Scratch)); v != Changed || only.HeaderCount != 0 || len(only.RawHeaders) != 0 {
		t.Errorf("%v %+v", v, only)
	}
}

// TestKeepSeesWhatWas: the expression is asked before anything is changed.
func TestKeepSeesWhatWas(t *testing.T) {
	f := compile(t, fsm.Filter{Keep: `value.a == "x" && headers.h == ["1"]`, Mask: []string{"a"}, DropHeaders: []string{"h"}})
	s := new(Scratch)
	for range 2 { // the scratch is used again
		r := oracle.Entry{Value: []byte(`{"a":"x"}`), Headers: []oracle.Header{{Key: "h", Value: []byte("1")}}}.Record()
		if v, why := f.Apply(&r, s); v != Changed || string(r.Value) != `{"a":"***"}` || r.HeaderCount != 0 {
			t.Errorf("%v %q %s", v, why, r.Value)
		}
	}
}

// TestScratchIsNobodys: filters with different secrets share a scratch.
func TestScratchIsNobodys(t *testing.T) {
	spec := fsm.Filter{Hash: []string{"a"}, Secret: "${env:SECRET}"}
	one, err := Compile(&spec, secret)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Compile(&spec, "another "+secret)
	if err != nil {
		t.Fatal(err)
	}
	s := new(Scratch)
	seen := map[string]int{}
	for i, f := range []*Filter{one, other, one, other} {
		r := record.Record{Value: []byte(`{"a":1}`)}
		if v, _ := f.Apply(&r, s); v != Changed {
			t.Fatal(v)
		}
		seen[string(r.Value)]++
		if i == 1 {
			s.Shrink(0)
		}
	}
	if len(seen) != 2 || seen[`{"a":`+hashOf("1")+`}`] != 2 {
		t.Errorf("%v", seen)
	}
}

// TestBounds: no record costs more than it may.
func TestBounds(t *testing.T) {
	hundred := "[" + strings.TrimSuffix(strings.Repeat("1,", 100), ",") + "]"
	numbers := "[" + strings.Repeat("1,", 200_000) + "1]"
	members := "{" + strings.TrimSuffix(strings.Repeat(`"a":1,`, 20_000), ",") + "}"
	for name, c := range map[string]struct{ keep, value string }{
		"steps":                   {`value.all(a, value.all(b, a + b > 0))`, "[" + strings.Repeat("1,", 2_000) + "1]"},
		"steps without the value": {"!" + hundred + ".all(a, " + hundred + ".all(b, " + hundred + ".all(c, a + b + c > 0)))", "x"},
		"an expression as a loop": {`value.map(x, value.map(y, [x, y])).size() > 0`, "[" + strings.Repeat("1,", 5_000) + "1]"},
		"a value read again":      {`value.a.all(x, value.b == x) || value.b == 0`, `{"a":` + numbers + `,"b":1}`},
		"members asked for":       {`value.all(k, value[k] == 1)`, strings.ReplaceAll(members, `"a"`, `"aaaaaaaaaaaaaaa"`)},
	} {
		f := compile(t, fsm.Filter{Keep: c.keep})
		r := record.Record{Value: []byte(c.value)}
		if v, why := f.Apply(&r, new(Scratch)); v != Unparseable {
			t.Errorf("%s: %v %q", name, v, why)
		}
	}
	f := compile(t, fsm.Filter{Hash: []string{"a"}})
	r := record.Record{Value: []byte(`{"a":` + numbers + `}`)}
	if v, _ := f.Apply(&r, &Scratch{Room: 1 << 20}); v != Outgrown {
		t.Errorf("13 MB in the room of one: %v", v)
	}
	if v, why := f.Apply(&r, &Scratch{Room: 32 << 20}); v != Changed || len(r.Value) < 12<<20 {
		t.Errorf("%v %q, %d bytes", v, why, len(r.Value))
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		spec fsm.Filter
		want string
	}{
		{"nothing", fsm.Filter{}, "keep: is missing"},
		{"only onUnparseable", fsm.Filter{OnUnparseable: fsm.UnparseableDrop}, "keep: is missing"},
		{"no expression", fsm.Filter{Keep: "value.a =="}, "keep: Syntax error"},
		{"its place", fsm.Filter{Keep: "true &&\n  nobody"}, "keep: undeclared reference to 'nobody' (line 2, column 3)"},
		{"types that do not fit", fsm.Filter{Keep: `headers.a == "x"`}, "keep: found no matching overload for '_==_' applied to '(list(string), string)'"},
		{"no answer", fsm.Filter{Keep: `key`}, "keep: its value is of type"},
		{"a number", fsm.Filter{Keep: `1 + 1`}, "keep: its value is of type int"},
		{"too long", fsm.Filter{Keep: strings.Repeat(" ", maxExpression) + "true"}, "keep: longer than 4000 characters"},
		{"a wrong pattern", fsm.Filter{Keep: `key.matches("(")`}, "keep: "},
		{"no name", fsm.Filter{Mask: []string{"a", "b..c"}}, `mask[1]: "b..c": an empty name`},
		{"no path", fsm.Filter{Mask: []string{""}}, `mask[0]: "": an empty name`},
		{"an open end", fsm.Filter{Mask: []string{"a.**"}}, `mask[0]: "a.**": it ends with **`},
		{"half a star", fsm.Filter{Mask: []string{"a*"}}, `mask[0]: "a*": a * stands for a whole name`},
		{"twice", fsm.Filter{Mask: []string{"a"}, Hash: []string{"a"}, Secret: "${env:S}"}, `hash[0]: the field "a" is named twice`},
		{"no secret", fsm.Filter{Hash: []string{"a"}}, "secret: is missing"},
		{"a secret for nothing", fsm.Filter{Mask: []string{"a"}, Secret: "${env:S}"}, "secret: is for fields that are hashed"},
		{"a header twice", fsm.Filter{DropHeaders: []string{"a"}, RenameHeaders: []fsm.Rename{{From: "a", To: "b"}}}, `renameHeaders[0]: the header "a" is named twice`},
		{"half a rename", fsm.Filter{RenameHeaders: []fsm.Rename{{From: "a"}}}, "renameHeaders[0]: from or to is missing"},
		{"a header without a name", fsm.Filter{DropHeaders: []string{""}}, "dropHeaders[0]: a header without a name"},
	} {
		err := Check(&c.spec)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	short := fsm.Filter{Hash: []string{"a"}, Secret: "${env:S}"}
	if err := Check(&short); err != nil {
		t.Errorf("without the secret nothing is to be seen: %v", err)
	}
	if _, err := Compile(&short, "0123456789abcde"); err == nil || !strings.Contains(err.Error(), "secret: what it refers to has 15 bytes") {
		t.Errorf("%v", err)
	}
}

// shown are the headers of a record in words.
func shown(r *record.Record) string {
	var out []string
	for k, v := range r.Headers() {
		value := "null"
		if v != nil {
			value = fmt.Sprintf("%q", v)
		}
		out = append(out, string(k)+"="+value)
	}
	return strings.Join(out, " ")
}

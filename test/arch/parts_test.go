package arch

import (
	"go/ast"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// maxMethods bounds the methods of a receiver over all files of its package.
const maxMethods = 25

// exception is how large a type may be, and why it stays whole.
type exception struct {
	most int
	why  string
}

// exceptions are the types that are larger than the house style has it. Such a
// type may shrink, not grow; once it keeps to the style, its line goes.
var exceptions = map[string]exception{
	"api.Link fields":                   {25, "an answer of the API, which is flat in JSON"},
	"api.LinkDetail fields":             {38, "an answer of the API, which is flat in JSON"},
	"api.Task fields":                   {26, "an answer of the API, which is flat in JSON"},
	"balance/data.generator fields":     {24, "the shape that is asked for, and the state of making it"},
	"replication/wire.Partition fields": {21, "its ends name a place on both sides"},
	"task.Control methods to implement": {6, "what a task is given; who needs less takes Facts or Reports"},

	"api.Server methods":                     {26, "one for each group of routes and each way to answer; it holds five things"},
	"balance/data.layout methods":            {41, "questions of a few lines about the one model that all passes of a plan ask"},
	"balance/data.pass methods":              {37, "the repairs and exchanges of a plan, each on the whole of it"},
	"fsm.edit methods":                       {30, "one for each command that Apply carries out"},
	"kafka.Client methods":                   {31, "one for each thing that a Kafka cluster is asked"},
	"kafka.Conn methods":                     {40, "a reader, a writer and one lock, between which a request goes back and forth"},
	"replication/pipe.Pipe methods":          {32, "one for each thing that may happen to a partition under way, all on one set of invariants"},
	"replication/recovery.Situation methods": {39, "one for each decision about the same facts"},
	"transport.Transport methods":            {31, "one port: what is dialled, accepted and tracked ends together"},
}

// asOne are types that count as one wherever they are embedded by pointer: not
// a part of what embeds them, but what it works on.
var asOne = map[string]string{
	"balance/data.layout": "the one model of a plan, which all its passes change in place",
}

// declared is a type and the file that it stands in.
type declared struct {
	at   *source
	spec *ast.TypeSpec
}

// members are the fields of a struct or the methods of an interface; nil: it is
// of another type, and has none of its own.
func (d declared) members() *ast.FieldList {
	switch t := d.spec.Type.(type) {
	case *ast.StructType:
		return t.Fields
	case *ast.InterfaceType:
		return t.Methods
	}
	return nil
}

// declarations finds the types that are declared at the top of a file. Those
// of tests stand apart from the package that they test.
func declarations(all []*source) map[string]declared {
	out := map[string]declared{}
	for _, s := range all {
		for _, d := range s.file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				if t, ok := spec.(*ast.TypeSpec); ok {
					out[s.owns(t.Name.Name)] = declared{s, t}
				}
			}
		}
	}
	return out
}

// owns names a type of the file's package: "kafka.Conn", "cmd/sluice.printer".
func (s *source) owns(name string) string {
	folder := s.folder()
	if strings.HasSuffix(s.file.Name.Name, "_test") {
		folder += "_test"
	}
	return folder + "." + name
}

// refers names the type of ours that an expression in the file means, "" for
// one of elsewhere.
func (s *source) refers(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return s.refers(e.X)
	case *ast.IndexExpr:
		return s.refers(e.X)
	case *ast.IndexListExpr:
		return s.refers(e.X)
	case *ast.Ident:
		return s.owns(e.Name)
	case *ast.SelectorExpr:
		if pkg, ok := e.X.(*ast.Ident); ok {
			return s.imported(pkg.Name) + "." + e.Sel.Name
		}
	}
	return ""
}

// imported is the folder of the package of ours that the file calls name.
func (s *source) imported(name string) string {
	for _, i := range s.file.Imports {
		full, err := strconv.Unquote(i.Path.Value)
		folder, ours := strings.CutPrefix(full, module+"/")
		if err == nil && ours && (i.Name != nil && i.Name.Name == name || i.Name == nil && path.Base(folder) == name) {
			return folder
		}
	}
	return ""
}

// counter counts what types hold together with what is embedded in them.
type counter struct {
	types map[string]declared
	busy  map[string]bool // being counted: an embedded pointer may lead back
}

// members counts the fields of a struct or the methods of an interface, those
// of embedded ones of ours in their place; one of elsewhere counts as one.
func (c *counter) members(name string) int {
	d, ok := c.types[name]
	if !ok || c.busy[name] {
		return 1
	}
	list := d.members()
	if list == nil {
		return 1
	}
	c.busy[name] = true
	defer delete(c.busy, name)
	n := 0
	for _, f := range list.List {
		if len(f.Names) > 0 {
			n += len(f.Names)
			continue
		}
		name := d.at.refers(f.Type)
		if _, pointer := f.Type.(*ast.StarExpr); pointer && asOne[name] != "" {
			n++
			continue
		}
		n += c.members(name)
	}
	return n
}

// checkParts bounds structs and interfaces with what they embed, and the
// methods of a receiver over all files of its package. What only tests need is
// left out: a lab's methods are the words that its tests are written in.
func checkParts(all []*source, exceptions map[string]exception) []string {
	var out []string
	over := map[string]bool{}
	judge := func(d declared, key string, n, bound int) {
		if n <= bound {
			return
		}
		over[key] = true
		if most := max(bound, exceptions[key].most); n > most {
			out = append(out, d.at.at(d.spec.Pos(), "%s: %d, at most %d", key, n, most))
		}
	}
	c, methods := counter{declarations(all), map[string]bool{}}, receivers(all)
	for _, name := range slices.Sorted(maps.Keys(c.types)) {
		d := c.types[name]
		if d.at.test() || within(d.at.folder(), "test") {
			continue
		}
		switch d.spec.Type.(type) {
		case *ast.StructType:
			judge(d, name+" fields", c.members(name), maxFields)
		case *ast.InterfaceType:
			judge(d, name+" methods to implement", c.members(name), maxInterface)
		}
		judge(d, name+" methods", methods[name], maxMethods)
	}
	for _, key := range slices.Sorted(maps.Keys(exceptions)) {
		if !over[key] {
			out = append(out, key+": within the style's bound, and excepted from it")
		}
	}
	return out
}

// receivers counts the methods of each type outside of tests.
func receivers(all []*source) map[string]int {
	out := map[string]int{}
	for _, s := range all {
		if s.test() {
			continue
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil {
				out[s.refers(f.Recv.List[0].Type)]++
			}
		}
	}
	return out
}

func TestParts(t *testing.T) { report(t, checkParts(sources(t), exceptions)) }

func TestPartsCheckSees(t *testing.T) {
	fields := func(n int) string { return strings.Repeat("a, ", n-1) + "z int" }
	methods := func(n int) string { return strings.Repeat("func (t *T[X]) m() {}\n", n) }
	type file struct{ name, text string }
	for _, c := range []struct {
		name  string
		files []file
		want  int
	}{
		{"embedded ones count", []file{{"p/a.go", "type T struct { " + fields(10) + "; U }\ntype U struct { " + fields(11) + " }"}}, 1},
		{"and are enough", []file{{"p/a.go", "type T struct { " + fields(10) + "; U }\ntype U struct { " + fields(10) + " }"}}, 0},
		{"by pointer", []file{{"p/a.go", "type T struct { " + fields(10) + "; *U }\ntype U struct { " + fields(11) + " }"}}, 1},
		{"of another file", []file{{"p/a.go", "type T struct { " + fields(10) + "; U }"}, {"p/b.go", "type U struct { " + fields(11) + " }"}}, 1},
		{"of another package", []file{{"p/a.go", "import \"sluice/q\"\ntype T struct { " + fields(10) + "; q.U }"}, {"q/b.go", "type U struct { " + fields(11) + " }"}}, 1},
		{"under another name", []file{{"p/a.go", "import x \"sluice/q\"\ntype T struct { " + fields(10) + "; x.U }"}, {"q/b.go", "type U struct { " + fields(11) + " }"}}, 1},
		{"over two steps", []file{{"p/a.go", "type T struct { " + fields(7) + "; U }\ntype U struct { " + fields(7) + "; V }\ntype V struct { " + fields(7) + " }"}}, 1},
		{"in a circle", []file{{"p/a.go", "type T struct { *T; *U }\ntype U struct { *T }"}}, 0},
		{"of elsewhere", []file{{"p/a.go", "import \"net\"\ntype T struct { " + fields(19) + "; net.Conn }"}}, 0},
		{"a field is no embedded one", []file{{"p/a.go", "type T struct { " + fields(10) + "; u U }\ntype U struct { " + fields(11) + " }"}}, 0},
		{"interfaces", []file{{"p/a.go", "type T interface { U; a(); b() }\ntype U interface { c(); d(); e() }"}}, 1},
		{"interfaces of another package", []file{{"p/a.go", "import \"sluice/q\"\ntype T interface { q.U; a(); b() }"}, {"q/b.go", "type U interface { c(); d(); e() }"}}, 1},
		{"small interfaces", []file{{"p/a.go", "type T interface { U; a() }\ntype U interface { c(); d(); e() }"}}, 0},
		{"methods over two files", []file{{"p/a.go", "type T[X any] int\n" + methods(20)}, {"p/b.go", methods(6)}}, 1},
		{"methods of two packages", []file{{"p/a.go", "type T[X any] int\n" + methods(20)}, {"q/b.go", "type T[X any] int\n" + methods(6)}}, 0},
		{"methods that tests need", []file{{"p/a.go", "type T[X any] int\n" + methods(20)}, {"p/b_test.go", methods(6)}}, 0},
		{"a test's own type", []file{{"p/a_test.go", "type T[X any] struct { " + fields(30) + " }\n" + methods(30)}, {"test/p/a.go", "type T[X any] int\n" + methods(30)}}, 0},
	} {
		var all []*source
		for _, f := range c.files {
			all = append(all, parse(t, f.name, "package p\n"+f.text+"\n"))
		}
		if out := checkParts(all, nil); len(out) != c.want {
			t.Errorf("%s: %q, want %d findings", c.name, out, c.want)
		}
	}
	large := []*source{parse(t, "p/a.go", "package p\ntype T struct { "+fields(25)+" }\n")}
	for most, want := range map[int]int{24: 1, 25: 0} {
		if out := checkParts(large, map[string]exception{"p.T fields": {most, "why"}}); len(out) != want {
			t.Errorf("25 fields, excepted to %d: %q", most, out)
		}
	}
	small := []*source{parse(t, "p/a.go", "package p\ntype T struct { "+fields(20)+" }\n")}
	if out := checkParts(small, map[string]exception{"p.T fields": {25, "why"}}); len(out) != 1 {
		t.Errorf("an exception for nothing: %q", out)
	}
}

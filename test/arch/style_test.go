package arch

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// The bounds of the house style.
const (
	maxFileLines = 400
	maxFuncLines = 80 // hard; 40 is what to aim at
	aimFuncLines = 40
	maxFields    = 20
	maxInterface = 4
)

// spans counts the lines of a declaration.
func (s *source) spans(n ast.Node) int {
	return s.fset.Position(n.End()).Line - s.fset.Position(n.Pos()).Line + 1
}

// checkSizes bounds files, functions, structs and interfaces; a table of tests
// may make its function long.
func checkSizes(s *source) []string {
	var out []string
	if s.lines > maxFileLines {
		out = append(out, s.at(s.file.Package, "lines: %d, at most %d", s.lines, maxFileLines))
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if l := s.spans(n); l > maxFuncLines && !s.test() {
				out = append(out, s.at(n.Pos(), "%s has %d lines, at most %d", n.Name.Name, l, maxFuncLines))
			}
		case *ast.StructType:
			if f := n.Fields.NumFields(); f > maxFields {
				out = append(out, s.at(n.Pos(), "struct of %d fields, at most %d", f, maxFields))
			}
		case *ast.InterfaceType:
			if m := n.Methods.NumFields(); m > maxInterface {
				out = append(out, s.at(n.Pos(), "interface of %d methods, at most %d", m, maxInterface))
			}
		}
		return true
	})
	return out
}

// checkState finds init functions and package-level variables that may change.
func checkState(s *source) []string {
	var out []string
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == "init" {
				out = append(out, s.at(d.Pos(), "init()"))
			}
		case *ast.GenDecl:
			if d.Tok != token.VAR || s.test() {
				continue
			}
			for _, spec := range d.Specs {
				v := spec.(*ast.ValueSpec)
				if !constant(d, v) && !excepted(s, v) {
					out = append(out, s.at(v.Pos(), "package-level var %s", v.Names[0].Name))
				}
			}
		}
	}
	return out
}

// constant reports whether a package-level variable is one that nobody
// changes: an error, a table, a regular expression, an embedded file, or a
// check that a type has an interface.
func constant(d *ast.GenDecl, v *ast.ValueSpec) bool {
	for _, doc := range []*ast.CommentGroup{d.Doc, v.Doc} {
		if doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") }) {
			return true
		}
	}
	if v.Names[0].Name == "_" {
		return true
	}
	if len(v.Values) == 0 {
		return false
	}
	for _, value := range v.Values {
		switch value := value.(type) {
		case *ast.CompositeLit:
			switch value.Type.(type) {
			case *ast.ArrayType, *ast.MapType:
			default:
				return false
			}
		case *ast.CallExpr:
			if !slices.Contains([]string{"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer"}, called(value)) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// excepted are the version that the linker sets in main, and what tests over
// several processes build once for all of them.
func excepted(s *source, v *ast.ValueSpec) bool {
	if s.file.Name.Name == "main" && v.Names[0].Name == "version" {
		return true
	}
	if !within(s.folder(), "test") || len(v.Values) != 1 {
		return false
	}
	c, ok := v.Values[0].(*ast.CallExpr)
	return ok && strings.HasPrefix(called(c), "sync.OnceValue")
}

// called is the name of a called function of a package, such as "errors.New".
func called(c *ast.CallExpr) string {
	if sel, ok := c.Fun.(*ast.SelectorExpr); ok {
		if pkg, ok := sel.X.(*ast.Ident); ok {
			return pkg.Name + "." + sel.Sel.Name
		}
	}
	return ""
}

// checkSleep finds tests that wait for time to pass, in packages that use no
// bubble in which that costs none.
func checkSleep(all []*source) []string {
	bubbles := map[string]bool{}
	for _, s := range all {
		for _, i := range s.file.Imports {
			if i.Path.Value == `"testing/synctest"` {
				bubbles[s.folder()] = true
			}
		}
	}
	var out []string
	for _, s := range all {
		if !s.test() || bubbles[s.folder()] {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok && called(c) == "time.Sleep" {
				out = append(out, s.at(c.Pos(), "time.Sleep in a test outside synctest: poll a condition with a deadline"))
			}
			return true
		})
	}
	return out
}

func TestStyle(t *testing.T) {
	var out []string
	long, all := 0, 0
	tree := sources(t)
	for _, s := range tree {
		out = slices.Concat(out, checkSizes(s), checkState(s), checkDocs(s))
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && !s.test() {
				all++
				if s.spans(f) > aimFuncLines {
					long++
				}
			}
		}
	}
	t.Logf("%d of %d functions have more than %d lines", long, all, aimFuncLines)
	out = slices.Concat(out, checkSleep(tree), checkPackageComments(tree))
	report(t, out)
}

func TestStyleChecksSee(t *testing.T) {
	lines := func(n int, s string) string { return strings.Repeat(s+"\n", n) }
	for _, c := range []struct {
		name, text string
		check      func(*source) []string
		want       int
	}{
		{"long file", "package p\n" + lines(maxFileLines, "// x"), checkSizes, 1},
		{"full file", "package p\n" + lines(maxFileLines-1, "// x"), checkSizes, 0},
		{"long function", "package p\nfunc f() {\n" + lines(maxFuncLines, "f()") + "}\n", checkSizes, 1},
		{"wide struct", "package p\ntype t struct {\n" + lines(maxFields+1, "a int") + "}\n", checkSizes, 1},
		{"wide struct of one line", "package p\ntype t struct { " + strings.Repeat("a, ", maxFields) + "b int }\n", checkSizes, 1},
		{"wide interface", "package p\ntype t interface {\n" + lines(maxInterface+1, "a()") + "}\n", checkSizes, 1},
		{"init", "package p\nfunc init() {}\n", checkState, 1},
		{"method named init", "package p\nfunc (t) init() {}\n", checkState, 0},
		{"counter", "package p\nvar n int\n", checkState, 1},
		{"number", "package p\nvar n = 3\n", checkState, 1},
		{"cache", "package p\nvar m = make(map[int]int)\n", checkState, 1},
		{"object", "package p\nvar m = &T{}\n", checkState, 1},
		{"struct", "package p\nvar m = T{}\n", checkState, 1},
		{"version of a program", "package main\nvar version = \"dev\"\n", checkState, 0},
		{"version of a package", "package p\nvar version = \"dev\"\n", checkState, 1},
		{"mixed group", "package p\nvar (\nErrA = errors.New(\"\")\nn = 1\n)\n", checkState, 1},
		{"constants", "package p\nvar ErrA = errors.New(\"\")\nvar _ I = (*T)(nil)\nvar t = []int{1}\nvar re = regexp.MustCompile(`a`)\n//go:embed x\nvar fs embed.FS\n", checkState, 0},
		{"undocumented", "package p\nfunc F() {}\nfunc (T) M() {}\ntype T int\nconst C = 1\nvar V = []int{}\n", checkDocs, 5},
		{"documented", "package p\n// F does.\nfunc F() {}\nfunc (t) M() {}\n// T is.\ntype T int\nfunc (T) String() string { return \"\" }\n// All of them.\nconst (\nC = 1\nD = 2\n)\nvar (\n// V is.\nV = 1\nW = 2 // is too\n)\n", checkDocs, 0},
	} {
		if out := c.check(parse(t, "p/p.go", c.text)); len(out) != c.want {
			t.Errorf("%s: %q, want %d findings", c.name, out, c.want)
		}
	}
	sleeping := parse(t, "p/p_test.go", "package p\nfunc f() { time.Sleep(1) }\n")
	bubble := parse(t, "p/q_test.go", "package p\nimport \"testing/synctest\"\n")
	if out := checkSleep([]*source{sleeping}); len(out) != 1 {
		t.Errorf("sleeping: %q", out)
	}
	if out := checkSleep([]*source{sleeping, bubble}); len(out) != 0 {
		t.Errorf("sleeping in a bubble: %q", out)
	}
}

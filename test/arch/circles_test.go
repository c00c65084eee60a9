package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// circles are the files of a package that may name each other in both
// directions, as "folder: a.go b.go", each with the reason: files hold methods
// of one type, by what they decide, and none of them is the lower one. All
// other files of a package name each other in one direction, so that each can
// be read after those that it stands on.
var circles = map[string]string{}

// arrows are, by file of a package, the files whose declarations it names, and
// these names. What counts is declared for the whole package; methods are.
type arrows map[string]map[string][]string

func arrowsOf(fset *token.FileSet, files []*ast.File, pkg *types.Package, info *types.Info) arrows {
	file := func(p token.Pos) string { return filepath.Base(fset.Position(p).Filename) }
	out := arrows{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			o := info.Uses[id]
			name := nameOf(o, pkg)
			if name == "" {
				return true
			}
			from, to := file(id.Pos()), file(o.Pos())
			if from != to && !slices.Contains(out[from][to], name) {
				if out[from] == nil {
					out[from] = map[string][]string{}
				}
				out[from][to] = append(out[from][to], name)
			}
			return true
		})
	}
	return out
}

// nameOf is the name of what is declared for the whole package, "T.m" of a
// method; empty: it is another package's, a field, or of one function only.
func nameOf(o types.Object, pkg *types.Package) string {
	if o == nil || o.Pkg() != pkg {
		return ""
	}
	if f, ok := o.(*types.Func); ok && f.Signature().Recv() != nil {
		recv := types.TypeString(f.Signature().Recv().Type(), func(*types.Package) string { return "" })
		return strings.TrimPrefix(recv, "*") + "." + o.Name()
	}
	if o.Parent() != pkg.Scope() {
		return ""
	}
	return o.Name()
}

// reach lists what can be come to from a file, over any number of arrows.
func (a arrows) reach(from string) map[string]bool {
	seen := map[string]bool{}
	var visit func(string)
	visit = func(f string) {
		for to := range a[f] {
			if !seen[to] {
				seen[to] = true
				visit(to)
			}
		}
	}
	visit(from)
	return seen
}

// circles lists the files that can be come back to, with each other.
func (a arrows) circles() [][]string {
	var out [][]string
	done := map[string]bool{}
	for _, f := range slices.Sorted(maps.Keys(a)) {
		there := a.reach(f)
		if done[f] || !there[f] {
			continue
		}
		var circle []string
		for _, g := range slices.Sorted(maps.Keys(there)) {
			if a.reach(g)[f] {
				circle, done[g] = append(circle, g), true
			}
		}
		out = append(out, circle)
	}
	return out
}

// checkCircles compares the circles of a package with those that are allowed,
// and takes the ones that it finds out of unused.
func checkCircles(folder string, a arrows, unused map[string]string) []string {
	var out []string
	for _, circle := range a.circles() {
		key := folder + ": " + strings.Join(circle, " ")
		if _, ok := unused[key]; ok {
			delete(unused, key)
			continue
		}
		var lines []string
		for _, from := range circle {
			for _, to := range circle {
				if names := a[from][to]; len(names) > 0 {
					lines = append(lines, fmt.Sprintf("\n\t%s -> %s: %s", from, to, strings.Join(names, ", ")))
				}
			}
		}
		slices.SortStableFunc(lines, func(a, b string) int { return strings.Count(a, ", ") - strings.Count(b, ", ") })
		out = append(out, key+" name each other in a circle; the fewest names first:"+strings.Join(lines, ""))
	}
	return out
}

func TestCircles(t *testing.T) {
	var patterns []string
	for _, s := range sources(t) {
		if p := "./" + s.folder(); !s.test() && !within(s.folder(), "test") && !slices.Contains(patterns, p) {
			patterns = append(patterns, p)
		}
	}
	unused := maps.Clone(circles)
	var out []string
	for _, p := range load(t, patterns...) {
		out = append(out, checkCircles(strings.TrimPrefix(p.PkgPath, module+"/"), arrowsOf(p.Fset, p.Syntax, p.Types, p.TypesInfo), unused)...)
	}
	for key := range unused {
		out = append(out, key+" is a circle no more: take it out of the list")
	}
	report(t, out)
}

// load type-checks packages of the house.
func load(t *testing.T, patterns ...string) []*packages.Package {
	t.Helper()
	pkgs, err := packages.Load(&packages.Config{
		Dir:  root,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports,
	}, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) != len(patterns) {
		t.Fatalf("%d packages, want %v", len(pkgs), patterns)
	}
	for _, p := range pkgs {
		for _, e := range p.Errors {
			t.Errorf("%s: %v", p.PkgPath, e)
		}
	}
	return pkgs
}

func TestCircleCheckSees(t *testing.T) {
	const low = "type t struct{ n int }\nconst c = 1\n"
	for _, c := range []struct {
		name, a, b, c string
		want          string
	}{
		{"one direction", low, "func (x *t) m() { x.n = c }", "func f(x *t) { x.m() }", ""},
		{"constant", low + "const d = e", "const e = 2\nvar v = c", "", "a.go -> b.go: e\n\tb.go -> a.go: c"},
		{"method", low + "func (x *t) up() { x.m() }", "func (x *t) m() {}", "", "a.go -> b.go: t.m\n\tb.go -> a.go: t"},
		{"generic method", "type g[T any] struct{}\nfunc up(x g[int]) { x.m() }", "func (g[T]) m() {}", "", "a.go -> b.go: g[int].m\n\tb.go -> a.go: g"},
		{"three files", low + "var v = f", "func f() { h() }", "func h() { _ = c }", "a.go -> b.go: f\n\tb.go -> c.go: h\n\tc.go -> a.go: c"},
		{"fewest first", low + "var v, w = f, h", "func f() { _ = c }\nfunc h() {}", "", "b.go -> a.go: c\n\ta.go -> b.go: f, h"},
		{"fields and locals", low, "type u struct{ t }\nfunc f(x u) int { n := x.n; return n }", "", ""},
	} {
		fset := token.NewFileSet()
		var files []*ast.File
		for name, text := range map[string]string{"a.go": c.a, "b.go": c.b, "c.go": c.c} {
			f, err := parser.ParseFile(fset, name, "package p\n"+text+"\n", parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
		pkg, err := (&types.Config{}).Check("p", fset, files, info)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		_, got, _ := strings.Cut(strings.Join(checkCircles("p", arrowsOf(fset, files, pkg, info), nil), ""), ":\n\t")
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	unused := map[string]string{"p: a.go b.go": "a reason", "p: x.go y.go": "gone"}
	a := arrows{"a.go": {"b.go": {"x"}}, "b.go": {"a.go": {"y"}}}
	if out := checkCircles("p", a, unused); len(out) != 0 || len(unused) != 1 {
		t.Errorf("an allowed circle: %q, left %v", out, unused)
	}
}

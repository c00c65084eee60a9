package arch

import (
	"go/ast"
	"go/importer"
	"go/types"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// impure are the imports, with all below them, that a pure package may not
// have; of package time it may have types and constants.
var impure = []string{
	"math/rand", "crypto/rand", "sync", "context", "log", "os", "net", "syscall", "runtime", "io/fs", "io/ioutil", "embed", "unsafe", "plugin",
	"testing", "flag", "expvar", "github.com/prometheus", "github.com/hashicorp", "github.com/twmb/franz-go/pkg/kgo", "hash/maphash",
}

// decisions are the pure files of packages that also do I/O.
var decisions = map[string][]string{
	"replication/link":   {"alike.go", "claim.go", "configs.go", "findings.go", "ledger.go", "pace.go", "removed.go", "rings.go", "settings.go", "told.go", "topics.go"},
	"replication/verify": {"alone.go", "bound.go", "compacted.go", "compare.go", "fault.go", "item.go", "loose.go", "meet.go"},
}

// clocks are what package time reads or waits for.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local", "LoadLocation"}

// checkPure finds what makes a pure package impure. Types are needed for the
// order of maps only: without, that is not checked.
func checkPure(s *source, info *types.Info) []string {
	var out []string
	for _, i := range s.file.Imports {
		name, _ := strconv.Unquote(i.Path.Value)
		if slices.ContainsFunc(impure, func(p string) bool { return within(name, p) }) {
			out = append(out, s.at(i.Pos(), "pure package imports %s", name))
		}
	}
	ordered := map[ast.Node]bool{} // calls whose result is sorted at once
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			out = append(out, s.at(n.Pos(), "pure package starts a goroutine"))
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains(clocks, n.Sel.Name) {
				out = append(out, s.at(n.Pos(), "pure package reads the clock: time.%s", n.Sel.Name))
			}
		case *ast.CallExpr:
			name := called(n)
			if strings.HasPrefix(name, "slices.Sorted") {
				ordered[n.Args[0]] = true
			}
			if (name == "maps.Keys" || name == "maps.Values" || name == "maps.All") && !ordered[n] && !s.excuses(n) {
				out = append(out, s.at(n.Pos(), "%s in the order of a map", name))
			}
		case *ast.RangeStmt:
			if info == nil {
				break
			}
			if t := info.TypeOf(n.X); t != nil {
				if _, isMap := t.Underlying().(*types.Map); isMap && !s.excuses(n) {
					out = append(out, s.at(n.Pos(), "range in the order of a map: sort, or say in a comment here why the order is no matter"))
				}
			}
		}
		return true
	})
	return out
}

// excuses reports whether a comment on the line of the node or straight above
// speaks of order.
func (s *source) excuses(n ast.Node) bool {
	line := s.fset.Position(n.Pos()).Line
	for _, g := range s.file.Comments {
		for _, c := range g.List {
			at := s.fset.Position(c.End()).Line
			if (at == line || at == line-1) && (strings.Contains(c.Text, "order") || strings.Contains(c.Text, "sort")) {
				return true
			}
		}
	}
	return false
}

func TestPurity(t *testing.T) {
	var patterns []string
	for _, p := range slices.Concat(pure, slices.Collect(maps.Keys(decisions))) {
		patterns = append(patterns, "./"+p)
	}
	var out []string
	found := map[string]bool{}
	for _, p := range load(t, patterns...) {
		for i, f := range p.Syntax {
			name, folder := filepath.Base(p.CompiledGoFiles[i]), strings.TrimPrefix(p.PkgPath, module+"/")
			if only := decisions[folder]; only != nil && !slices.Contains(only, name) {
				continue
			}
			s := &source{path: path.Join(folder, name), file: f, fset: p.Fset}
			found[s.path] = true
			out = append(out, checkPure(s, p.TypesInfo)...)
		}
	}
	for folder, files := range decisions {
		for _, f := range files {
			if !found[path.Join(folder, f)] {
				t.Errorf("no file %s/%s", folder, f)
			}
		}
	}
	report(t, out)
}

func TestPurityCheckSees(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       int
	}{
		{"random", "import \"math/rand/v2\"", 1},
		{"lock", "import \"sync/atomic\"", 1},
		{"metrics", "import \"github.com/prometheus/client_golang/prometheus\"", 1},
		{"harmless", "import (\n\"slices\"\n\"time\"\n\"io\"\n)\nconst d = time.Second", 0},
		{"clock", "import \"time\"\nvar n = time.Now()", 1},
		{"goroutine", "func f() { go f() }", 1},
		{"map", "func f(m map[int]int) { for range m {} }", 1},
		{"named map", "type t map[int]int\nfunc f(m t) { for k := range m { _ = k } }", 1},
		{"slice", "func f(m []int) { for range m {} }", 0},
		{"map with an excuse", "func f(m map[int]int) {\n\t// The order is no matter: a sum.\n\tfor range m {\n\t}\n}", 0},
		{"keys", "func f(m map[int]int) { for range maps.Keys(m) {} }", 1},
		{"sorted keys", "func f(m map[int]int) { slices.Sorted(maps.Keys(m)) }", 0},
	} {
		s := parse(t, "fsm/p.go", "package p\n"+c.text+"\n")
		info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
		cfg := types.Config{Error: func(error) {}, Importer: importer.Default()}
		cfg.Check("p", s.fset, []*ast.File{s.file}, info) // errors are no matter: imports are not resolved
		if out := checkPure(s, info); len(out) != c.want {
			t.Errorf("%s: %q, want %d findings", c.name, out, c.want)
		}
	}
}

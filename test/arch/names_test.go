package arch

import (
	"fmt"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What stands in backquotes on a page and names something of this tree.
var (
	quoted     = regexp.MustCompile("`([^`\n]+)`")
	goFile     = regexp.MustCompile(`^[\w*./-]+\.go$`)
	folderName = regexp.MustCompile(`^[a-z]+(/[a-z]+)+/?$`)
	identifier = regexp.MustCompile(`^([a-z]+)\.([A-Z]\w*)(\.\w+)?(\(\))?$`)
	testName   = regexp.MustCompile(`^(Test|Fuzz|Benchmark)[A-Z]\w*$`)
)

// index is what the pages may name.
type index struct {
	files []string            // from the root
	names map[string][]string // "pkg.Name": its fields and methods; of a test, "Name"
}

func newIndex(files []string, all []*source) index {
	x := index{files, map[string][]string{}}
	types := declarations(all)
	for _, s := range all {
		pkg := s.file.Name.Name
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				x.function(s, pkg, d)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						x.names[pkg+"."+spec.Name.Name] = append(x.names[pkg+"."+spec.Name.Name], memberNames(types, s.owns(spec.Name.Name), nil)...)
					case *ast.ValueSpec:
						for _, n := range spec.Names {
							x.names[pkg+"."+n.Name] = append(x.names[pkg+"."+n.Name], "")
						}
					}
				}
			}
		}
	}
	return x
}

func (x index) function(s *source, pkg string, f *ast.FuncDecl) {
	name := pkg + "." + f.Name.Name
	if f.Recv != nil {
		owner := s.refers(f.Recv.List[0].Type)
		name = pkg + owner[strings.LastIndexByte(owner, '.'):]
	}
	x.names[name] = append(x.names[name], f.Name.Name)
	if f.Recv == nil && s.test() {
		x.names[f.Name.Name] = append(x.names[f.Name.Name], "")
	}
}

// memberNames are the fields of a struct and the methods of an interface, with
// those of embedded ones of ours.
func memberNames(types map[string]declared, name string, seen []string) []string {
	d, ok := types[name]
	if !ok || slices.Contains(seen, name) {
		return nil
	}
	list := d.members()
	if list == nil {
		return nil
	}
	var out []string
	for _, f := range list.List {
		for _, n := range f.Names {
			out = append(out, n.Name)
		}
		if len(f.Names) == 0 {
			inner := d.at.refers(f.Type)
			out = append(out, inner[strings.LastIndexByte(inner, '.')+1:])
			out = append(out, memberNames(types, inner, append(seen, name))...)
		}
	}
	return out
}

// checkNames finds what a page names in backquotes as a file, a folder, a test
// or an identifier of ours, and is not there.
func checkNames(page, text string, x index) []string {
	var out []string
	n := 0
	for line := range strings.Lines(text) {
		n++
		for _, m := range quoted.FindAllStringSubmatch(line, -1) {
			if what := x.missing(m[1]); what != "" {
				out = append(out, fmt.Sprintf("%s:%d: %s: there is no such %s", page, n, m[1], what))
			}
		}
	}
	return out
}

// missing is what kind of thing the word names that is not there; "": it is,
// or the word names none of ours.
func (x index) missing(word string) string {
	id := identifier.FindStringSubmatch(word)
	switch {
	case goFile.MatchString(word):
		if !slices.ContainsFunc(x.files, func(f string) bool { return fits(f, word) }) {
			return "file"
		}
	case folderName.MatchString(word):
		word = strings.TrimSuffix(word, "/") + "/"
		top := word[:strings.IndexByte(word, '/')+1]
		has := func(prefix string) bool {
			return slices.ContainsFunc(x.files, func(f string) bool { return strings.HasPrefix(f, prefix) })
		}
		if has(top) && !has(word) {
			return "folder"
		}
	case testName.MatchString(word):
		if x.names[word] == nil {
			return "test"
		}
	case id != nil && x.isPackage(id[1]):
		members, ok := x.names[id[1]+"."+id[2]]
		if member := strings.TrimPrefix(id[3], "."); !ok || member != "" && !slices.Contains(members, member) {
			return "identifier"
		}
	}
	return ""
}

// fits reports whether a page may call the file so: by its path, or by the end
// of that.
func fits(file, word string) bool {
	for tail := file; ; {
		if ok, err := path.Match(word, tail); err == nil && ok {
			return true
		}
		_, rest, more := strings.Cut(tail, "/")
		if !more {
			return false
		}
		tail = rest
	}
}

// isPackage reports whether a package of ours has the name.
func (x index) isPackage(name string) bool {
	for known := range x.names {
		if strings.HasPrefix(known, name+".") {
			return true
		}
	}
	return false
}

// TestPagesNameWhatExists reads every page but the change log, which tells of
// what was.
func TestPagesNameWhatExists(t *testing.T) {
	files := tracked(t)
	x := newIndex(files, sources(t))
	pages := 0
	var out []string
	for _, name := range files {
		if !strings.HasSuffix(name, ".md") || name == "CHANGELOG.md" {
			continue
		}
		pages++
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, checkNames(name, string(text), x)...)
	}
	if pages < 10 {
		t.Errorf("only %d pages found", pages)
	}
	report(t, out)
}

func TestNamesCheckSees(t *testing.T) {
	all := []*source{
		parse(t, "kafka/conn.go", "package kafka\ntype Conn struct { inner; Limit int }\ntype inner struct { Depth int }\nfunc (c *Conn) Fetch() {}\nfunc Dial() {}\nconst Big = 1\n"),
		parse(t, "task/task.go", "package task\ntype Control interface { Facts }\ntype Facts interface { View() }\n"),
		parse(t, "kafka/conn_test.go", "package kafka\nfunc TestConn() {}\n"),
	}
	x := newIndex([]string{"kafka/conn.go", "kafka/conn_test.go", "task/task.go", "replication/pipe/take.go", "docs/a.md"}, all)
	for _, c := range []struct {
		word string
		want string
	}{
		{"kafka/conn.go", ""}, {"conn.go", ""}, {"pipe/take.go", ""}, {"kafka/conn*.go", ""}, {"ake.go", "file"}, {"kafka/pool.go", "file"}, {"pool.go", "file"}, {"kafka/pool*.go", "file"},
		{"replication/pipe", ""}, {"replication/pipe/", ""}, {"replication/lane", "folder"}, {"text/html", ""},
		{"kafka.Conn", ""}, {"kafka.Conn.Fetch", ""}, {"kafka.Conn.Fetch()", ""}, {"kafka.Conn.Limit", ""}, {"kafka.Conn.Depth", ""}, {"kafka.Dial()", ""}, {"kafka.Big", ""}, {"task.Control.View", ""},
		{"kafka.Pool", "identifier"}, {"kafka.Conn.Produce", "identifier"}, {"task.Control.Propose", "identifier"}, {"kgo.Client", ""}, {"kafka.yaml", ""},
		{"TestConn", ""}, {"TestPool", "test"}, {"Testing", ""}, {"plain words", ""}, {"orders", ""},
	} {
		if got := x.missing(c.word); got != c.want {
			t.Errorf("%s: %q, want %q", c.word, got, c.want)
		}
	}
	page := "See `kafka.Conn` and `kafka.Pool`.\n```\n`kafka/pool.go`\n"
	if out := checkNames("docs/a.md", page, x); len(out) != 2 || !strings.HasPrefix(out[0], "docs/a.md:1: kafka.Pool") {
		t.Errorf("%q", out)
	}
}

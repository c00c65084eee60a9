package arch

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// wellKnown are methods of the standard library's interfaces: their meaning
// needs no comment.
var wellKnown = []string{
	"String", "Error", "Unwrap", "Is", "As", "Len", "Less", "Swap", "Push", "Pop", "Read", "Write", "Close", "ServeHTTP", "RoundTrip",
	"MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "Set", "Type", "Accept", "Addr", "LocalAddr", "RemoteAddr",
	"SetDeadline", "SetReadDeadline", "SetWriteDeadline", "Network", "Describe", "Collect", "Enabled", "Handle", "WithAttrs", "WithGroup",
}

// checkDocs finds exported names without a doc comment.
func checkDocs(s *source) []string {
	if s.test() || s.file.Name.Name == "main" {
		return nil
	}
	var out []string
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && d.Doc == nil && !excused(d) {
				out = append(out, s.at(d.Pos(), "%s has no doc comment", d.Name.Name))
			}
		case *ast.GenDecl:
			if d.Tok == token.IMPORT || d.Doc != nil {
				continue
			}
			for _, spec := range d.Specs {
				if name := bare(spec); name != "" {
					out = append(out, s.at(spec.Pos(), "%s has no doc comment", name))
				}
			}
		}
	}
	return out
}

// excused reports whether a method belongs to a type that nobody sees or to an
// interface that everybody knows.
func excused(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return false
	}
	if slices.Contains(wellKnown, f.Name.Name) {
		return true
	}
	t := f.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return !x.IsExported()
		default:
			return false
		}
	}
}

// bare names the exported thing that a spec declares without a comment.
func bare(spec ast.Spec) string {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() && spec.Doc == nil && spec.Comment == nil {
			return spec.Name.Name
		}
	case *ast.ValueSpec:
		for _, n := range spec.Names {
			if n.IsExported() && spec.Doc == nil && spec.Comment == nil {
				return n.Name
			}
		}
	}
	return ""
}

// checkPackageComments finds packages without a comment, or with one that does
// not begin as godoc wants it.
func checkPackageComments(all []*source) []string {
	docs := map[string]*source{}
	var out, folders []string
	for _, s := range all {
		if !slices.Contains(folders, s.folder()) {
			folders = append(folders, s.folder())
		}
		if s.file.Doc == nil {
			continue
		}
		text := s.file.Doc.Text()
		if !strings.HasPrefix(text, "Package "+strings.TrimSuffix(s.file.Name.Name, "_test")+" ") && s.file.Name.Name != "main" {
			out = append(out, s.at(s.file.Doc.Pos(), "a package comment begins with \"Package %s \"", s.file.Name.Name))
		}
		if other := docs[s.folder()]; other != nil {
			out = append(out, s.at(s.file.Doc.Pos(), "the package has a second comment, in %s", other.path))
		}
		docs[s.folder()] = s
	}
	for _, f := range folders {
		if docs[f] == nil {
			out = append(out, f+": the package has no comment")
		}
	}
	return out
}

func TestPackageCommentCheckSees(t *testing.T) {
	a, b := parse(t, "p/a.go", "// Package p is.\npackage p\n"), parse(t, "p/b.go", "package p\n")
	if out := checkPackageComments([]*source{a, b}); len(out) != 0 {
		t.Errorf("good: %q", out)
	}
	if out := checkPackageComments([]*source{b}); len(out) != 1 {
		t.Errorf("none: %q", out)
	}
	if out := checkPackageComments([]*source{a, a}); len(out) != 1 {
		t.Errorf("two: %q", out)
	}
	if out := checkPackageComments([]*source{parse(t, "p/a.go", "// This is p.\npackage p\n")}); len(out) != 1 {
		t.Errorf("misbegun: %q", out)
	}
}

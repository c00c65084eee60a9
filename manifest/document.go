package manifest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Document is one YAML document of a text.
type Document struct {
	body    ast.Node
	at      Pos
	anchors map[string]ast.Node
}

// Fields tells which keys a document holds, by path ("spec.topics.include[1]"),
// and where. The path "" is the document itself.
type Fields map[string]Pos

// At is the place of a path, or of the nearest one above it that is there.
func (f Fields) At(path string) Pos {
	for {
		if p, ok := f[path]; ok {
			return p
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return f[""]
		}
		path = path[:cut]
	}
}

// Has reports whether the document gives the key a value.
func (f Fields) Has(path string) bool { _, ok := f[path]; return ok }

// Documents splits a text into its documents; empty ones are left out. file
// is used in errors, which are Errors.
func Documents(file string, text []byte) ([]Document, error) {
	var out []Document
	for _, part := range split(string(text)) {
		tokens := lexer.Tokenize(part)
		if err := depth(file, tokens); err != nil {
			return nil, Errors{err}
		}
		parsed, err := parser.Parse(tokens, 0)
		if err != nil {
			return nil, Errors{syntaxError(file, err)}
		}
		for _, d := range parsed.Docs {
			if d.Body == nil || d.Body.Type() == ast.NullType || d.Body.Type() == ast.CommentType {
				continue
			}
			doc := Document{body: d.Body, at: position(file, d.Body), anchors: map[string]ast.Node{}}
			ast.Walk(doc, d.Body)
			out = append(out, doc)
		}
	}
	return out, nil
}

// maxDepth bounds how deep lists and keys may lie within one another on a line
// or within brackets. The parser of goccy/go-yaml v1.19.2 needs time and memory
// by the square of it: 400 kB of brackets take gigabytes.
const maxDepth = 64

// depth refuses a text that is nested deeper than any object is.
func depth(file string, tokens token.Tokens) *Error {
	brackets, entries, line := 0, 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
		case token.SequenceEntryType, token.MappingKeyType:
			if t.Position.Line != line {
				entries, line = 0, t.Position.Line
			}
			entries++
		default:
			continue
		}
		if brackets > maxDepth || entries > maxDepth {
			return &Error{Pos: Pos{file, t.Position.Line, t.Position.Column}, Message: fmt.Sprintf("nested deeper than %d levels", maxDepth)}
		}
	}
	return nil
}

// split cuts a text at its document markers, which stand at the beginning of
// a line wherever they are. Every part begins with as many empty lines as
// stand before it, so that places stay right. The parser is not left to do it:
// goccy/go-yaml v1.19.2 drops all documents after one that is only a comment.
func split(text string) []string {
	var parts []string
	var part strings.Builder
	lines := 0
	for line := range strings.Lines(text) {
		rest, marker := strings.CutPrefix(line, "---")
		if marker && strings.TrimLeft(rest, " \t\r\n") != rest || marker && rest == "" {
			parts = append(parts, part.String())
			part.Reset()
			part.WriteString(strings.Repeat("\n", lines))
			line = "   " + rest
		}
		part.WriteString(line)
		lines++
	}
	return append(parts, part.String())
}

// Visit implements ast.Visitor: it gathers the anchors.
func (d Document) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok {
		d.anchors[a.Name.GetToken().Value] = a.Value
	}
	return d
}

func syntaxError(file string, err error) *Error {
	out := &Error{Pos: Pos{File: file}, Message: err.Error()}
	if s, ok := errors.AsType[*yaml.SyntaxError](err); ok {
		out.Message = s.Message
		if s.Token != nil && s.Token.Position != nil {
			out.Pos.Line, out.Pos.Column = s.Token.Position.Line, s.Token.Position.Column
		}
	}
	return out
}

// position is where a node begins.
func position(file string, n ast.Node) Pos {
	switch x := n.(type) {
	case *ast.MappingNode:
		if !x.IsFlowStyle && len(x.Values) > 0 {
			n = x.Values[0].Key
		}
	case *ast.MappingValueNode:
		n = x.Key
	}
	p := Pos{File: file}
	if t := n.GetToken(); t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	return p
}

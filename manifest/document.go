package manifest

import (
	"errors"
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
	size    int // bytes of its text
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
	err := eachDocument(file, text, func(d Document) error {
		out = append(out, d)
		return nil
	})
	return out, err
}

// eachDocument reads one document after the other, so that only one tree is
// held at a time; it ends with the first error.
func eachDocument(file string, text []byte, do func(Document) error) error {
	if err := readable(file, text); err != nil {
		return err
	}
	for _, part := range split(string(text)) {
		tokens := lexer.Tokenize(part.text)
		part.shift(tokens)
		if err := bounded(file, tokens); err != nil {
			return err
		}
		parsed, err := parser.Parse(tokens, 0)
		if err != nil {
			return syntaxError(file, err)
		}
		for _, d := range parsed.Docs {
			if d.Body == nil || d.Body.Type() == ast.NullType || d.Body.Type() == ast.CommentType {
				continue
			}
			doc := Document{body: d.Body, at: position(file, d.Body), anchors: map[string]ast.Node{}, size: len(part.text)}
			ast.Walk(doc, d.Body)
			if err := do(doc); err != nil {
				return err
			}
		}
	}
	return nil
}

// bounded refuses a text whose parsing would take long.
func bounded(file string, tokens token.Tokens) error {
	brackets, entries, line, keys, anchors := 0, 0, 0, 0, 0
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
		case token.MappingValueType:
			keys++
		case token.AnchorType:
			anchors++
		default:
			continue
		}
		at := Pos{file, t.Position.Line, t.Position.Column}
		switch {
		case brackets > maxDepth || entries > maxDepth:
			return oneError(at, "nested deeper than %d levels", maxDepth)
		case keys > maxKeys:
			return oneError(at, "more than %d keys in one document; separate objects with a line ---", maxKeys)
		case anchors > maxAnchors:
			return oneError(at, "more than %d anchors in one document", maxAnchors)
		}
	}
	return nil
}

// part is a text of one document and how many lines stand before it.
type part struct {
	text  string
	lines int
}

// shift makes the places of the part's tokens those of the whole text.
func (p part) shift(tokens token.Tokens) {
	if p.lines == 0 {
		return
	}
	done := make(map[*token.Position]bool, len(tokens))
	for _, t := range tokens {
		if at := t.Position; at != nil && !done[at] {
			done[at] = true
			at.Line += p.lines
		}
	}
}

// split cuts a text at its document markers, which stand at the beginning of
// a line wherever they are. The parser is not left to do it: goccy/go-yaml
// v1.19.2 drops all documents after one that is only a comment.
func split(text string) []part {
	var parts []part
	var b strings.Builder
	lines, begin := 0, 0
	for line := range strings.Lines(text) {
		rest, marker := strings.CutPrefix(line, "---")
		if marker && strings.TrimLeft(rest, " \t\r\n") != rest || marker && rest == "" {
			parts = append(parts, part{b.String(), begin})
			b.Reset()
			begin, line = lines, "   "+rest
		}
		b.WriteString(line)
		lines++
	}
	return append(parts, part{b.String(), begin})
}

// Visit implements ast.Visitor: it gathers the anchors.
func (d Document) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok {
		d.anchors[a.Name.GetToken().Value] = a.Value
	}
	return d
}

func syntaxError(file string, err error) error {
	s, ok := errors.AsType[*yaml.SyntaxError](err)
	if !ok {
		return oneError(Pos{File: file}, "%s", plainSyntax(err.Error()))
	}
	at := Pos{File: file}
	if s.Token != nil && s.Token.Position != nil {
		at.Line, at.Column = s.Token.Position.Line, s.Token.Position.Column
	}
	return oneError(at, "%s", plainSyntax(s.Message))
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

package manifest

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Decode stores the document in the struct that into points to. Keys are the
// field's yaml or json tag, or its name with a small first letter; an embedded
// struct's keys stand beside the others. Every key must be known and have a
// value; what is absent keeps the value that it has. The errors are Errors.
func (d Document) Decode(into any) (Fields, error) {
	dec := &decoder{file: d.at.File, anchors: d.anchors, fields: Fields{"": d.at}, left: 4*d.size + 4096}
	dec.value("", d.body, reflect.ValueOf(into).Elem())
	return dec.fields, dec.errs.err()
}

type decoder struct {
	file    string
	anchors map[string]ast.Node
	fields  Fields
	left    int // bytes that may still be read: an alias repeats what it stands for
	errs    Errors
}

// spend takes n bytes of what may be read; false: there is too much.
func (d *decoder) spend(at Pos, n int) bool {
	if d.left < 0 {
		return false // said already
	}
	if d.left -= n; d.left < 0 {
		d.errs.add(at, "aliases (*name) repeat so much that the document becomes more than four times as long; write it out")
	}
	return d.left >= 0
}

// resolve follows aliases and takes anchors off; nil after an error.
func (d *decoder) resolve(n ast.Node) ast.Node {
	for range maxAnchors {
		switch x := n.(type) {
		case *ast.AnchorNode:
			n = x.Value
		case *ast.AliasNode:
			name := x.Value.GetToken().Value
			to, ok := d.anchors[name]
			if !ok {
				// It is not shown: a secret may begin with an asterisk.
				d.errs.add(position(d.file, n), "an alias (*name) whose anchor (&name) is not in this document; text that begins with * stands in quotes")
				return nil
			}
			n = to
		case *ast.TagNode:
			d.errs.add(position(d.file, n), "YAML tags (!name) are not understood; text that begins with ! stands in quotes")
			return nil
		default:
			return n
		}
	}
	d.errs.add(position(d.file, n), "an alias that contains itself")
	return nil
}

func (d *decoder) value(path string, n ast.Node, v reflect.Value) {
	at := position(d.file, n)
	n = d.resolve(n)
	if n == nil || !d.spend(at, 1) {
		return
	}
	if n.Type() == ast.NullType {
		d.errs.add(at, "%s: has no value; give it one or leave the key out", name(path))
		return
	}
	if path != "" {
		d.fields[path] = at
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	if _, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok || v.Type() == reflect.TypeFor[time.Duration]() {
		d.scalar(at, path, n, v)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(at, path, n, v)
	case reflect.Slice:
		d.sequence(at, path, n, v)
	default:
		d.scalar(at, path, n, v)
	}
}

func (d *decoder) mapping(at Pos, path string, n ast.Node, v reflect.Value) {
	if n.Type() != ast.MappingType && n.Type() != ast.MappingValueType {
		d.errs.add(at, "%s: expected keys and values, found %s", name(path), describe(n))
		return
	}
	known := map[string]reflect.Value{}
	order := keysOf(v, known, nil)
	seen := map[string]bool{}
	for _, kv := range pairs(n) {
		key, keyAt := kv.Key.GetToken().Value, position(d.file, kv.Key)
		field, ok := known[key]
		switch {
		case kv.Key.IsMergeKey():
			d.errs.add(keyAt, "merge keys (<<) are not understood; write the keys out")
		case !ok && kv.Value.Type() == ast.NullType: // it is not shown: it may be the end of a secret with a comma
			d.errs.add(keyAt, "an unknown key without a value%s; text with commas stands in quotes%s", inside(path), suggest(key, order))
		case !ok:
			d.errs.add(keyAt, "unknown key %q%s%s", key, inside(path), suggest(key, order))
		case seen[key]:
			d.errs.add(keyAt, "the key %q stands here twice", key)
		default:
			d.value(join(path, key), kv.Value, field)
		}
		seen[key] = true
	}
}

// word is a scalar and its place.
type word struct {
	text string
	at   Pos
}

// keys gives the document's own keys that have a scalar value, known or not.
func (d Document) keys() map[string]word {
	out := map[string]word{}
	for _, kv := range pairs(d.body) {
		if text, ok := scalarText(kv.Value); ok {
			out[kv.Key.GetToken().Value] = word{text, position(d.at.File, kv.Value)}
		}
	}
	return out
}

// pairs gives the keys and values of a mapping, nil for another node.
func pairs(n ast.Node) []*ast.MappingValueNode {
	switch x := n.(type) {
	case *ast.MappingNode:
		return x.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{x}
	}
	return nil
}

// keysOf gathers the keys of a struct and the fields they name.
func keysOf(v reflect.Value, known map[string]reflect.Value, order []string) []string {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			order = keysOf(v.Field(i), known, order)
			continue
		}
		if !f.IsExported() {
			continue
		}
		tag, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if tag == "" {
			tag, _, _ = strings.Cut(f.Tag.Get("json"), ",")
		}
		if tag == "-" {
			continue
		}
		if tag == "" {
			tag = strings.ToLower(f.Name[:1]) + f.Name[1:]
		}
		known[tag] = v.Field(i)
		order = append(order, tag)
	}
	return order
}

func (d *decoder) sequence(at Pos, path string, n ast.Node, v reflect.Value) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.errs.add(at, "%s: expected a list, found %s; write [%s]", name(path), describe(n), shown(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		d.value(fmt.Sprintf("%s[%d]", path, i), item, out.Index(i))
	}
	v.Set(out)
}

func (d *decoder) scalar(at Pos, path string, n ast.Node, v reflect.Value) {
	text, ok := scalarText(n)
	if !ok {
		hint := ""
		if m, isMap := n.(*ast.MappingNode); isMap && m.IsFlowStyle {
			hint = "; put text with braces in quotes"
		}
		d.errs.add(at, "%s: expected one value, found %s%s", name(path), describe(n), hint)
		return
	}
	if !d.spend(at, len(text)) {
		return
	}
	if err := setScalar(v, text); err != nil {
		d.errs.add(at, "%s: %v", name(path), err)
	}
}

// shown is a value as it was written, where it is short and no password may stand
// in it.
func shown(n ast.Node) string {
	if text, ok := scalarText(n); ok && len(text) <= maxMessage && !strings.Contains(text, "@") {
		return n.String()
	}
	return "..."
}

func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys and values"
	case *ast.SequenceNode:
		return "a list"
	}
	return "one value"
}

func name(path string) string {
	if path == "" {
		return "the document"
	}
	return path
}

func inside(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

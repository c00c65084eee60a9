// Package keys makes the reference of a YAML form from the Go types that it is
// read into: the tag yaml is the key, doc its meaning, example a value, default
// what holds where the key is left out.
package keys

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// Key is one key of the form, with all that stand above it.
type Key struct {
	Path, Doc, Default, Example string
	Depth                       int  // of Path
	Group                       bool // it holds other keys
}

// Of lists the keys of a struct in their order. What its fields hold is what the
// keys mean when they are left out, where no tag says so. A key without doc or
// example is a fault.
func Of(t testing.TB, form any) []Key {
	t.Helper()
	return list(t, "", reflect.ValueOf(form))
}

func list(t testing.TB, above string, v reflect.Value) (out []Key) {
	t.Helper()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if options == "inline" {
			out = append(out, list(t, above, v.Field(i))...)
			continue
		}
		k := Key{Path: strings.TrimPrefix(above+"."+name, "."), Doc: f.Tag.Get("doc"), Default: f.Tag.Get("default"), Example: f.Tag.Get("example")}
		k.Depth = strings.Count(k.Path, ".")
		value := v.Field(i)
		if value.Kind() == reflect.Pointer {
			value = reflect.Zero(value.Type().Elem())
		}
		if value.Kind() == reflect.Struct {
			k.Group = true
			out = append(append(out, k), list(t, k.Path, value)...)
			continue
		}
		if k.Default == "" && !value.IsZero() {
			k.Default = text(t, value.Interface())
		}
		if k.Doc == "" || k.Example == "" {
			t.Errorf("key %s has no doc or no example", k.Path)
		}
		out = append(out, k)
	}
	return out
}

func text(t testing.TB, v any) string {
	t.Helper()
	b, err := yaml.MarshalWithOptions(v, yaml.Flow(true))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// Table is a Markdown table of the keys.
func Table(all []Key) string {
	var b strings.Builder
	b.WriteString("| key | default | what it says |\n|---|---|---|\n")
	for _, k := range all {
		if k.Group && k.Doc == "" {
			continue
		}
		def := ""
		if k.Default != "" {
			def = "`" + k.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Path, def, strings.ReplaceAll(k.Doc, "|", `\|`))
	}
	return b.String()
}

// Whole is YAML with every key, each with its example.
func Whole(all []Key) string {
	var b strings.Builder
	for _, k := range all {
		name := k.Path[strings.LastIndex(k.Path, ".")+1:]
		fmt.Fprintf(&b, "%s%s\n", strings.Repeat("  ", k.Depth), strings.TrimSpace(name+": "+k.Example))
	}
	return b.String()
}

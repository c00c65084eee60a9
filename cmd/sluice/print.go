package main

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"

	"sluice/manifest"
)

// printFile writes the configuration as it holds: defaults filled in, files
// by their whole path. With origin each value says where it comes from.
func printFile(w io.Writer, path string, origin bool) error {
	f, fields, err := readFile(path)
	if err != nil {
		return err
	}
	p := printer{fields: fields, origin: origin}
	p.object("", "", reflect.ValueOf(f))
	_, err = io.WriteString(w, p.String())
	return err
}

type printer struct {
	strings.Builder
	fields manifest.Fields
	origin bool
}

func (p *printer) object(path, indent string, v reflect.Value) {
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		at := key
		if path != "" {
			at = path + "." + key
		}
		if v.Field(i).Kind() == reflect.Struct {
			fmt.Fprintf(p, "%s%s:\n", indent, key)
			p.object(at, indent+"  ", v.Field(i))
			continue
		}
		p.leaf(at, indent+key+": "+text(v.Field(i)))
	}
}

func (p *printer) leaf(path, line string) {
	if p.origin {
		from := "default"
		if p.fields.Has(path) {
			from = p.fields.At(path).String()
		}
		line = fmt.Sprintf("%-56s # %s", line, from)
	}
	fmt.Fprintln(p, line)
}

// text is a value on one line.
func text(v reflect.Value) string {
	if v.Kind() == reflect.Slice && v.Len() == 0 {
		return "[]"
	}
	b, err := yaml.MarshalWithOptions(v.Interface(), yaml.Flow(true))
	if err != nil {
		return fmt.Sprint(v.Interface())
	}
	return strings.TrimSpace(string(b))
}

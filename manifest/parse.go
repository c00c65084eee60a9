package manifest

import (
	"bytes"
	"fmt"
	"slices"
)

// object decodes one document and checks it for itself.
func (d Document) object() (Object, error) {
	kind, errs := d.kind()
	switch kind {
	case KindKafkaCluster:
		var doc kafkaDoc
		fields, err := d.Decode(&doc)
		errs.join(err)
		k := doc.object()
		o := Object{Kind: kind, Name: k.Name, Fields: fields, Kafka: &k}
		if len(errs) == 0 {
			o.check(&errs)
		}
		return o, errs.err()
	case KindLink:
		var doc linkDoc
		fields, err := d.Decode(&doc)
		errs.join(err)
		l, err := doc.object()
		if err != nil {
			errs.add(fields.At("spec.limit"), "spec.limit: %v", err)
		}
		o := Object{Kind: kind, Name: l.Name, Fields: fields, Link: &l}
		if len(errs) == 0 {
			o.check(&errs)
		}
		return o, errs.err()
	}
	return Object{}, errs.err()
}

// Parse reads the objects of a text. The errors are Errors, all that were
// found; the objects are in the order of the text.
func Parse(file string, text []byte) ([]Object, error) {
	docs, err := Documents(file, bytes.TrimPrefix(text, []byte("\ufeff"))) // some editors begin a file with a byte order mark
	if err != nil {
		return nil, err
	}
	var errs Errors
	var out []Object
	for _, d := range docs {
		o, err := d.object()
		errs.join(err)
		out = append(out, o)
	}
	return out, errs.err()
}

// ParseAll reads the objects of several texts as one set; an object that
// stands in it twice is an error.
func ParseAll(sources []Source) ([]Object, error) {
	var errs Errors
	var all []Object
	for _, s := range sources {
		objects, err := Parse(s.Name, []byte(s.Text))
		errs.join(err)
		all = append(all, objects...)
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, compareObjects)
	for i := 1; i < len(all); i++ {
		if compareObjects(all[i-1], all[i]) == 0 {
			errs.add(all[i].At(""), "%s %s stands already at %s", all[i].Kind, all[i].Name, all[i-1].At(""))
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no object in %s", sourceNames(sources))
	}
	return all, errs.err()
}

func sourceNames(sources []Source) string {
	switch len(sources) {
	case 0:
		return "no file at all"
	case 1:
		return sources[0].Name
	}
	return fmt.Sprintf("%s and %d more", sources[0].Name, len(sources)-1)
}

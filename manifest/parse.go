package manifest

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// ParseAll reads the objects of several texts as one set; an object that
// stands in it twice is an error, and so is more than the bounds. Other errors
// than Errors are of ctx.
func ParseAll(ctx context.Context, sources []Source) ([]Object, error) {
	r := reader{ctx: ctx}
	for _, s := range sources {
		if err := r.read(s); err != nil {
			return nil, err
		}
	}
	if err := r.errs.err(); err != nil {
		return nil, err
	}
	all := r.objects
	slices.SortStableFunc(all, compareObjects)
	for i := 1; i < len(all); i++ {
		if compareObjects(all[i-1], all[i]) == 0 {
			r.errs.add(all[i].At(""), "%s %s stands already at %s", all[i].Kind, all[i].Name, all[i-1].At(""))
		}
	}
	if len(all) == 0 {
		return nil, oneError(Pos{}, "no object in %s; one begins with apiVersion: %s and its kind", sourceNames(sources), APIVersion)
	}
	return all, r.errs.err()
}

// reader gathers the objects and faults of texts, within the bounds.
type reader struct {
	ctx      context.Context
	objects  []Object
	errs     Errors
	bytes    int // read so far
	patterns int // their sizes together

	expressions int // of filters, their sizes together
}

// read takes the objects of a text, in its order. The error, after which there
// is no sense in going on, is one of a bound or ctx's.
func (r *reader) read(s Source) error {
	r.bytes += len(s.Name) + len(s.Text)
	if s.Name = shorten(s.Name); r.bytes > MaxText {
		return oneError(Pos{File: s.Name}, "more than %s of text in all; apply it in several parts", Size(MaxText))
	}
	text := strings.TrimPrefix(s.Text, "\ufeff") // some editors begin a file with a byte order mark
	err := eachDocument(s.Name, []byte(text), r.document)
	if r.ctx.Err() != nil || len(r.objects) > MaxObjects || r.patterns > maxPatterns || r.expressions > maxExpressions {
		return err
	}
	r.errs.join(err)
	return nil
}

// document decodes one document and checks it for itself. Its error is one of
// a bound or ctx's.
func (r *reader) document(d Document) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	o, errs := d.object()
	if r.objects = append(r.objects, o); len(r.objects) > MaxObjects {
		return oneError(d.at, "more than %d objects; apply them in several parts", MaxObjects)
	}
	if errs.none() {
		if r.patterns += o.patterns(); r.patterns > maxPatterns {
			return oneError(o.At("spec.topics"), "the topic patterns are too many and too large; apply the links in several parts, or use shorter patterns")
		}
		if o.Link != nil && o.Link.Filter != nil {
			r.expressions += len(o.Link.Filter.Keep)
		}
		if r.expressions > maxExpressions {
			return oneError(o.At("spec.filter.keep"), "the expressions of filters are more than %s together; apply the links in several parts", Size(maxExpressions))
		}
		o.check(&errs)
	}
	r.errs.join(errs.err())
	return nil
}

// object decodes a document.
func (d Document) object() (Object, Errors) {
	kind, errs := d.kind()
	switch kind {
	case KindKafkaCluster:
		var doc kafkaDoc
		fields, err := d.Decode(&doc)
		errs.join(err)
		k := doc.object()
		return Object{Kind: kind, Name: k.Name, Fields: fields, Kafka: &k}, errs
	case KindLink:
		var doc linkDoc
		fields, err := d.Decode(&doc)
		errs.join(err)
		l, err := doc.object()
		if err != nil {
			errs.add(fields.At("spec.limit"), "spec.limit: %v", err)
		}
		return Object{Kind: kind, Name: l.Name, Fields: fields, Link: &l}, errs
	}
	return Object{}, errs
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

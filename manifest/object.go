package manifest

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"sluice/fsm"
)

// APIVersion is the version of the objects' form that this build reads.
const APIVersion = "sluice/v1"

// Kind is the kind of an object.
type Kind string

// The kinds, in the order in which they are applied.
const (
	KindKafkaCluster Kind = "KafkaCluster"
	KindLink         Kind = "Link"
)

// Object is one object of a text, defaults filled in. Exactly one of Kafka
// and Link is set, as Kind says.
type Object struct {
	Kind   Kind
	Name   string
	Fields Fields // which keys were written, and where
	Kafka  *fsm.KafkaCluster
	Link   *fsm.LinkSpec // State is empty where the text does not state it
}

// At is the place of a key of the object, or of the object itself.
func (o *Object) At(path string) Pos { return o.Fields.At(path) }

func compareObjects(a, b Object) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// The documents as they are written; the tags are the keys.
type (
	header struct {
		APIVersion string   `yaml:"apiVersion"`
		Kind       Kind     `yaml:"kind"`
		Metadata   metadata `yaml:"metadata"`
	}
	metadata struct {
		Name string `yaml:"name"`
	}
	kafkaDoc struct {
		header `yaml:",inline"`
		Spec   kafkaSpec `yaml:"spec"`
	}
	kafkaSpec struct {
		Bootstrap  []string  `yaml:"bootstrap"`
		Datacenter string    `yaml:"datacenter,omitempty"`
		ClusterID  string    `yaml:"clusterId,omitempty"`
		TLS        *tlsSpec  `yaml:"tls,omitempty"`
		SASL       *saslSpec `yaml:"sasl,omitempty"`
	}
	tlsSpec struct {
		CA         string `yaml:"ca,omitempty"`
		Cert       string `yaml:"cert,omitempty"`
		Key        string `yaml:"key,omitempty"`
		ServerName string `yaml:"serverName,omitempty"`
	}
	saslSpec struct {
		Mechanism string `yaml:"mechanism"`
		Username  string `yaml:"username"`
		Password  string `yaml:"password"`
	}
	linkDoc struct {
		header `yaml:",inline"`
		Spec   linkSpec `yaml:"spec"`
	}
	linkSpec struct {
		Source       string           `yaml:"source"`
		Target       string           `yaml:"target"`
		Topics       topicsSpec       `yaml:"topics"`
		Rename       string           `yaml:"rename,omitempty"`
		Start        string           `yaml:"start,omitempty"`
		Offsets      string           `yaml:"offsets,omitempty"`
		OnLoss       string           `yaml:"onLoss,omitempty"`
		Copies       string           `yaml:"copies,omitempty"`
		Writers      string           `yaml:"writers,omitempty"`
		Limit        string           `yaml:"limit,omitempty"`
		TargetTopics targetTopicsSpec `yaml:"targetTopics,omitempty"`
		State        string           `yaml:"state,omitempty"`
	}
	topicsSpec struct {
		Include []string `yaml:"include"`
		Exclude []string `yaml:"exclude,omitempty"`
	}
	targetTopicsSpec struct {
		ReplicationFactor int16 `yaml:"replicationFactor,omitempty"`
	}
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

func (d *kafkaDoc) object() fsm.KafkaCluster {
	s := d.Spec
	k := fsm.KafkaCluster{Name: d.Metadata.Name, Bootstrap: s.Bootstrap, Datacenter: s.Datacenter, ClusterID: s.ClusterID}
	if s.TLS != nil {
		k.TLS = &fsm.TLS{CA: s.TLS.CA, Cert: s.TLS.Cert, Key: s.TLS.Key, ServerName: s.TLS.ServerName}
	}
	if s.SASL != nil {
		k.SASL = &fsm.SASL{Mechanism: s.SASL.Mechanism, Username: s.SASL.Username, Password: s.SASL.Password}
	}
	return k
}

// object fills in the defaults. The template "{topic}" is the same as none.
func (d *linkDoc) object() (fsm.LinkSpec, error) {
	s := d.Spec
	limit, err := ParseRate(s.Limit)
	l := fsm.LinkSpec{
		Name: d.Metadata.Name, Source: s.Source, Target: s.Target,
		Include: s.Topics.Include, Exclude: s.Topics.Exclude, Rename: s.Rename,
		Start:   cmp.Or(s.Start, fsm.StartEarliest),
		Offsets: cmp.Or(s.Offsets, fsm.OffsetsAuto),
		OnLoss:  cmp.Or(s.OnLoss, fsm.OnLossHalt),
		Copies:  cmp.Or(s.Copies, fsm.CopiesSkipFromTarget),
		Writers: cmp.Or(s.Writers, fsm.WritersOurs),
		Limit:   limit, ReplicationFactor: s.TargetTopics.ReplicationFactor, State: s.State,
	}
	if l.Rename == "{topic}" {
		l.Rename = ""
	}
	return l, err
}

// kind finds out what a document is; a document of no known kind is an error.
func (d Document) kind() (Kind, Errors) {
	var errs Errors
	fields := d.keys()
	version, kind := fields["apiVersion"], fields["kind"]
	switch {
	case version.text == "":
		errs.add(d.at, "apiVersion is missing; write apiVersion: %s", APIVersion)
	case version.text != APIVersion:
		errs.add(version.at, "apiVersion %q is not one that this build reads; it reads %s", version.text, APIVersion)
	}
	kinds := []string{string(KindKafkaCluster), string(KindLink)}
	switch {
	case kind.text == "":
		errs.add(d.at, "kind is missing%s", suggest("", kinds))
	case !slices.Contains(kinds, kind.text):
		errs.add(kind.at, "unknown kind %q%s", kind.text, suggest(kind.text, kinds))
	}
	return Kind(kind.text), errs
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

// Source is a text and the name that errors give it.
type Source struct {
	Name string `json:"name"`
	Text string `json:"text"`
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

package manifest

import (
	"cmp"
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

// patterns is the size of the object's topic patterns together.
func (o *Object) patterns() int {
	if o.Link == nil {
		return 0
	}
	n := 0
	for _, set := range [][]string{o.Link.Include, o.Link.Exclude} {
		for _, p := range set {
			if !fsm.ValidTopic(p) {
				n += min(patternSize(p), maxPattern+1)
			}
		}
	}
	return n
}

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

// Source is a text and the name that errors give it.
type Source struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

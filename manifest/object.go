package manifest

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

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
		APIVersion string   `yaml:"apiVersion" doc:"Always sluice/v1." example:"sluice/v1"`
		Kind       Kind     `yaml:"kind" doc:"KafkaCluster or Link." example:"KIND"`
		Metadata   metadata `yaml:"metadata"`
	}
	metadata struct {
		Name string `yaml:"name" doc:"Name of the object, unique among those of its kind: 1 to 63 letters, digits, dots, dashes and underscores. Needed." example:"NAME"`
	}
	kafkaDoc struct {
		header `yaml:",inline"`
		Spec   kafkaSpec `yaml:"spec"`
	}
	kafkaSpec struct {
		Bootstrap  []string  `yaml:"bootstrap" doc:"Brokers to begin with, host:port; the others are learnt from them. Needed." example:"[kafka1.example:9093, kafka2.example:9093]"`
		Datacenter string    `yaml:"datacenter,omitempty" doc:"Where it is. Streams go to nodes in the datacenter of their target, where there are any." example:"us-east"`
		ClusterID  string    `yaml:"clusterId,omitempty" doc:"Its Kafka cluster id. Left out, it is taken at first sight and pinned. Another cluster at the address is refused." example:"MkU3OEVBNTcwNTJENDM2Qk"`
		TLS        *tlsSpec  `yaml:"tls,omitempty" doc:"Speaks TLS to the brokers; {} trusts the authorities of the operating system. Left out: no TLS."`
		SASL       *saslSpec `yaml:"sasl,omitempty" doc:"Logs in with SASL. Left out: no login."`
	}
	tlsSpec struct {
		CA         string `yaml:"ca,omitempty" doc:"Certificates of the authorities that sign the brokers', PEM: as text, or a reference." example:"${file:/etc/sluice/secrets/kafka-ca.pem}"`
		Cert       string `yaml:"cert,omitempty" doc:"Certificate that Sluice shows to the brokers, PEM: as text, or a reference. Goes with key." example:"${file:/etc/sluice/secrets/kafka.pem}"`
		Key        string `yaml:"key,omitempty" doc:"Its private key, PEM: a reference." example:"${file:/etc/sluice/secrets/kafka.key}"`
		ServerName string `yaml:"serverName,omitempty" doc:"Name that the brokers' certificates must have. Left out: the broker's own host." example:"kafka.example"`
	}
	saslSpec struct {
		Mechanism string `yaml:"mechanism" doc:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. Needed in sasl." example:"SCRAM-SHA-512"`
		Username  line   `yaml:"username" doc:"Needed in sasl." example:"sluice"`
		Password  string `yaml:"password" doc:"A reference, ${file:/path} or ${env:NAME}, which each node resolves for itself. Needed in sasl." example:"${file:/etc/sluice/secrets/kafka.password}"`
	}
	linkDoc struct {
		header `yaml:",inline"`
		Spec   linkSpec `yaml:"spec"`
	}
	linkSpec struct {
		Source       string           `yaml:"source" doc:"KafkaCluster that is copied from. Cannot be changed later. Needed." example:"us"`
		Target       string           `yaml:"target" doc:"KafkaCluster that is copied to. Cannot be changed later. Needed." example:"eu"`
		Topics       topicsSpec       `yaml:"topics"`
		Rename       string           `yaml:"rename,omitempty" default:"{topic}" doc:"Name of a topic at the target: {topic} stands for its name at the source, {source} for the name of the source KafkaCluster. Cannot be changed later." example:"\"{source}.{topic}\""`
		Start        string           `yaml:"start,omitempty" default:"earliest" doc:"Where copying begins, decided once, when the link is applied: earliest, latest, or a time like 2026-01-31T12:00:00Z." example:"latest"`
		Offsets      string           `yaml:"offsets,omitempty" default:"auto" doc:"auto: the same offsets where the source allows it, else a constant shift, else exact segments. identical: the same, or the stream stops; where the source has lost its first records, their offsets are taken at the target first. translated: segments from the start." example:"auto"`
		OnLoss       string           `yaml:"onLoss,omitempty" default:"halt" doc:"What a stream does when something cannot be copied: halt waits for an operator, continue goes on behind it, recopy begins anew once the target is empty. Which stops it is about, the reason codes say." example:"continue"`
		Gaps         string           `yaml:"gaps,omitempty" default:"fill" doc:"What becomes of the offsets that transactions of the source take without a record (their markers, and records that were aborted). fill: transactions of Sluice's take the same offsets at the target, so that records keep theirs. translate: offsets differ from there on, by segments. A stream that has begun to fill goes on with it." example:"translate"`
		OnDeleted    string           `yaml:"onSourceDeleted,omitempty" default:"stop" doc:"What the streams of a topic do that was deleted at the source: stop waits for an operator, end ends them and keeps the target's records." example:"end"`
		Copies       string           `yaml:"copies,omitempty" default:"skip-from-target" doc:"Which records that other links wrote into the source are left out: skip-from-target those that came from this link's target, skip-all every one." example:"skip-all"`
		Writers      string           `yaml:"writers,omitempty" default:"ours" doc:"ours: nobody else writes to the target topics. shared: a stream may begin in a topic that holds others' records." example:"ours"`
		Filter       *filterSpec      `yaml:"filter,omitempty" doc:"Copies only some records, or changes them; their offsets are translated then. Left out: all are copied, as the bytes they are. Cannot be changed later, but for onUnparseable. [More](../howto/filters.md)."`
		Limit        string           `yaml:"limit,omitempty" doc:"Bytes per second over all nodes, as they are compressed. Left out: no limit." example:"50MiB/s"`
		TargetTopics targetTopicsSpec `yaml:"targetTopics,omitempty"`
		State        string           `yaml:"state,omitempty" doc:"running or paused. Left out: as it is, a new link runs." example:"running"`
	}
	topicsSpec struct {
		Include []string `yaml:"include" doc:"Topics of the source to copy: names, \"prefix*\", or \"/regular expression/\". Needed." example:"[orders, \"pay-*\", '/^audit\\..*/']"`
		Exclude []string `yaml:"exclude,omitempty" doc:"Of these, topics that are not copied; written alike." example:"[\"*-tmp\"]"`
	}
	filterSpec struct {
		Keep          string       `yaml:"keep,omitempty" doc:"CEL expression that is true for the records to copy, over key, value (JSON), headers (each a list) and timestamp. Left out: all." example:"'has(value.country) && value.country == \"DE\"'"`
		DropHeaders   []string     `yaml:"dropHeaders,omitempty" doc:"Names of headers that are left out." example:"[trace-id]"`
		RenameHeaders []renameSpec `yaml:"renameHeaders,omitempty" doc:"Headers that get another name." example:"[{from: src, to: origin}]"`
		Mask          []string     `yaml:"mask,omitempty" doc:"Fields of JSON values of which nothing is left but the type: strings become \"***\", numbers 0, booleans false, objects {}. A path is names with dots between them, * for any name, ** for any number of them; arrays are gone through." example:"[customer.name, \"**.iban\"]"`
		Hash          []string     `yaml:"hash,omitempty" doc:"Fields of JSON values that become their HMAC-SHA-256 in hex, so that equal values stay equal; paths as in mask." example:"[customer.id]"`
		Secret        string       `yaml:"secret,omitempty" doc:"What fields are hashed with, 16 bytes or more: a reference, ${file:/path} or ${env:NAME}, which each node resolves for itself; it must be the same on all nodes. Needed with hash." example:"${file:/etc/sluice/secrets/filter.key}"`
		OnUnparseable string       `yaml:"onUnparseable,omitempty" default:"stop" doc:"What becomes of a record that cannot be judged, or not changed as it should be: its value is not JSON, or keep gives no answer. stop: its stream stops in front of it. drop: it is left out, and counted." example:"drop"`
	}
	renameSpec struct {
		From string `yaml:"from"`
		To   string `yaml:"to"`
	}
	targetTopicsSpec struct {
		ReplicationFactor int16 `yaml:"replicationFactor,omitempty" doc:"Of topics that the link creates. Left out: the target's default." example:"3"`
	}
)

// line is a string in one line.
type line string

// MarshalYAML implements yaml.BytesMarshaler: the library leaves a string that
// begins like a complex key without quotes.
func (w line) MarshalYAML() ([]byte, error) {
	if strings.HasPrefix(string(w), "?") {
		return []byte(strconv.Quote(string(w))), nil
	}
	return yaml.Marshal(string(w))
}

func (d *kafkaDoc) object() fsm.KafkaCluster {
	s := d.Spec
	k := fsm.KafkaCluster{Name: d.Metadata.Name, Bootstrap: s.Bootstrap, Datacenter: s.Datacenter, ClusterID: s.ClusterID}
	if s.TLS != nil {
		k.TLS = &fsm.TLS{CA: s.TLS.CA, Cert: s.TLS.Cert, Key: s.TLS.Key, ServerName: s.TLS.ServerName}
	}
	if s.SASL != nil {
		k.SASL = &fsm.SASL{Mechanism: s.SASL.Mechanism, Username: string(s.SASL.Username), Password: s.SASL.Password}
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
		Gaps:    s.Gaps, OnSourceDeleted: s.OnDeleted, Limit: limit, ReplicationFactor: s.TargetTopics.ReplicationFactor, State: s.State,
	}
	if s.Filter != nil {
		l.Filter = s.Filter.object()
	}
	if l.Rename == "{topic}" {
		l.Rename = ""
	}
	if l.Gaps == gapsFill {
		l.Gaps = fsm.GapsFill
	}
	if l.OnSourceDeleted == sourceDeletedStop {
		l.OnSourceDeleted = fsm.OnSourceDeletedStop
	}
	return l, err
}

func (s *filterSpec) object() *fsm.Filter {
	f := &fsm.Filter{Keep: s.Keep, DropHeaders: s.DropHeaders, Mask: s.Mask, Hash: s.Hash, Secret: s.Secret, OnUnparseable: s.OnUnparseable}
	for _, r := range s.RenameHeaders {
		f.RenameHeaders = append(f.RenameHeaders, fsm.Rename(r))
	}
	if f.OnUnparseable == unparseableStop {
		f.OnUnparseable = fsm.UnparseableStop
	}
	return f
}

// unparseableStop is fsm.UnparseableStop in words.
const unparseableStop = "stop"

// OnUnparseable is a filter's onUnparseable in words: stop or drop.
func OnUnparseable(f *fsm.Filter) string { return cmp.Or(f.OnUnparseable, unparseableStop) }

// gapsFill is fsm.GapsFill in words.
const gapsFill = "fill"

// Gaps is a link's gaps in words: fill or translate.
func Gaps(l *fsm.LinkSpec) string { return cmp.Or(l.Gaps, gapsFill) }

// OnSourceDeleted is a link's onSourceDeleted in words: stop or end.
func OnSourceDeleted(l *fsm.LinkSpec) string { return cmp.Or(l.OnSourceDeleted, sourceDeletedStop) }

// sourceDeletedStop is the default in words; it is kept as the empty value,
// which older nodes know too.
const sourceDeletedStop = "stop"

// kind finds out what a document is; a document of no known kind is an error.
func (d Document) kind() (Kind, Errors) {
	var errs Errors
	if pairs(d.body) == nil && d.body.Type() != ast.MappingType {
		errs.add(d.at, "expected the keys apiVersion, kind, metadata and spec, found %s", describe(d.body))
		return "", errs
	}
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

// IsObject reports whether a document is an object of a known kind.
func (d Document) IsObject() bool {
	_, errs := d.kind()
	return errs.none()
}

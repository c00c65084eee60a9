package manifest

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/goccy/go-yaml"

	"sluice/fsm"
)

// Export writes the objects of the facts as YAML: Kafka clusters first, then
// links that are not being deleted, each by name. An empty kind or name means
// all. Planning what it wrote on the same View changes nothing.
func Export(v *fsm.View, kind Kind, name string) ([]byte, error) {
	var docs []any
	if kind == "" || kind == KindKafkaCluster {
		for _, k := range v.Kafka {
			if name == "" || name == k.Name {
				docs = append(docs, kafkaDocOf(&k))
			}
		}
	}
	if kind == "" || kind == KindLink {
		links := slices.SortedFunc(slices.Values(v.Links), func(a, b *fsm.Link) int { return cmp.Compare(a.Spec.Name, b.Spec.Name) })
		for _, l := range links {
			if !l.Deleting && (name == "" || name == l.Spec.Name) {
				docs = append(docs, linkDocOf(&l.Spec))
			}
		}
	}
	var out bytes.Buffer
	for i, d := range docs {
		if i > 0 {
			out.WriteString("---\n")
		}
		b, err := yaml.MarshalWithOptions(d, yaml.IndentSequence(true))
		if err != nil {
			return nil, fmt.Errorf("writing objects: %w", err)
		}
		out.Write(b)
	}
	return out.Bytes(), nil
}

func kafkaDocOf(k *fsm.KafkaCluster) kafkaDoc {
	d := kafkaDoc{header: header{APIVersion, KindKafkaCluster, metadata{k.Name}}}
	d.Spec = kafkaSpec{Bootstrap: k.Bootstrap, Datacenter: k.Datacenter, ClusterID: k.ClusterID}
	if t := k.TLS; t != nil {
		d.Spec.TLS = &tlsSpec{CA: t.CA, Cert: t.Cert, Key: t.Key, ServerName: t.ServerName}
	}
	if s := k.SASL; s != nil {
		d.Spec.SASL = &saslSpec{Mechanism: s.Mechanism, Username: line(s.Username), Password: s.Password}
	}
	return d
}

func linkDocOf(l *fsm.LinkSpec) linkDoc {
	return linkDoc{
		header: header{APIVersion, KindLink, metadata{l.Name}},
		Spec: linkSpec{
			Source: l.Source, Target: l.Target, Topics: topicsSpec{l.Include, l.Exclude}, Rename: l.Rename,
			Start: l.Start, Offsets: l.Offsets, Gaps: Gaps(l), OnLoss: l.OnLoss, OnDeleted: OnSourceDeleted(l), Copies: l.Copies, Writers: l.Writers,
			Filter: filterOf(l.Filter), Limit: FormatRate(l.Limit), TargetTopics: targetTopicsSpec{l.ReplicationFactor}, State: l.State,
		},
	}
}

// filterOf is a filter as it is written, nil: none.
func filterOf(f *fsm.Filter) *filterSpec {
	if f == nil {
		return nil
	}
	out := &filterSpec{Keep: f.Keep, DropHeaders: f.DropHeaders, Mask: f.Mask, Hash: f.Hash, Secret: f.Secret, OnUnparseable: OnUnparseable(f)}
	for _, r := range f.RenameHeaders {
		out.RenameHeaders = append(out.RenameHeaders, renameSpec(r))
	}
	return out
}

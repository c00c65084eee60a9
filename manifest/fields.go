package manifest

import (
	"fmt"
	"slices"
	"strings"

	"sluice/fsm"
)

// FieldChange is one key of an object that changes. From and To are as they
// would be written, empty: not there.
type FieldChange struct {
	Path string `json:"path"`
	From string `json:"from"`
	To   string `json:"to"`
}

// field is one key of an object and its value as text.
type field struct{ path, value string }

func kafkaFields(k *fsm.KafkaCluster) []field {
	out := []field{
		{"spec.bootstrap", list(k.Bootstrap)}, {"spec.datacenter", k.Datacenter}, {"spec.clusterId", k.ClusterID},
	}
	if t := k.TLS; t != nil {
		out = append(out, field{"spec.tls", "on"}, field{"spec.tls.ca", t.CA}, field{"spec.tls.cert", t.Cert},
			field{"spec.tls.key", t.Key}, field{"spec.tls.serverName", t.ServerName})
	}
	if s := k.SASL; s != nil {
		out = append(out, field{"spec.sasl.mechanism", s.Mechanism}, field{"spec.sasl.username", s.Username}, field{"spec.sasl.password", s.Password})
	}
	return out
}

func linkFields(l *fsm.LinkSpec) []field {
	factor := ""
	if l.ReplicationFactor > 0 {
		factor = fmt.Sprint(l.ReplicationFactor)
	}
	out := []field{
		{"spec.source", l.Source}, {"spec.target", l.Target},
		{"spec.topics.include", list(l.Include)}, {"spec.topics.exclude", list(l.Exclude)},
		{"spec.rename", l.Rename}, {"spec.start", l.Start}, {"spec.offsets", l.Offsets}, {"spec.onLoss", l.OnLoss},
		{"spec.gaps", Gaps(l)}, {"spec.onSourceDeleted", OnSourceDeleted(l)},
		{"spec.copies", l.Copies}, {"spec.writers", l.Writers}, {"spec.limit", FormatRate(l.Limit)},
		{"spec.targetTopics.replicationFactor", factor}, {"spec.state", l.State},
	}
	if l.Filter != nil {
		out = append(out, filterFields(l.Filter)...)
	}
	return out
}

func filterFields(f *fsm.Filter) []field {
	var renames []string
	for _, r := range f.RenameHeaders {
		renames = append(renames, fmt.Sprintf("{from: %s, to: %s}", r.From, r.To))
	}
	return []field{
		{"spec.filter.keep", f.Keep}, {"spec.filter.dropHeaders", list(f.DropHeaders)}, {"spec.filter.renameHeaders", list(renames)},
		{"spec.filter.mask", list(f.Mask)}, {"spec.filter.hash", list(f.Hash)}, {"spec.filter.secret", f.Secret}, {"spec.filter.onUnparseable", OnUnparseable(f)},
	}
}

func list(items []string) string {
	if len(items) == 0 {
		return ""
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// compare gives the fields that differ, those of the new object first.
func compare(from, to []field) []FieldChange {
	var out []FieldChange
	find := func(set []field, path string) string {
		if i := slices.IndexFunc(set, func(f field) bool { return f.path == path }); i >= 0 {
			return set[i].value
		}
		return ""
	}
	for _, f := range to {
		if old := find(from, f.path); old != f.value {
			out = append(out, FieldChange{f.path, old, f.value})
		}
	}
	for _, f := range from {
		if f.value != "" && !slices.ContainsFunc(to, func(t field) bool { return t.path == f.path }) {
			out = append(out, FieldChange{f.path, f.value, ""})
		}
	}
	return out
}

// quotedOr is a value in quotes, or that there is none.
func quotedOr(value string) string {
	if value == "" {
		return "(nothing)"
	}
	return fmt.Sprintf("%q", value)
}

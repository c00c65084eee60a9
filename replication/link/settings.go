package link

import (
	"slices"

	"sluice/kafka"
)

// SettingsDiffer is a setting of a copied topic that is another at the target
// than the source's settings ask for.
type SettingsDiffer struct {
	Topic  string // at the source
	Key    string
	Source string // what the source's settings ask for, by the rules of created topics
	Target string // what holds at the target
}

// differing compares the settings of a target topic with those of its source,
// by name: what is set on either, and what is carried, whoever set it. The
// target may take larger batches and ask for more replicas in sync.
func differing(topic string, source, target []kafka.ConfigEntry, rules targetRules) []SettingsDiffer {
	configs, _ := targetConfigs(source, rules)
	var out []SettingsDiffer
	for _, e := range target {
		want, asked := configs[e.Name]
		if !asked {
			want = value(source, e.Name)
		}
		switch {
		case local(e.Name) || e.Sensitive || want == "" || sameValue(e.Name, want, e.Value):
		case !asked && e.Default && !slices.Contains(carried(), e.Name): // by default on both sides
		case (e.Name == cfgMaxBytes || e.Name == cfgMinISR) && larger(want, e.Value) == e.Value:
		default:
			out = append(out, SettingsDiffer{topic, e.Name, want, e.Value})
		}
	}
	return out
}

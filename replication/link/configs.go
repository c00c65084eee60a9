package link

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"sluice/kafka"
)

// Setting names that the rules speak of.
const (
	cfgTimestampType   = "message.timestamp.type"
	cfgTimestampBefore = "message.timestamp.before.max.ms"
	cfgTimestampAfter  = "message.timestamp.after.max.ms"
	cfgTimestampDiff   = "message.timestamp.difference.max.ms" // up to 3.9
	cfgCompression     = "compression.type"
	cfgMaxBytes        = "max.message.bytes"
	cfgMinISR          = "min.insync.replicas"
	cfgCleanup         = "cleanup.policy"
	cfgRetentionMs     = "retention.ms"
	cfgRetentionBytes  = "retention.bytes"

	brokerReplication = "default.replication.factor"
	brokerPIDExpiry   = "producer.id.expiration.ms"

	widest = "9223372036854775807" // ms: any timestamp
)

// targetRules is what the configs of a created target topic depend on beside
// those of the source topic.
type targetRules struct {
	known       map[string]bool   // setting names that the target's topics have; nil: unknown, take all
	defaults    map[string]string // what its topics have where nothing is set on them, as far as it is known
	replication int               // of the topic to be created, 0: unknown
	expiry      int               // ms for which brokers remember an idle producer, 0: unknown
}

// rulesOf reads them from a broker's settings and from those of any topic
// there (nil: there is none); replication is the link's, 0: the default.
func rulesOf(broker, topic []kafka.ConfigEntry, replication int16) targetRules {
	rules := targetRules{defaults: map[string]string{}, replication: int(replication), expiry: number(broker, brokerPIDExpiry)}
	if rules.replication <= 0 {
		rules.replication = number(broker, brokerReplication)
	}
	for _, name := range carried() {
		if v := brokerDefault(broker, name); v != "" {
			rules.defaults[name] = v
		}
	}
	if topic != nil {
		rules.known = make(map[string]bool, len(topic))
	}
	for _, e := range topic {
		if rules.known[e.Name] = true; e.Default && !e.Sensitive {
			rules.defaults[e.Name] = e.Value
		}
	}
	return rules
}

// knows reports whether the target's topics have a setting.
func (r *targetRules) knows(name string) bool { return r.known == nil || r.known[name] }

// carried are the settings that say how long records last, what compaction
// leaves of them, and how large they may be. What the source topic has of them
// by the defaults of its brokers holds at the target too.
func carried() []string {
	return []string{
		cfgCleanup, cfgRetentionMs, cfgRetentionBytes, "delete.retention.ms", "min.compaction.lag.ms", "max.compaction.lag.ms",
		"segment.ms", "segment.bytes", cfgMaxBytes, cfgMinISR,
	}
}

// brokerDefault is what a topic has of a setting by those of its broker; empty:
// they do not tell. Where several tell, the first counts (Apache Kafka's
// ServerTopicConfigSynonyms).
func brokerDefault(broker []kafka.ConfigEntry, name string) string {
	type setting struct {
		name string
		unit int64 // ms
	}
	of := []setting{{"log." + name, 1}}
	switch name {
	case cfgRetentionMs:
		of = append(of, setting{"log.retention.minutes", 60_000}, setting{"log.retention.hours", 3_600_000})
	case "segment.ms":
		of = []setting{{"log.roll.ms", 1}, {"log.roll.hours", 3_600_000}}
	case "delete.retention.ms", "min.compaction.lag.ms", "max.compaction.lag.ms":
		of = []setting{{"log.cleaner." + name, 1}}
	case cfgMaxBytes:
		of = []setting{{"message.max.bytes", 1}}
	case cfgMinISR:
		of = []setting{{name, 1}}
	}
	for _, s := range of {
		v := value(broker, s.name)
		n, err := strconv.ParseInt(v, 10, 64)
		switch {
		case v == "":
		case err != nil || s.unit == 1:
			return v
		case n < 0:
			return "-1"
		default:
			return strconv.FormatInt(n*s.unit, 10)
		}
	}
	return ""
}

// Changed is a setting that the target topic does not have as the source has
// it; it is kept for promotion.
type Changed struct {
	Name   string `json:"name"`
	Source string `json:"source"`           // effective value at the source
	Target string `json:"target,omitempty"` // empty: left to the target's default
}

// targetConfigs derives the configs of a target topic from the effective ones
// of its source. What is set on the source topic is copied, and of what is not,
// what is carried and would be another by the target's defaults. Except:
// timestamps are CreateTime without limits (records keep theirs, however old),
// compression is the producer's (batches stay closed), max.message.bytes fits
// the source's, min.insync.replicas is at most the replication factor and never
// less than the target's default for the sake of the source's; what belongs to
// one Kafka cluster (throttles, tiered storage, vendor keys) or is unknown at
// the target is left out.
func targetConfigs(source []kafka.ConfigEntry, rules targetRules) (configs map[string]string, changed []Changed) {
	configs = map[string]string{cfgTimestampType: "CreateTime", cfgCompression: "producer"}
	for _, name := range []string{cfgTimestampBefore, cfgTimestampAfter, cfgTimestampDiff} {
		if rules.known[name] {
			configs[name] = widest
		}
	}
	effective := map[string]string{}
	forced := maps.Clone(configs)
	for _, e := range source {
		effective[e.Name] = e.Value
		_, taken := forced[e.Name]
		switch {
		case taken || e.Sensitive || e.Default && !rules.carries(e):
		case e.Name == cfgMaxBytes:
			configs[e.Name] = larger(e.Value, rules.defaults[e.Name])
		case e.Name == cfgMinISR:
			if n, err := strconv.Atoi(e.Value); err == nil && rules.replication > 0 {
				configs[e.Name] = strconv.Itoa(min(n, rules.replication))
			}
		case local(e.Name) || !rules.knows(e.Name):
			changed = append(changed, Changed{Name: e.Name, Source: e.Value})
		default:
			configs[e.Name] = e.Value
		}
	}
	for name, value := range configs { // in any order: they are sorted below
		if was, ok := effective[name]; ok && was != value {
			changed = append(changed, Changed{Name: name, Source: was, Target: value})
		}
	}
	slices.SortFunc(changed, func(a, b Changed) int { return strings.Compare(a.Name, b.Name) })
	return configs, changed
}

// carries reports whether what the source topic has by default has to be set at
// the target.
func (r *targetRules) carries(e kafka.ConfigEntry) bool {
	theirs, told := r.defaults[e.Name]
	switch {
	case !slices.Contains(carried(), e.Name) || e.Value == "":
		return false
	case e.Name == cfgMaxBytes:
		return true // it is the larger of both
	case e.Name == cfgMinISR:
		return told && larger(e.Value, theirs) != theirs
	}
	return r.knows(e.Name) && !(told && sameValue(e.Name, e.Value, theirs))
}

// larger is the larger of two numbers; what is none counts for nothing.
func larger(a, b string) string {
	n, err := strconv.ParseInt(a, 10, 64)
	m, other := strconv.ParseInt(b, 10, 64)
	if err != nil || other == nil && m > n {
		return b
	}
	return a
}

// sameValue reports whether two values of a setting mean the same.
func sameValue(name, a, b string) bool {
	if name == cfgCleanup {
		split := func(s string) []string { return slices.Sorted(strings.SplitSeq(strings.ReplaceAll(s, " ", ""), ",")) }
		return slices.Equal(split(a), split(b))
	}
	return a == b
}

// local reports whether a setting means something on its own Kafka cluster
// only.
func local(name string) bool {
	return strings.HasSuffix(name, ".replication.throttled.replicas") ||
		strings.HasPrefix(name, "remote.") || strings.HasPrefix(name, "local.retention.") ||
		strings.HasPrefix(name, "confluent.") || strings.HasPrefix(name, "redpanda.") ||
		name == "message.format.version" || name == "message.downconversion.enable"
}

// value returns the effective value of a setting, "" when there is none.
func value(entries []kafka.ConfigEntry, name string) string {
	for _, e := range entries {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

// number is value as a number, 0 when there is none.
func number(entries []kafka.ConfigEntry, name string) int {
	n, err := strconv.Atoi(value(entries, name))
	if err != nil {
		return 0
	}
	return n
}

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

	brokerReplication = "default.replication.factor"
	brokerMaxBytes    = "message.max.bytes"
	brokerPIDExpiry   = "producer.id.expiration.ms"

	widest = "9223372036854775807" // ms: any timestamp
)

// targetRules is what the configs of a created target topic depend on beside
// those of the source topic.
type targetRules struct {
	known       map[string]bool // setting names that the target's topics have; nil: unknown, take all
	replication int             // of the topic to be created, 0: unknown
	maxBytes    int             // the target's default for max.message.bytes, 0: unknown
}

// rulesOf reads them from a broker's settings and from those of any topic
// there; replication is the link's, 0: the default.
func rulesOf(broker, topic []kafka.ConfigEntry, replication int16) targetRules {
	rules := targetRules{known: make(map[string]bool, len(topic)), replication: int(replication), maxBytes: number(broker, brokerMaxBytes)}
	if rules.replication <= 0 {
		rules.replication = number(broker, brokerReplication)
	}
	for _, e := range topic {
		rules.known[e.Name] = true
	}
	return rules
}

// Changed is a setting that the target topic does not have as the source has
// it; it is kept for promotion.
type Changed struct {
	Name   string `json:"name"`
	Source string `json:"source"`           // effective value at the source
	Target string `json:"target,omitempty"` // empty: left to the target's default
}

// targetConfigs derives the configs of a target topic from the effective ones
// of its source. What is set on the source topic is copied, except: timestamps
// are CreateTime without limits (records keep theirs, however old),
// compression is the producer's (batches stay closed), max.message.bytes fits
// the source's, min.insync.replicas is at most the replication factor; what
// belongs to one Kafka cluster (throttles, tiered storage, vendor keys) or is
// unknown at the target is left out.
func targetConfigs(source []kafka.ConfigEntry, rules targetRules) (configs map[string]string, changed []Changed) {
	configs = map[string]string{cfgTimestampType: "CreateTime", cfgCompression: "producer"}
	for _, name := range []string{cfgTimestampBefore, cfgTimestampAfter, cfgTimestampDiff} {
		if rules.known[name] {
			configs[name] = widest
		}
	}
	effective := map[string]string{}
	minISR := 0 // 0: not set on the topic, the target's default holds
	forced := maps.Clone(configs)
	for _, e := range source {
		effective[e.Name] = e.Value
		_, taken := forced[e.Name]
		switch {
		case taken || e.Name == cfgMaxBytes || e.Default || e.Sensitive:
		case e.Name == cfgMinISR:
			minISR, _ = strconv.Atoi(e.Value)
		case local(e.Name) || rules.known != nil && !rules.known[e.Name]:
			changed = append(changed, Changed{Name: e.Name, Source: e.Value})
		default:
			configs[e.Name] = e.Value
		}
	}
	if n, err := strconv.Atoi(effective[cfgMaxBytes]); err == nil {
		configs[cfgMaxBytes] = strconv.Itoa(max(n, rules.maxBytes))
	}
	if minISR > 0 && rules.replication > 0 {
		configs[cfgMinISR] = strconv.Itoa(min(minISR, rules.replication))
	}
	for name, value := range configs { // in any order: they are sorted below
		if was, ok := effective[name]; ok && was != value {
			changed = append(changed, Changed{Name: name, Source: was, Target: value})
		}
	}
	slices.SortFunc(changed, func(a, b Changed) int { return strings.Compare(a.Name, b.Name) })
	return configs, changed
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

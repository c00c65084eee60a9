package kafka

import "strconv"

// Retention is how a topic loses records, by its settings in effect.
type Retention struct {
	Policy string // cleanup.policy, empty: not told
	Ms     int64  // how old records may become, -1: any age
	Bytes  int64  // how large a partition may become, -1: any size

	TombstoneMs int64 // how long a cleaner leaves a tombstone, -1: not told
}

// RetentionOf reads it from a topic's settings.
func RetentionOf(topic []ConfigEntry) Retention {
	out := Retention{Ms: -1, Bytes: -1, TombstoneMs: -1}
	for _, e := range topic {
		switch e.Name {
		case "cleanup.policy":
			out.Policy = e.Value
		case "retention.ms":
			out.Ms = atMost(e.Value)
		case "retention.bytes":
			out.Bytes = atMost(e.Value)
		case "delete.retention.ms":
			out.TombstoneMs = atMost(e.Value)
		}
	}
	return out
}

// atMost is a bound that is set, -1: none.
func atMost(text string) int64 {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return n
	}
	return -1
}

package verify

import (
	"strconv"
	"strings"
	"time"

	"sluice/kafka"
)

// retention is how a topic loses records, by its settings in effect.
type retention struct {
	compacts bool
	deletes  bool
	ms       int64 // how old records may become, -1: any age
	bytes    int64 // how large a partition may become, -1: any size
	err      error // the settings could not be read; the rest is unknown
}

func retentionOf(r kafka.ConfigsResult) retention {
	out := retention{err: r.Err, ms: -1, bytes: -1}
	for _, e := range r.Entries {
		switch e.Name {
		case "cleanup.policy":
			out.compacts, out.deletes = strings.Contains(e.Value, "compact"), strings.Contains(e.Value, "delete")
		case "retention.ms":
			out.ms = limit(e.Value)
		case "retention.bytes":
			out.bytes = limit(e.Value)
		}
	}
	return out
}

func limit(text string) int64 {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	return -1
}

// clocksDiffer is how far clocks may be apart without a record counting as
// deleted before its time.
const clocksDiffer = time.Minute

// before is the timestamp before which records are deleted by their age; false:
// none is.
func (r retention) before(now time.Time) (ms int64, ok bool) {
	ms = now.Add(clocksDiffer).UnixMilli() - r.ms
	return ms, r.deletes && r.ms >= 0 && ms >= 0
}

// bySize reports whether records are deleted because of a partition's size.
func (r retention) bySize() bool { return r.deletes && r.bytes >= 0 }

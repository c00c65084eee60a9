package verify

import (
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
	k := kafka.RetentionOf(r.Entries)
	return retention{
		compacts: strings.Contains(k.Policy, "compact"), deletes: strings.Contains(k.Policy, "delete"), ms: k.Ms, bytes: k.Bytes, err: r.Err,
	}
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

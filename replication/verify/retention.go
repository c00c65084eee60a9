package verify

import (
	"math"
	"strings"
	"time"

	"sluice/kafka"
)

// retention is how a topic loses records, by its settings in effect.
type retention struct {
	compacts bool
	deletes  bool
	ms       int64 // how old records may become, -1: any age
	tombs    int64 // ms that a tombstone stays, -1: not known
	bytes    int64 // how large a partition may become, -1: any size
	err      error // the settings could not be read; the rest is unknown
}

func retentionOf(r kafka.ConfigsResult) retention {
	k := kafka.RetentionOf(r.Entries)
	return retention{
		compacts: strings.Contains(k.Policy, "compact"), deletes: strings.Contains(k.Policy, "delete"), ms: k.Ms, bytes: k.Bytes, tombs: k.TombstoneMs, err: r.Err,
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

// expired is the timestamp before which a cleaner may have removed tombstones by
// now. It counts from when it first met them, so what is younger is still there.
func (r retention) expired(now time.Time) int64 {
	if r.tombs < 0 {
		return math.MaxInt64
	}
	return now.Add(clocksDiffer).UnixMilli() - r.tombs
}

// bySize reports whether records are deleted because of a partition's size.
func (r retention) bySize() bool { return r.deletes && r.bytes >= 0 }

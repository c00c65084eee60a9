package verify

import (
	"fmt"
	"strings"
)

// item is a record as far as comparison needs it: digests stand for bytes.
type item struct {
	offset              int64
	timestamp           int64 // ms since 1970
	key, value, headers uint64
}

// same reports whether two records are equal in all but their offsets.
func (a item) same(b item) bool {
	return a.timestamp == b.timestamp && a.key == b.key && a.value == b.value && a.headers == b.headers
}

// differences names what is not equal.
func (a item) differences(b item) string {
	var out []string
	for _, f := range []struct {
		name string
		same bool
	}{{"key", a.key == b.key}, {"value", a.value == b.value}, {"headers", a.headers == b.headers}} {
		if !f.same {
			out = append(out, f.name)
		}
	}
	if a.timestamp != b.timestamp {
		out = append(out, fmt.Sprintf("timestamp (%d at the source, %d at the target)", a.timestamp, b.timestamp))
	}
	return strings.Join(out, ", ")
}

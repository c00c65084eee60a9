package filter

import (
	"encoding/binary"

	"sluice/kafka/record"
)

// headers says what becomes of headers, by their names. A name that is there
// several times is treated each time.
type headers struct {
	drop map[string]bool
	to   map[string]string
}

// change gives the headers as they are to be copied, encoded as in a batch
// (record.Record.RawHeaders), appended to dst; false: as they are.
func (h *headers) change(r *record.Record, dst []byte) (raw []byte, count int, changed bool) {
	if !h.concerns(r) {
		return r.RawHeaders, r.HeaderCount, false
	}
	for name, value := range r.Headers() {
		if h.drop[string(name)] {
			continue
		}
		if to, ok := h.to[string(name)]; ok {
			name = []byte(to)
		}
		dst = append(binary.AppendVarint(dst, int64(len(name))), name...)
		if value == nil {
			dst = binary.AppendVarint(dst, -1)
		} else {
			dst = append(binary.AppendVarint(dst, int64(len(value))), value...)
		}
		count++
	}
	return dst, count, true
}

// concerns reports whether a header of the record is dropped or renamed.
func (h *headers) concerns(r *record.Record) bool {
	if len(h.drop)+len(h.to) == 0 {
		return false
	}
	for name := range r.Headers() {
		if _, ok := h.to[string(name)]; ok || h.drop[string(name)] {
			return true
		}
	}
	return false
}

// add notes what is said of a header; false: something was said of it before.
func (h *headers) add(name, to string, drop bool) bool {
	if _, ok := h.to[name]; ok || h.drop[name] {
		return false
	}
	if drop {
		h.drop[name] = true
	} else {
		h.to[name] = to
	}
	return true
}

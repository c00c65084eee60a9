package filter

import (
	"encoding/hex"
	"hash"
	"slices"
)

// fields are the paths to what is masked or hashed.
type fields struct {
	steps  []step  // of all paths, one path after the other
	starts []int32 // where each path begins
	secret []byte
}

func (f *fields) add(path []step) {
	f.starts = append(f.starts, int32(len(f.steps)))
	f.steps = append(f.steps, path...)
}

// treatment is what becomes of a value.
type treatment uint8

const (
	asItIs treatment = iota
	hashed
	masked // the strongest
)

// masking is one value under way. Arrays are gone through: what is said of a
// field is said of each element. What is not treated stays as the bytes it is.
type masking struct {
	text
	*fields
	mac  hash.Hash
	out  []byte  // the changed value up to done
	done int     // of the value
	room int     // bytes that out may take
	full bool    // it may not take what is needed
	live []int32 // steps that the next name may be, a stack of sets
	tmp  []byte
}

// value treats the value that comes next, in which the next name may be one of
// live[from:].
func (m *masking) value(from int, t treatment) {
	switch c := m.kind(); c {
	case '{':
		if t == masked {
			begin := m.at
			m.skip()
			m.replace(begin, m.at, "{}")
			return
		}
		for more := m.open('}'); more; more = m.next('}') {
			m.member(from, t)
		}
	case '[':
		for more := m.open(']'); more; more = m.next(']') {
			m.value(from, t)
		}
	case '"':
		begin := m.at
		raw, escaped := m.string()
		if t == hashed && escaped {
			m.tmp = unescape(m.tmp[:0], raw)
			raw = m.tmp
		}
		m.scalarAs(t, begin, raw, `"***"`)
	case 0:
	default:
		begin := m.at
		m.scalar(c)
		switch raw := m.b[begin:m.at]; c {
		case '0':
			m.scalarAs(t, begin, raw, "0")
		case 't', 'f':
			m.scalarAs(t, begin, raw, "false")
		}
	}
}

// member treats one member of an object.
func (m *masking) member(from int, t treatment) {
	name, escaped := m.name()
	if m.why != "" {
		return
	}
	if escaped {
		m.tmp = unescape(m.tmp[:0], name)
		name = m.tmp
	}
	below := len(m.live)
	for _, i := range m.live[from:below] {
		s := &m.steps[i]
		if s.deep {
			m.follow(below, i)
		}
		switch {
		case !s.is(name):
		case !s.last:
			m.follow(below, i+1)
		case s.hash:
			t = max(t, hashed)
		default:
			t = masked
		}
	}
	if t == asItIs && len(m.live) == below {
		m.skip()
	} else {
		m.value(below, t)
	}
	m.live = m.live[:below]
}

// follow adds a step to the set that is on top.
func (m *masking) follow(below int, i int32) {
	if !slices.Contains(m.live[below:], i) {
		m.live = append(m.live, i)
	}
}

// scalarAs treats a scalar that begins there and has been passed; raw is what it
// stands for.
func (m *masking) scalarAs(t treatment, begin int, raw []byte, mask string) {
	switch {
	case m.why != "" || t == asItIs:
	case t == masked:
		m.replace(begin, m.at, mask)
	default:
		m.mac.Reset()
		_, _ = m.mac.Write(raw) // never fails
		m.tmp = m.mac.Sum(m.tmp[:0])
		m.grow(begin, 2+hex.EncodedLen(len(m.tmp)))
		m.out = append(m.out, '"')
		m.out = hex.AppendEncode(m.out, m.tmp)
		m.out = append(m.out, '"')
		m.done = m.at
	}
}

// replace has something else in the place of [begin, end).
func (m *masking) replace(begin, end int, by string) {
	if m.why != "" {
		return
	}
	m.grow(begin, len(by))
	m.out, m.done = append(m.out, by...), end
}

// grow adds what stands before begin, and makes sure that n bytes and the rest
// of the value may follow.
func (m *masking) grow(begin, n int) {
	if len(m.out)+len(m.b)-m.done+n > m.room {
		m.full = true
		m.fail("the changed value takes too much room")
		return
	}
	m.out = append(m.out, m.b[m.done:begin]...)
}

// changed is the value as it is to be copied, after all of it was treated.
func (m *masking) changed() []byte {
	if m.done == 0 {
		return m.b
	}
	m.out = append(m.out, m.b[m.done:]...)
	return m.out
}

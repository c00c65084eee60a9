package filter

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep a value may be nested.
const maxDepth = 500

// text is a JSON text (RFC 8259) that is read from its begin to its end. After
// something that is none, why is set, and every further step fails.
type text struct {
	b    []byte
	at   int
	deep int
	why  string
}

// checkJSON says what keeps the bytes from being one JSON text; empty: nothing.
func checkJSON(b []byte) string {
	t := text{b: b}
	t.skip()
	return t.end()
}

// end says what is wrong with a text of which everything was read.
func (t *text) end() string {
	if t.space(); t.why == "" && t.at < len(t.b) {
		t.fail("something follows the value")
	}
	return t.why
}

// fail notes what is wrong, by its place: the bytes themselves are not shown.
func (t *text) fail(what string) {
	if t.why == "" {
		t.why = fmt.Sprintf("%s at byte %d", what, t.at)
	}
}

// space passes what may stand between tokens.
func (t *text) space() {
	for t.at < len(t.b) {
		switch t.b[t.at] {
		case ' ', '\t', '\n', '\r':
			t.at++
		default:
			return
		}
	}
}

// kind goes to where the next value begins and gives its first byte, '0' for any
// number; 0: there is none.
func (t *text) kind() byte {
	t.space()
	if t.why != "" {
		return 0
	}
	if t.at == len(t.b) {
		t.fail("it ends where a value should be")
		return 0
	}
	switch c := t.b[t.at]; {
	case c == '-' || c >= '0' && c <= '9':
		return '0'
	case c == '{' || c == '[' || c == '"' || c == 't' || c == 'f' || c == 'n':
		return c
	}
	t.fail("no value begins")
	return 0
}

// skip passes one value.
func (t *text) skip() {
	switch c := t.kind(); c {
	case '{':
		for more := t.open('}'); more; more = t.next('}') {
			t.name()
			t.skip()
		}
	case '[':
		for more := t.open(']'); more; more = t.next(']') {
			t.skip()
		}
	case '"':
		t.string()
	case 0:
	default:
		t.scalar(c)
	}
}

// open enters an object or array that ends with the bracket; false: it is
// empty.
func (t *text) open(bracket byte) bool {
	if t.deep++; t.deep > maxDepth {
		t.fail(fmt.Sprintf("nested deeper than %d levels", maxDepth))
		return false
	}
	t.at++
	if t.space(); t.at < len(t.b) && t.b[t.at] == bracket {
		t.at++
		t.deep--
		return false
	}
	return true
}

// next goes to the next member or element; false: there is none any more.
func (t *text) next(bracket byte) bool {
	if t.space(); t.why != "" {
		return false
	}
	switch {
	case t.at == len(t.b):
		t.fail("it ends within an object or array")
	case t.b[t.at] == ',':
		t.at++
		return true
	case t.b[t.at] == bracket:
		t.at++
		t.deep--
	default:
		t.fail("neither a comma nor an end")
	}
	return false
}

// name passes the name of a member and its colon; as it was written, without
// quotes, and whether there are escapes in it.
func (t *text) name() (raw []byte, escaped bool) {
	if t.space(); t.why != "" {
		return nil, false
	}
	if t.at == len(t.b) || t.b[t.at] != '"' {
		t.fail("no member begins")
		return nil, false
	}
	raw, escaped = t.string()
	if t.space(); t.why != "" {
		return nil, false
	}
	if t.at == len(t.b) || t.b[t.at] != ':' {
		t.fail("no colon behind a name")
		return nil, false
	}
	t.at++
	return raw, escaped
}

// string passes a string, as name does.
func (t *text) string() (raw []byte, escaped bool) {
	begin, wide := t.at+1, false
	for i := begin; i < len(t.b); i++ {
		switch c := t.b[i]; {
		case c == '"':
			raw = t.b[begin:i]
			if wide && !utf8.Valid(raw) {
				t.fail("a string that is not UTF-8")
				return nil, false
			}
			t.at = i + 1
			return raw, escaped
		case c == '\\':
			n := escapeSize(t.b[i:])
			if n == 0 {
				t.at = i
				t.fail("a wrong escape")
				return nil, false
			}
			escaped = true
			i += n - 1
		case c < ' ':
			t.at = i
			t.fail("a control character in a string")
			return nil, false
		case c >= utf8.RuneSelf:
			wide = true
		}
	}
	t.fail("a string without an end")
	return nil, false
}

// escapeSize is how many bytes the escape takes that b begins with, 0: it is
// none.
func escapeSize(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return 0
}

// scalar passes a number or one of the words true, false, null.
func (t *text) scalar(first byte) {
	rest, n := t.b[t.at:], 0
	switch first {
	case '0':
		n = numberSize(rest)
	case 't':
		n = wordSize(rest, "true")
	case 'f':
		n = wordSize(rest, "false")
	case 'n':
		n = wordSize(rest, "null")
	}
	if n == 0 {
		t.fail("no value")
	}
	t.at += n
}

func wordSize(b []byte, word string) int {
	if len(b) >= len(word) && string(b[:len(word)]) == word {
		return len(word)
	}
	return 0
}

// numberSize is how many bytes the number takes that b begins with, 0: it is
// none.
func numberSize(b []byte) int {
	i := 0
	digits := func() bool {
		begin := i
		for i < len(b) && b[i] >= '0' && b[i] <= '9' {
			i++
		}
		return i > begin
	}
	if i < len(b) && b[i] == '-' {
		i++
	}
	if begin := i; !digits() || b[begin] == '0' && i > begin+1 {
		return 0
	}
	if i < len(b) && b[i] == '.' {
		if i++; !digits() {
			return 0
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return 0
		}
	}
	return i
}

// unescape appends what a string stands for. A half of a surrogate pair that
// stands alone is U+FFFD.
func unescape(dst, raw []byte) []byte {
	for len(raw) > 0 {
		if raw[0] != '\\' {
			dst, raw = append(dst, raw[0]), raw[1:]
			continue
		}
		c := raw[1]
		if c != 'u' {
			dst, raw = append(dst, plain(c)), raw[2:]
			continue
		}
		r, _ := hex4(raw[2:])
		raw = raw[6:]
		if utf16.IsSurrogate(r) {
			pair := rune(utf8.RuneError)
			if len(raw) >= 6 && raw[0] == '\\' && raw[1] == 'u' {
				low, _ := hex4(raw[2:])
				pair = utf16.DecodeRune(r, low)
			}
			if r = pair; pair != utf8.RuneError {
				raw = raw[6:]
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// plain is what an escape of one letter stands for.
func plain(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// hex4 reads the four digits of a \u escape.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

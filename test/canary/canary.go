// Package canary makes texts that stand for secrets, and finds them again in
// whatever a program leaves: as they are, or in a coding that a program may have
// written them in. It knows nothing of where secrets are given and looked for.
package canary

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// Flock is the canaries of one test, each given in one place.
type Flock struct {
	forms []form
	names []string
}

// form is how a piece of a canary may be written.
type form struct {
	place, as string
	bytes     []byte
}

// New makes up a secret for a place. What YAML, JSON and URLs escape stands
// between two halves of letters and digits, which none of them does: either half
// is looked for.
func (f *Flock) New(place string) string {
	a, b := rand.Text()[:half], strings.ToLower(rand.Text()[:half])
	f.piece(place, []byte(a))
	f.piece(place, []byte(b))
	f.names = append(f.names, place)
	return a + "/+%&~=" + b
}

// half is how many letters half a canary has: none is met by chance.
const half = 18

// Add takes a secret that somebody else has made: a token, or a key as PEM.
func (f *Flock) Add(place string, secret []byte) error {
	f.names = append(f.names, place)
	block, _ := pem.Decode(secret)
	if block == nil {
		if len(secret) < half {
			return fmt.Errorf("%s: %d bytes are too few to look for", place, len(secret))
		}
		f.piece(place, secret)
		return nil
	}
	// The first bytes are the same in all keys of a kind, and the last ones of an
	// elliptic curve's are the public key.
	begin := max(0, min(len(block.Bytes)/4, len(block.Bytes)-half))
	f.piece(place, block.Bytes[begin:begin+half])
	line := bytes.Split(secret, []byte("\n"))[1]
	if len(line) < 4*half/2 {
		return fmt.Errorf("%s: a key of %d bytes is too short to look for", place, len(block.Bytes))
	}
	f.piece(place, line[len(line)-half:])
	return nil
}

// Places are where canaries were given.
func (f *Flock) Places() []string { return f.names }

// piece looks for b from now on, in every form.
func (f *Flock) piece(place string, b []byte) {
	add := func(as string, b []byte) { f.forms = append(f.forms, form{place, as, b}) }
	add("as it is", b)
	add("in hex", []byte(hex.EncodeToString(b)))
	add("in hex", []byte(strings.ToUpper(hex.EncodeToString(b))))
	for _, at := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
		for before := range 3 { // bytes, of those that share a group of letters
			add("in base64", inside64(at, b, before))
		}
	}
	wide := utf16.Encode([]rune(string(b)))
	little, big := make([]byte, 0, 2*len(wide)), make([]byte, 0, 2*len(wide))
	for _, c := range wide {
		little, big = append(little, byte(c), byte(c>>8)), append(big, byte(c>>8), byte(c))
	}
	add("in UTF-16", little)
	add("in UTF-16", big)
}

// inside64 is what b is written as in base64 behind so many other bytes and
// before others, without the letters at its ends that hold some of these.
func inside64(at *base64.Encoding, b []byte, before int) []byte {
	text := at.EncodeToString(append(make([]byte, before), b...))
	return []byte(text[(8*before+5)/6 : 8*(before+len(b))/6])
}

// In tells which canaries stand in b, and in which form.
func (f *Flock) In(b []byte) []string {
	var out []string
	for _, x := range f.forms {
		if !bytes.Contains(b, x.bytes) {
			continue
		}
		if text := x.place + ", " + x.as; !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

package manifest

import (
	"strings"
	"testing"
)

func TestCheckAddress(t *testing.T) {
	for address, want := range map[string]string{
		"k1.example:9092":      "",
		"k1:1":                 "",
		"[::1]:65535":          "",
		"10.0.0.1:9092":        "",
		"":                     "is empty",
		"k1":                   "is not host:port",
		"k1:0":                 "a number from 1 to 65535",
		"k1:65536":             "a number from 1 to 65535",
		"k1:-1":                "a number from 1 to 65535",
		":9092":                "the host is missing",
		"k 1:9092":             `no host is called "k 1"`,
		"user:pw@k1:9092":      "holds a user or a password before an @; write host:port alone",
		"::1":                  "IPv6 is written in brackets",
		"2001:db8::1:9092":     "IPv6 is written in brackets",
		"https://k1:9092":      `leave https:// out, as in "k1:9092"`,
		"k1:9092,k2:9092":      "several are items of a list",
		"k1:9092/path":         "a number from 1 to 65535",
		strings.Repeat(":", 9): "is not host:port",
	} {
		if err := CheckAddress(address); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", address, err, want)
		}
	}
}

// TestBytesThatAreNoText are told of with their place, in lines and letters.
func TestBytesThatAreNoText(t *testing.T) {
	for text, want := range map[string]string{
		"a: b\nc: \xe4\xb8\xad\xff\n": "f:2:5: not UTF-8: the byte 0xff",
		"\xff\xfea":                   "f:1:1: not UTF-8",
		"a: \x00":                     "f:1:4: a zero byte",
	} {
		if _, err := Documents("f", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

package arch

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// private are patterns of one machine's paths and of registries: a checkout
// must build anywhere, from wherever its reader gets modules and jars. They
// are written so that they do not match themselves.
var private = []*regexp.Regexp{
	regexp.MustCompile(`(^|[^\w.-])/(work|root)/`),
	regexp.MustCompile(`(^|[^\w.-])/home/[a-z]`),
	regexp.MustCompile(`(proxy|sum)[.]golang[.]`),
	regexp.MustCompile(`repo1?[.]maven[.]`),
	regexp.MustCompile(`registry[.](npmjs|yarnpkg)`),
	regexp.MustCompile(`/tmp/(brief|bash)`),
}

func checkWords(name string, text []byte) []string {
	if bytes.IndexByte(text, 0) >= 0 {
		return nil // not text
	}
	var out []string
	n := 0
	for line := range bytes.Lines(text) {
		n++
		for _, p := range private {
			if p.Match(line) {
				out = append(out, fmt.Sprintf("%s:%d: %q is one machine's", name, n, p.Find(line)))
			}
		}
	}
	return out
}

func TestWords(t *testing.T) {
	var out []string
	for _, name := range tracked(t) {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, checkWords(name, text)...)
	}
	report(t, out)
}

func TestWordsCheckSees(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{
		{"see /wo" + "rk/main", 1},
		{"/ro" + "ot/go/pkg", 1},
		{"GOPROXY=https://proxy." + "golang.org", 1},
		{"https://repo1." + "maven.org/maven2", 1},
		{"/ho" + "me/someone", 1},
		{"sluice/balance/work/plan.go", 0},
		{"the root of the /v1/work list", 0},
		{"a\x00/wo" + "rk/", 0},
	} {
		if out := checkWords("x", []byte(c.text)); len(out) != c.want {
			t.Errorf("%q: %q, want %d findings", c.text, out, c.want)
		}
	}
}

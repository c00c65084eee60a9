package manifest

import (
	"fmt"
	"regexp/syntax"
	"strings"
)

// What one apply may hold, so that reading it needs no more than a second or
// two and some hundred megabytes, whatever stands in it.
const (
	// MaxText is of all texts together, in bytes: 2 MiB.
	MaxText = 2 << 20
	// MaxObjects is how many objects they may hold.
	MaxObjects = 2000
	// maxErrors is how many faults are shown; the others are counted.
	maxErrors = 20
	// maxMessage is how many bytes of a message are shown.
	maxMessage = 600
	// maxDepth is how deep lists and keys may lie within one another on a line
	// or within brackets. goccy/go-yaml v1.19.2 needs time and memory by the
	// square of it: 400 kB of brackets take gigabytes.
	maxDepth = 64
	// maxKeys is how many keys one document may have, and maxAnchors how many
	// anchors, for the same reason: 256 kB of keys take 3 s and 3 GB. No object
	// has a tenth of them. A colon within a list in brackets counts as one.
	maxKeys, maxAnchors = 1000, 100
	// maxPattern is how large one topic pattern may be, maxPatterns all of
	// them, counted in steps of what the regular expression compiles to.
	maxPattern, maxPatterns = 5_000, 200_000
	// maxExpressions is how large the expressions of all filters together may be, in
	// bytes: a compiler of theirs takes some microseconds for each.
	maxExpressions = 200_000
	// maxMatching bounds the comparing of links with one another: steps of
	// patterns times letters of topic names.
	maxMatching = 200_000_000
)

// patternSize is about how many steps a topic pattern compiles to. Counted
// repeats are what makes a short text large: "x{1000}".
func patternSize(text string) int {
	inner, ok := strings.CutPrefix(text, "/")
	if !ok || !strings.HasSuffix(inner, "/") {
		return len(text)
	}
	re, err := syntax.Parse(strings.TrimSuffix(inner, "/"), syntax.Perl)
	if err != nil {
		return len(text) // said with the reason where it is compiled
	}
	return stepsOf(re)
}

func stepsOf(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		n += stepsOf(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return n
}

// shorten keeps the beginning and the end of a message that quotes too much.
func shorten(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	const end = maxMessage / 3
	return fmt.Sprintf("%s [...] %s", strings.ToValidUTF8(message[:maxMessage-end], ""), strings.ToValidUTF8(message[len(message)-end:], ""))
}

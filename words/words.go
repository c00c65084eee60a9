// Package words owns how messages for people count things: "1 topic",
// "2 topics". It knows nothing of what is counted.
package words

import (
	"strconv"
	"strings"
)

// integer is what things are counted in.
type integer interface{ ~int | ~int32 | ~int64 }

// Count writes a number of things; what is one of them: "topic", "more task".
func Count[N integer](n N, what string) string {
	return strconv.FormatInt(int64(n), 10) + " " + Several(n, what)
}

// Several writes the word alone, as it stands behind the number.
func Several[N integer](n N, what string) string {
	if n == 1 || what == "" {
		return what
	}
	before, last := what[:len(what)-1], what[len(what)-1]
	switch {
	case last == 'y' && !strings.ContainsAny(before[max(0, len(before)-1):], "aeiou"):
		return before + "ies"
	case last == 's' || last == 'x' || strings.HasSuffix(what, "ch") || strings.HasSuffix(what, "sh"):
		return what + "es"
	}
	return what + "s"
}

// Verb is the form of a verb that goes with the number: Verb(n, "is", "are").
func Verb[N integer](n N, one, several string) string {
	if n == 1 {
		return one
	}
	return several
}

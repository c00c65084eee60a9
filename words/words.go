// Package words owns how messages for people count and list things: "1 topic",
// "2 topics", "topics a, b". It knows nothing of what is counted.
package words

import (
	"fmt"
	"strings"
)

// integer is what things are counted in.
type integer interface {
	~int | ~int32 | ~int64 | ~uint64
}

// Count writes a number of things; what is one of them: "topic", "more task".
func Count[N integer](n N, what string) string {
	return fmt.Sprintf("%d %s", n, Several(n, what))
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

// listed is how many of many things a message names.
const listed = 5

// List names the first of many things: "a, b", or "a, b, c, d, e and 2 more".
func List[T any](things []T) string { return ListOf(things, len(things)) }

// ListOf is List where all counts more things than are given.
func ListOf[T any](things []T, all int) string {
	var b strings.Builder
	shown := min(len(things), listed)
	for i, x := range things[:shown] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, x)
	}
	if more := all - shown; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}

// Named says what is listed too: "topic a", "topics a, b"; what is one of them.
func Named[T any](what string, things []T) string {
	return Several(len(things), what) + " " + List(things)
}

package manifest

import (
	"fmt"
	"slices"
	"strings"
)

// suggest words the end of an error about an unknown word: the nearest known
// one, or else all of them.
func suggest(word string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	const longest, most = 64, 15 // of a word that may be misspelt, and of the known ones to list
	best, at := "", len(word)/3+2
	if len(word) > longest {
		at = 0
	}
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < at {
			best, at = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	sorted := slices.Sorted(slices.Values(known))
	if more := len(sorted) - most; more > 0 {
		sorted = append(sorted[:most], fmt.Sprintf("and %d more", more))
	}
	return "; known: " + strings.Join(sorted, ", ")
}

// distance is the number of letters to insert, delete, change or swap with
// their neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// DidYouMean words the end of an error about an unknown word: the known one
// that is near it, or nothing.
func DidYouMean(word string, known ...string) string {
	if s := suggest(word, known); strings.HasPrefix(s, "; did you mean") {
		return s
	}
	return ""
}

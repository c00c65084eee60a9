package manifest

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"
)

// plainSyntax gives in plain words, with what to do, what the YAML parser
// (goccy/go-yaml v1.19.2) says.
func plainSyntax(message string) string {
	if m := regexp.MustCompile(`^mapping key "(.*)" already defined at \[(\d+):\d+\]$`).FindStringSubmatch(message); m != nil {
		return `the key "` + m[1] + `" stands already in line ` + m[2] + `; take one of them out`
	}
	for _, x := range []struct{ has, plain string }{
		{`'	' that cannot start any token`, "a tab; YAML is indented with spaces"},
		{"end character of double-quoted text", `a quote " is opened here and not closed`},
		{"end character of single-quoted text", `a quote ' is opened here and not closed`},
		{"',' or ']' must be specified", "a bracket [ is not closed, or a comma is missing"},
		{"sequence end token ']' not found", "a bracket [ is not closed"},
		{"',' or '}' must be specified", "a brace { is not closed, or a comma is missing"},
		{"mapping end token '}' not found", "a brace { is not closed"},
		{"could not find flow map content", `a brace { that holds no "key: value", or is not closed; put text with braces in quotes`},
		{"unexpected key name", `a line that is no "key: value"; a space stands behind the colon`},
		{"mapping value is not allowed in this context", `a "key: value" where none can stand; is this line, or the one below it, indented like its neighbours?`},
		{"invalid tag", "text that begins with ! stands in quotes"},
		{"invalid header option", "text that begins with | or > stands in quotes"},
		{"unexpected scalar value type", "something is missing or stands once too often here, perhaps a comma"},
	} {
		if strings.Contains(message, x.has) {
			return "not YAML: " + x.plain
		}
	}
	// What it quotes is of the text, where a secret may stand.
	return "not YAML: " + regexp.MustCompile(`"[^"]*"?`).ReplaceAllString(message, "...")
}

// readable refuses bytes that are no text, at their place.
func readable(file string, text []byte) error {
	for i, line := 0, 1; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return oneError(placeOf(file, text, i, line), "not UTF-8: the byte 0x%02x; save the file as UTF-8", text[i])
		case r == 0:
			return oneError(placeOf(file, text, i, line), "a zero byte, which no text holds; is this a YAML file, saved as UTF-8?")
		case r == '\n':
			line++
		}
		i += n
	}
	return nil
}

func placeOf(file string, text []byte, at, line int) Pos {
	begin := bytes.LastIndexByte(text[:at], '\n') + 1
	return Pos{file, line, utf8.RuneCount(text[begin:at]) + 1}
}

package arch

import (
	"flag"
	"go/ast"
	"go/token"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

var update = flag.Bool("update", false, "write the list of messages anew")

const messagesFile = "testdata/messages.golden"

// TestMessages: everything that the program can say to a person stands in one
// file, so that a change of it is read before it is made. Whoever adds a line
// asks of it: does it say what, where and why, and what to do, in words that an
// operator knows who has never seen the code? Does it name nodes, links and
// Kafka clusters by their names? Is it right for one thing and for two (package
// words)?
func TestMessages(t *testing.T) {
	text := listed(messages(sources(t)))
	if *update {
		if err := os.WriteFile(messagesFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(messagesFile)
	if err != nil {
		t.Fatal(err)
	}
	is, was := lines(text), lines(string(want))
	for line := range is {
		if !was[line] {
			t.Errorf("new: %s", line)
		}
	}
	for line := range was {
		if !is[line] {
			t.Errorf("gone: %s", line)
		}
	}
	if text != string(want) {
		t.Errorf("read the messages above, then: go test ./test/arch -run TestMessages -update")
	}
}

// messages are what people may read, by folder: every text of more than one
// word in what is shipped. That takes in some that nobody sees, and leaves out
// none: a list of the ways that lead to a person would soon lack one.
func messages(all []*source) map[string][]string {
	out := map[string][]string{}
	for _, s := range all {
		if s.test() || within(s.folder(), "test") || within(s.folder(), "api/apitest") {
			continue
		}
		var look func(ast.Node) bool
		look = func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.Field:
				return n.Tag == nil // a tag is shown in the reference
			case *ast.BasicLit, *ast.BinaryExpr:
				text, ok := textOf(n.(ast.Expr), func(e ast.Expr) { ast.Inspect(e, look) })
				if ok && said(text) {
					out[s.folder()] = append(out[s.folder()], text)
				}
				return !ok
			}
			return true
		}
		ast.Inspect(s.file, look)
	}
	return out
}

// textOf is the text that an expression gives, with {} for each part that is
// not known before it runs, of which it tells; false: it is no text.
func textOf(e ast.Expr, unknown func(ast.Expr)) (string, bool) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return textOf(e.X, unknown)
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, err := strconv.Unquote(e.Value)
			return text, err == nil
		}
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			break
		}
		x, left := textOf(e.X, unknown)
		y, right := textOf(e.Y, unknown)
		switch {
		case !left && !right:
			return "", false
		case !left:
			x = "{}"
			unknown(e.X)
		case !right:
			y = "{}"
			unknown(e.Y)
		}
		return x + y, true
	}
	return "", false
}

// said reports whether a text has words: a letter and a space, apart from
// what it is filled in with.
func said(text string) bool {
	if !strings.Contains(strings.Trim(text, " \n"), " ") {
		return false
	}
	for i, r := range text {
		if unicode.IsLetter(r) && (i == 0 || !strings.ContainsRune("%.0123456789+-#*[]", rune(text[i-1]))) {
			return true
		}
	}
	return false
}

// listed writes the messages by folder, each once.
func listed(all map[string][]string) string {
	var b strings.Builder
	for _, folder := range slices.Sorted(maps.Keys(all)) {
		b.WriteString("# " + folder + "\n")
		for _, text := range slices.Compact(slices.Sorted(slices.Values(all[folder]))) {
			b.WriteString(folder + ": " + strings.NewReplacer("\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(text) + "\n")
		}
	}
	return b.String()
}

func lines(text string) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(text) {
		out[strings.TrimSuffix(line, "\n")] = true
	}
	return out
}

func TestMessagesCheckSees(t *testing.T) {
	got := listed(messages([]*source{parse(t, "p/a.go", `package p
import "a b"
type t struct {
	x int `+"`doc:\"a tag\"`"+`
}
const one = "a constant"
func f(err error) {
	fail("cannot " + verb + " it: %w", err)
	log.Warn("no way", "key", 1)
	x := "word" + "%s %d"
	_ = func() string { return "within " + ("a function" + name(" called here")) }
}
`), parse(t, "p/a_test.go", "package p\nconst x = \"of a test\"\n"), parse(t, "test/x/a.go", "package x\nconst x = \"of a test\"\n")}))
	want := "# p\np:  called here\np: a constant\np: cannot {} it: %w\np: no way\np: within a function{}\np: word%s %d\n"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

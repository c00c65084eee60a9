package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

var (
	shownFence = regexp.MustCompile("^ *```")
	shownSpan  = regexp.MustCompile("`((?:\\./bin/|/usr/local/bin/)?sluice [^`]+)`")
	shownLine  = regexp.MustCompile(`^(?:sudo -u \w+ )?((?:\./bin/|/usr/local/bin/)?sluice .*)`)
)

// shownCommand is a command line that somebody is told to type.
type shownCommand struct {
	text  string
	whole bool // on a line of its own: it is typed as it stands
}

// commandsOf finds the command lines of a text: in code blocks on lines of their
// own, elsewhere in backquotes.
func commandsOf(text string) []shownCommand {
	var out []shownCommand
	fenced := false
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		switch m := shownLine.FindStringSubmatch(strings.TrimSpace(line)); {
		case shownFence.MatchString(line):
			fenced = !fenced
		case fenced && m != nil:
			out = append(out, shownCommand{m[1], !strings.Contains(m[1], "[flags]")})
		case !fenced:
			for _, m := range shownSpan.FindAllStringSubmatch(line, -1) {
				out = append(out, shownCommand{text: m[1]})
			}
		}
	}
	return out
}

// variants are what a line with alternatives stands for: a|b, once each.
func variants(words []string) [][]string {
	for i, w := range words {
		if all := strings.Split(w, "|"); len(all) > 1 {
			var out [][]string
			for _, one := range all {
				rest := append(append([]string{}, words[:i]...), one)
				out = append(out, variants(append(rest, words[i+1:]...))...)
			}
			return out
		}
	}
	return [][]string{words}
}

// understood tells why the command line would be refused; nil: it is not.
func understood(c shownCommand) error {
	text, _, _ := strings.Cut(c.text, " #")
	text, _, _ = strings.Cut(text, " >")
	text, _, _ = strings.Cut(text, " | ")
	for _, words := range variants(strings.Fields(strings.NewReplacer(`"`, "", "'", "", "...", "", "[flags]", "").Replace(text))[1:]) {
		root := rootCmd(&app{local: testLocal(), std: streams{Env: Env{Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }}}})
		cmd, rest, err := root.Find(words)
		if err != nil {
			return err
		}
		err = cmd.ParseFlags(rest)
		if need := (*pflag.ValueRequiredError)(nil); err != nil && (c.whole || !errors.As(err, &need)) {
			return err
		}
		switch args := cmd.Flags().Args(); {
		case cmd.HasSubCommands() && len(args) > 0, c.whole:
			if err := cmd.ValidateArgs(args); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestShownCommandsAreUnderstood: every command line that pages and messages
// tell somebody to type has verbs and flags that there are.
func TestShownCommandsAreUnderstood(t *testing.T) {
	const root = ".."
	names := []string{"README.md", "CONTRIBUTING.md", "test/arch/testdata/messages.golden"}
	pages, err := filepath.Glob(filepath.Join(root, "docs/*/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(pages, filepath.Join(root, "docs/architecture.md")) {
		name, _ := filepath.Rel(root, p)
		names = append(names, name)
	}
	found := 0
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commandsOf(string(text)) {
			found++
			if err := understood(c); err != nil {
				t.Errorf("%s: %s: %v", name, c.text, err)
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d command lines are found", found)
	}
}

func TestShownCommandsCheckSees(t *testing.T) {
	for _, text := range []string{"sluice link pase us", "sluice nope", "sluice status --wtch", "sluice link resolve us --continue|--recpy"} {
		if understood(commandsOf("so `" + text + "` does")[0]) == nil {
			t.Errorf("%s is understood", text)
		}
	}
	if c := commandsOf("```\nsluice link pause\n```\n")[0]; understood(c) == nil {
		t.Error("a line without the link that it needs is understood")
	}
}

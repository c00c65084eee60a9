package reason

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

//go:generate go test -run TestReferenceIsCurrent -update

var update = flag.Bool("update", false, "write the reference anew")

// heading says what each severity means.
func (s Severity) heading() string {
	switch s {
	case Good:
		return "All is well, or nothing is wrong that matters."
	case Told:
		return "It is so because somebody, or a link's policy, asked for it."
	case Working:
		return "It goes on by itself."
	case Waiting:
		return "Something is wrong. It is tried again by itself until it works."
	}
	return "The stream stands until somebody decides. Other streams go on."
}

// reference is the page about all codes.
func reference() string {
	var b strings.Builder
	b.WriteString("# Reason codes\n\n" +
		"<!-- Made from package fsm/reason: go generate ./fsm/reason -->\n\n" +
		"Every stream and every event names one of these. *Side* is where the cause lies, *who* makes it go on. A star at *who* means\n" +
		"that the link's `onLoss` policy, `continue` or `recopy`, does it in that person's place. LINK stands for the link's name;\n" +
		"`--topic` and `--partition` narrow a command down to one stream.\n")
	last := Severity(-1)
	for _, r := range All() {
		if r.Severity != last {
			last = r.Severity
			title := last.String()
			fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| code | side | who | what it means | what to do |\n|---|---|---|---|---|\n",
				strings.ToUpper(title[:1])+title[1:], last.heading())
		}
		who := string(r.Acts)
		if r.Policy {
			who += " *"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", r.Code, r.Side, who, r.Meaning, r.Advice)
	}
	return b.String()
}

func TestReferenceIsCurrent(t *testing.T) {
	path := filepath.Join(root, "docs/reference/reason-codes.md")
	if *update {
		if err := os.WriteFile(path, []byte(reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != reference() {
		t.Error("docs/reference/reason-codes.md is not what the table says: go generate ./fsm/reason")
	}
}

package arch

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// TestLinks: what a page points at is there, and the heading in it too.
func TestLinks(t *testing.T) {
	names := tracked(t)
	pages := map[string]page{}
	for _, name := range names {
		if strings.HasSuffix(name, ".md") {
			text, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			pages[name] = pageOf(string(text))
		}
	}
	if len(pages) < 10 {
		t.Fatalf("only %d pages found", len(pages))
	}
	report(t, checkLinks(pages, func(name string) bool {
		_, err := os.Stat(filepath.Join(root, name))
		return err == nil && slices.ContainsFunc(names, func(n string) bool { return within(n, name) })
	}))
}

// page is what links are about.
type page struct {
	anchors []string
	links   []link
}

type link struct {
	line   int
	target string
}

var (
	fence    = regexp.MustCompile("^ *(```|~~~)")
	heading  = regexp.MustCompile(`^ {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*$`)
	code     = regexp.MustCompile("``?[^`]*``?")
	linkText = regexp.MustCompile(`\[([^\[\]]*)\]\(([^)\s]*)[^)]*\)`)
)

func pageOf(text string) page {
	var p page
	seen := map[string]int{}
	fenced := false
	for n, line := range strings.Split(text, "\n") {
		if fence.MatchString(line) {
			fenced = !fenced
		}
		if fenced {
			continue
		}
		if h := heading.FindStringSubmatch(line); h != nil {
			slug := slugOf(h[1])
			p.anchors = append(p.anchors, slug)
			if before := seen[slug]; before > 0 {
				p.anchors[len(p.anchors)-1] = fmt.Sprintf("%s-%d", slug, before)
			}
			seen[slug]++
		}
		for _, m := range linkText.FindAllStringSubmatch(code.ReplaceAllString(line, "`"), -1) {
			p.links = append(p.links, link{n + 1, m[2]})
		}
	}
	return p
}

// slugOf is the anchor of a heading, as GitHub makes it: in small letters, of
// punctuation only hyphens and underscores, spaces become hyphens.
func slugOf(heading string) string {
	heading = linkText.ReplaceAllString(heading, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, heading)
}

// checkLinks finds links that lead nowhere; there says which files and folders
// there are.
func checkLinks(pages map[string]page, there func(name string) bool) []string {
	var out []string
	for name, p := range pages {
		for _, l := range p.links {
			if strings.Contains(l.target, "://") || strings.HasPrefix(l.target, "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(l.target, "#")
			to := name
			if file != "" {
				to = path.Join(path.Dir(name), file)
			}
			switch {
			case !there(to):
				out = append(out, fmt.Sprintf("%s:%d: there is no %s", name, l.line, to))
			case anchor != "" && !slices.Contains(pages[to].anchors, anchor):
				out = append(out, fmt.Sprintf("%s:%d: %s has no heading #%s; it has %s", name, l.line, to, anchor, strings.Join(pages[to].anchors, ", ")))
			}
		}
	}
	return out
}

func TestLinksCheckSees(t *testing.T) {
	pages := map[string]page{
		"a.md":   pageOf("# One `two`: three/four\n## Again\n## Again\n```\n# no heading\n[x](none.md)\n```\n"),
		"d/b.md": pageOf("[ok](../a.md) [ok](../a.md#one-two-threefour) [ok](../a.md#again-1) [ok](https://x/none) `[x](none.md)` [ok](../d) [ok](#here)\n# Here\n"),
	}
	there := func(name string) bool { return name == "a.md" || name == "d/b.md" || name == "d" }
	if out := checkLinks(pages, there); len(out) != 0 {
		t.Errorf("good: %q", out)
	}
	pages["d/c.md"] = pageOf("[x](none.md)\n[x](../a.md#no-heading) [x](../a.md#again-2)\n[x](#none)\n")
	if out := checkLinks(pages, func(name string) bool { return there(name) || name == "d/c.md" }); len(out) != 4 {
		t.Errorf("%q", out)
	}
}

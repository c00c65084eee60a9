package fsm

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Selector decides which topics a link copies. A pattern is an exact name, a
// "prefix*" (the star may stand anywhere, for any characters), or a "/regular
// expression/" that must match the whole name. Exclude wins over include.
// Topics of mirroring tools (see Internal) are selected by their exact name only,
// never by a star or an expression; those of Kafka (see Reserved) never.
type Selector struct {
	include, exclude []pattern
}

type pattern struct {
	name string         // exact
	re   *regexp.Regexp // of a star or an expression; nil: exact
}

func (p pattern) match(topic string) bool {
	if p.re != nil {
		return p.re.MatchString(topic)
	}
	return topic == p.name
}

// ParseSelector reads the patterns; the error names the faulty one.
func ParseSelector(include, exclude []string) (*Selector, error) {
	s := &Selector{}
	for _, set := range []struct {
		texts []string
		to    *[]pattern
	}{{include, &s.include}, {exclude, &s.exclude}} {
		for _, text := range set.texts {
			p, err := parsePattern(text)
			if err != nil {
				return nil, fmt.Errorf("topic pattern %q: %w", text, err)
			}
			*set.to = append(*set.to, p)
		}
	}
	return s, nil
}

func parsePattern(text string) (pattern, error) {
	switch {
	case len(text) > 1 && text[0] == '/' && text[len(text)-1] == '/':
		inner := text[1 : len(text)-1]
		if _, err := regexp.Compile(inner); err != nil { // by itself: "a)|(b" would fit between the anchors
			return pattern{}, err
		}
		re, err := regexp.Compile("^(?:" + inner + ")$")
		return pattern{re: re}, err
	case strings.Contains(text, "*"):
		rest := strings.ReplaceAll(text, "*", "")
		if rest != "" && rest != "." && rest != ".." && !ValidTopic(rest) {
			return pattern{}, fmt.Errorf("beside its '*' it has only letters, digits, '.', '_' and '-'")
		}
		re, err := regexp.Compile("^" + strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, ".*") + "$")
		return pattern{re: re}, err
	case !ValidTopic(text):
		return pattern{}, fmt.Errorf("not a topic name, a prefix* or a /regular expression/")
	}
	return pattern{name: text}, nil
}

// Selects reports whether the topic is to be copied.
func (s *Selector) Selects(topic string) bool {
	if Reserved(topic) {
		return false
	}
	internal := Internal(topic)
	hit := func(p pattern) bool { return p.match(topic) && !(internal && p.re != nil) }
	return slices.ContainsFunc(s.include, hit) &&
		!slices.ContainsFunc(s.exclude, func(p pattern) bool { return p.match(topic) })
}

// Reserved reports whether a topic, or what a pattern begins with, belongs to
// Kafka or to Sluice itself: offsets, transactions, the ledger. A copy would
// overwrite the target's own.
func Reserved(topic string) bool { return strings.HasPrefix(topic, "__") }

// ofMirrorMaker are the names that MirrorMaker 2 gives to topics of its own.
var ofMirrorMaker = regexp.MustCompile(`^(heartbeats|mm2-(configs|offsets|status|offset-syncs)\..+\.internal|.+\.checkpoints\.internal)$`)

// Internal reports whether a topic is one of MirrorMaker's own. Names that only
// look alike, as "audit.internal", are those of any other topic.
func Internal(topic string) bool { return ofMirrorMaker.MatchString(topic) }

// ValidTopic reports whether Kafka takes the name: 1 to 249 of letters,
// digits, '.', '_' and '-', not "." or "..".
func ValidTopic(name string) bool {
	if name == "" || len(name) > 249 || name == "." || name == ".." {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')
	})
}

// TargetTopic is the name of a source topic at the target of the link.
func (s *LinkSpec) TargetTopic(topic string) string {
	if s.Rename == "" {
		return topic
	}
	return strings.NewReplacer("{topic}", topic, "{source}", s.Source).Replace(s.Rename)
}

// Selector parses the spec's patterns.
func (s *LinkSpec) Selector() (*Selector, error) { return ParseSelector(s.Include, s.Exclude) }

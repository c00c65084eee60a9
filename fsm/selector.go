package fsm

import (
	"errors"
	"fmt"
	"maps"
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
	include, exclude patterns
}

// patterns are a set of them: the names, and what has a star or is an
// expression.
type patterns struct {
	names map[string]bool
	loose []pattern
}

type pattern struct {
	text   string         // as it was given
	re     *regexp.Regexp // nil: an exact name
	prefix string         // that every match begins with
}

// match reports whether one of them has the topic; loose ones count where wide
// is set.
func (p patterns) match(topic string, wide bool) bool {
	return p.names[topic] || wide && slices.ContainsFunc(p.loose, func(p pattern) bool { return p.re.MatchString(topic) })
}

// first is the one that has the topic, as it was given; "": none.
func (p patterns) first(topic string) string {
	if p.names[topic] {
		return topic
	}
	for _, l := range p.loose {
		if l.re.MatchString(topic) {
			return l.text
		}
	}
	return ""
}

// ParseSelector reads the patterns; the error names the faulty one.
func ParseSelector(include, exclude []string) (*Selector, error) {
	s := &Selector{}
	for _, set := range []struct {
		texts []string
		to    *patterns
	}{{include, &s.include}, {exclude, &s.exclude}} {
		set.to.names = make(map[string]bool, len(set.texts))
		for _, text := range set.texts {
			p, err := parsePattern(text)
			p.text = text
			switch {
			case err != nil:
				return nil, fmt.Errorf("topic pattern %q: %w", text, err)
			case p.re == nil:
				set.to.names[text] = true
			default:
				set.to.loose = append(set.to.loose, p)
			}
		}
	}
	return s, nil
}

// Prefixes are what the names that a star or an expression of include selects
// begin with, one of each; empty where there is none.
func (s *Selector) Prefixes() []string {
	var out []string
	for _, p := range s.include.loose {
		out = append(out, p.prefix)
	}
	return out
}

func parsePattern(text string) (pattern, error) {
	switch {
	case len(text) > 1 && text[0] == '/' && text[len(text)-1] == '/':
		inner := text[1 : len(text)-1]
		alone, err := regexp.Compile(inner) // by itself: "a)|(b" would fit between the anchors
		if err != nil {
			return pattern{}, plainExpression(inner, err)
		}
		if free, err := regexp.Compile(strings.TrimPrefix(inner, "^")); err == nil {
			alone = free
		}
		prefix, _ := alone.LiteralPrefix()
		re, err := regexp.Compile("^(?:" + inner + ")$")
		return pattern{re: re, prefix: prefix}, err
	case strings.Contains(text, "*"):
		rest := strings.ReplaceAll(text, "*", "")
		if rest != "" && rest != "." && rest != ".." && !ValidTopic(rest) {
			return pattern{}, fmt.Errorf("beside its '*' it has only letters, digits, '.', '_' and '-'")
		}
		re, err := regexp.Compile("^" + strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, ".*") + "$")
		prefix, _, _ := strings.Cut(text, "*")
		return pattern{re: re, prefix: prefix}, err
	case !ValidTopic(text):
		return pattern{}, fmt.Errorf("not a topic name, a prefix* or a /regular expression/")
	}
	return pattern{}, nil
}

// plainExpression says what is wrong with a regular expression.
func plainExpression(text string, err error) error {
	for _, look := range []string{"(?!", "(?=", "(?<!", "(?<="} {
		if strings.Contains(text, look) {
			return fmt.Errorf("looking ahead or back, %s, is not known here; use exclude", look)
		}
	}
	return errors.New(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
}

// Selects reports whether the topic is to be copied.
func (s *Selector) Selects(topic string) bool {
	if Reserved(topic) {
		return false
	}
	return s.include.match(topic, !Internal(topic)) && !s.exclude.match(topic, true)
}

// LeftOut says by which rule a topic is not copied although a pattern of
// include means it, "": it is copied, or nothing means it.
func (s *Selector) LeftOut(topic string) (rule string) {
	if !s.include.match(topic, true) {
		return ""
	}
	switch by := s.exclude.first(topic); {
	case by != "":
		return fmt.Sprintf("excluded by %q", by)
	case s.Selects(topic):
		return ""
	case Reserved(topic):
		return "topics of Kafka itself (__*) are never copied"
	}
	return "a topic that MirrorMaker makes for itself: copied only where include has its exact name"
}

// Exact lists the names that include selects by themselves, without a pattern.
func (s *Selector) Exact() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.include.names)), func(name string) bool { return !s.Selects(name) })
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

package link

import (
	"strings"

	"sluice/fsm"
	"sluice/words"
)

// rings looks where records go after the link has copied them, over all other
// links. Two links that send the same names to and fro are fine (a link skips
// what came from its target); longer rings of the same names need copies:
// skip-all on each of their links, and a ring that renames copies for ever.
func (f *findings) rings(spec fsm.LinkSpec, others []*fsm.Link, topics []TopicCheck) {
	links := []fsm.LinkSpec{spec}
	for _, l := range others {
		if !l.Deleting && l.Spec.Name != spec.Name {
			links = append(links, l.Spec)
		}
	}
	selectors := make([]*fsm.Selector, len(links))
	for i := range links {
		var err error
		if selectors[i], err = links[i].Selector(); err != nil {
			f.refuse("link %s: %v", links[i].Name, err)
			return
		}
	}
	found := fsm.Rings(fsm.RingQuestion{
		Links: links, Topics: namesOf(topics), Bad: func(r fsm.Ring) bool { return goesOn(r, links) },
		Selects: func(link int, topic string) bool { return selectors[link].Selects(topic) },
	})
	for _, r := range found.Rings {
		var names []string
		for _, i := range r.Links {
			names = append(names, links[i].Name)
		}
		if r.Topic != r.Back {
			f.refuse("topic %s comes back as %s over the links %s, and so on without end: exclude one of the names", r.Topic, r.Back, strings.Join(names, ", "))
		} else {
			f.refuse("topic %s goes round over the links %s: set copies: %s on each of them", r.Topic, strings.Join(names, ", "), fsm.CopiesSkipAll)
		}
	}
	switch {
	case found.More > 0 && found.Cut:
		f.refuse("at least %s of links like these", words.Count(found.More, "more ring"))
	case found.More > 0:
		f.refuse("%s of links like these", words.Count(found.More, "more ring"))
	case found.Cut:
		f.warn("there are too many ways from Kafka cluster %s over other links to follow them all: see to it that no topic comes back under another name", spec.Target)
	}
}

// goesOn reports whether records would go round a ring without end.
func goesOn(r fsm.Ring, links []fsm.LinkSpec) bool {
	if r.Topic != r.Back {
		return true
	}
	for _, i := range r.Links {
		if links[i].Copies != fsm.CopiesSkipAll {
			return len(r.Links) > 2
		}
	}
	return false
}

func namesOf(topics []TopicCheck) []string {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Topic
	}
	return names
}

package link

import (
	"fmt"
	"slices"
	"strings"

	"sluice/fsm"
)

// hop is a topic that a link reads.
type hop struct {
	link  int
	topic string
}

// cycles looks where records of the topics go after links[of] has copied
// them, over all the links. Two links that send the same names to and fro are
// fine (a link skips what came from its target); longer rings of the same
// names need copies: skip-all on each of their links, and a ring that renames
// copies for ever. What it finds it tells in sentences, each ring once.
func cycles(links []fsm.LinkSpec, of int, topics []string) ([]string, error) {
	w := walk{links: links, selectors: make([]*fsm.Selector, len(links)), done: map[hop]bool{}, told: map[string]bool{}}
	for i := range links {
		s, err := links[i].Selector()
		if err != nil {
			return nil, fmt.Errorf("link %s: %w", links[i].Name, err)
		}
		w.selectors[i] = s
	}
	for _, t := range topics {
		w.from(hop{of, t}, nil)
	}
	return w.found, nil
}

type walk struct {
	links     []fsm.LinkSpec
	selectors []*fsm.Selector
	done      map[hop]bool
	told      map[string]bool
	found     []string
}

func (w *walk) from(at hop, path []hop) {
	if i := slices.IndexFunc(path, func(h hop) bool { return h.link == at.link }); i >= 0 {
		w.judge(path[i:], at)
		return
	}
	if w.done[at] {
		return
	}
	path = append(path, at)
	target := w.links[at.link].TargetTopic(at.topic)
	for next := range w.links {
		if w.links[next].Source == w.links[at.link].Target && w.selectors[next].Selects(target) {
			w.from(hop{next, target}, path)
		}
	}
	w.done[at] = true
}

// judge is about a ring: its links, and what comes back to the first.
func (w *walk) judge(ring []hop, back hop) {
	skipAll := true
	var names []string
	for _, h := range ring {
		names = append(names, w.links[h.link].Name)
		skipAll = skipAll && w.links[h.link].Copies == fsm.CopiesSkipAll
	}
	sorted := slices.Sorted(slices.Values(names))
	if key := strings.Join(sorted, " "); w.told[key] {
		return
	} else if first := ring[0].topic; first != back.topic {
		w.told[key] = true
		w.found = append(w.found, fmt.Sprintf("topic %s comes back as %s over the links %s, and so on without end: exclude one of the names", first, back.topic, strings.Join(names, ", ")))
	} else if len(ring) > 2 && !skipAll {
		w.told[key] = true
		w.found = append(w.found, fmt.Sprintf("topic %s goes round over the links %s: set copies: %s on each of them", first, strings.Join(names, ", "), fsm.CopiesSkipAll))
	}
}

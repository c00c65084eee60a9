package cli

import (
	"fmt"
	"io"

	"sluice/api"
	"sluice/fsm/reason"
	"sluice/words"
)

func topicsText(l *api.LinkDetail) string {
	t := l.Topics
	if t.Selected == nil || t.Copied == nil {
		return "not known now; last counted: " + seen(t)
	}
	text := fmt.Sprintf("%d of %s", *t.Copied, words.Count(*t.Selected, "topic"))
	if t.LeftOut != nil && *t.LeftOut > 0 {
		text += fmt.Sprintf("; %d more left out by a rule", *t.LeftOut)
	}
	return text + "; seen " + seen(t)
}

func seen(t api.LinkTopics) string {
	if t.AgeMillis == nil {
		return "never"
	}
	return millis(t.AgeMillis).text + " ago"
}

// topicsNotCopied tells of each topic that is not copied why, and what to do,
// then which ones rules leave out.
func topicsNotCopied(w io.Writer, st style, l *api.LinkDetail) {
	for _, t := range l.NotCopied {
		fmt.Fprintf(w, "\n%s %s: %s\n", st.paint(colored(t.Code).color, "! topic "+t.Topic), t.Code, t.Message)
		advise(w, l.Name, reason.Of(t.Code))
	}
	if len(l.LeftOut) > 0 {
		fmt.Fprintln(w)
	}
	for _, t := range l.LeftOut {
		fmt.Fprintf(w, "left out: %s: %s\n", t.Topic, t.Rule)
	}
	if len(l.Differ) > 0 {
		fmt.Fprintln(w)
	}
	for _, s := range l.Differ {
		for _, line := range wrap(fmt.Sprintf("setting differs: topic %s: %s is %s at the target, the source asks for %s", s.Topic, s.Key, orDash(s.Target), orDash(s.Source)), 80) {
			fmt.Fprintln(w, line)
		}
	}
}

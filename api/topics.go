package api

import (
	"fmt"
	"strings"

	"sluice/fsm"
	"sluice/fsm/reason"
	"sluice/task"
	"sluice/words"
)

// worstOf is the worst of a condition and of why topics are not copied.
func worstOf(condition fsm.Code, topics *task.Topics) fsm.Code {
	if topics == nil {
		return condition
	}
	for _, t := range topics.Why {
		if reason.SeverityOf(t.Code) > reason.SeverityOf(condition) {
			condition = t.Code
		}
	}
	return condition
}

// notCopied says in one sentence which topics are not copied, "": none that
// needs a person.
func notCopied(link string, topics *task.Topics) string {
	if topics == nil {
		return ""
	}
	var names []string
	hidden := topics.NotCopied - len(topics.Why)
	for _, t := range topics.Why {
		switch {
		case reason.SeverityOf(t.Code) < reason.Waiting:
		case len(names) == 3:
			hidden++
		default:
			names = append(names, fmt.Sprintf("%s (%s)", t.Topic, t.Code))
		}
	}
	if len(names) == 0 {
		return ""
	}
	text := fmt.Sprintf("link %s: %d of %s %s not copied: %s", link, len(names)+hidden, words.Count(topics.Selected, "topic"), words.Verb(len(names)+hidden, "is", "are"), strings.Join(names, ", "))
	if hidden > 0 {
		text += fmt.Sprintf(" and %d more", hidden)
	}
	return text
}

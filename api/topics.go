package api

import (
	"fmt"

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
	all := topics.NotCopied - len(topics.Why) // and those that are listed no more
	for _, t := range topics.Why {
		if reason.SeverityOf(t.Code) >= reason.Waiting {
			names = append(names, fmt.Sprintf("%s (%s)", t.Topic, t.Code))
		}
	}
	if len(names) == 0 {
		return ""
	}
	all += len(names)
	return fmt.Sprintf("link %s: %d of %s %s not copied: %s", link, all, words.Count(topics.Selected, "topic"), words.Verb(all, "is", "are"), words.ListOf(names, all))
}

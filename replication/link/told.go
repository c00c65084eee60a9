package link

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"sluice/fsm"
	"sluice/fsm/reason"
	"sluice/words"
)

// subject is what an event about a refusal speaks of: a topic; all topics that
// are refused with a code; or, empty, the link.
type subject struct {
	topic string
	code  fsm.Code
}

// told is a refusal as an event tells it.
type told struct {
	Refused          // without a topic where it is not of one
	topics  []string // of several; nil: it is not of several, or an owner before told it
}

// apart is up to how many topics that are refused with one code are told one by
// one.
const apart = 3

// foldRefused makes one event of all topics that are refused with the same code, where
// they are many, wait for a quota, or were told of so before.
func foldRefused(refused []Refused, before map[subject]told) map[subject]told {
	out := map[subject]told{}
	byCode := map[fsm.Code][]Refused{}
	for _, r := range refused {
		byCode[r.Code] = append(byCode[r.Code], r)
	}
	for code, list := range byCode { // in any order: each has its place in out
		together := subject{code: code}
		if _, so := before[together]; so || code == fsm.CodeQuotaThrottled || len(list) > apart {
			out[together] = foldOne(code, list)
			continue
		}
		for _, r := range list {
			out[subject{topic: r.Topic}] = told{Refused: r}
		}
	}
	return out
}

// foldOne makes one of refusals with a code. Each cause is told by the first
// topic that has it.
func foldOne(code fsm.Code, list []Refused) told {
	out := told{Refused: Refused{Code: code}}
	var causes fold
	first := map[string]string{} // message of each cause
	for _, r := range list {
		out.topics = append(out.topics, r.Topic)
		cause := r.cause()
		causes.add(r.Topic, cause)
		first[cause] = cmp.Or(first[cause], r.Message)
	}
	slices.SortStableFunc(causes.texts, func(a, b string) int { return cmp.Compare(len(causes.topics[b]), len(causes.topics[a])) })
	var parts []string
	for _, c := range causes.texts[:min(len(causes.texts), apart)] {
		parts = append(parts, words.Named("topic", causes.topics[c])+": "+first[c])
	}
	if more := len(causes.texts) - apart; more > 0 {
		parts = append(parts, "and "+words.Count(more, "other cause"))
	}
	verb, why := words.Verb(len(list), "is", "are"), "refused"
	if code == fsm.CodeQuotaThrottled {
		verb, why = words.Verb(len(list), "waits", "wait"), "for a quota of the target's controller"
	}
	out.Message = fmt.Sprintf("%s %s %s: %s", words.Count(len(list), "topic"), verb, why, strings.Join(parts, "; "))
	return out
}

// cause is the message without what differs from topic to topic.
func (r *Refused) cause() string {
	return strings.Map(func(c rune) rune {
		if unicode.IsDigit(c) {
			return -1
		}
		return c
	}, strings.ReplaceAll(r.Message, r.Topic, ""))
}

// news reports whether a refusal has to be told although old was: it is another
// one, or of topics that were not named or counted then.
func (t *told) news(old *told) bool {
	return t.Code != old.Code || old.topics != nil && slices.ContainsFunc(t.topics, func(topic string) bool { return !slices.Contains(old.topics, topic) })
}

// over begins the event that tells the end of what was told with a code.
func over(code fsm.Code) string { return "no longer so: " + string(code) + ": " }

// refusedBefore reads from a link's events what its owners before have told of and
// have not seen the end of.
func refusedBefore(past fsm.LinkEvents, id fsm.TaskID) map[subject]told {
	events := append(slices.Clone(past.Events), past.Lasting...)
	slices.SortStableFunc(events, func(a, b *fsm.Event) int { return cmp.Compare(a.Last, b.Last) })
	out := map[subject]told{}
	for _, e := range events {
		s := subject{topic: e.Topic}
		switch {
		case e.Task != id || e.Part >= 0:
		case e.Code == fsm.CodeResolved:
			for of, t := range out { // in any order: each is judged alone
				if of.topic == e.Topic && (e.Topic != "" || strings.HasPrefix(e.Message, over(t.Code))) {
					delete(out, of)
				}
			}
		case e.Code == fsm.CodeSettingsDiffer, e.Code == fsm.CodeTargetLost: // of keepAlike
		case reason.SeverityOf(e.Code) >= reason.Waiting:
			if e.Topic == "" && countsTopics(e.Message) {
				s.code = e.Code
			}
			out[s] = told{Refused: Refused{Topic: e.Topic, Code: e.Code, Message: e.Message}}
		}
	}
	return out
}

// countsTopics reports whether a message is one of foldOne.
func countsTopics(message string) bool {
	var n int
	var what string
	_, err := fmt.Sscanf(message, "%d %s", &n, &what)
	return err == nil && strings.HasPrefix(what, "topic")
}

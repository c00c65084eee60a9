package link

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/words"
)

// outcome is what became of one action.
type outcome struct {
	note  string // what was done, for the event
	err   error
	later bool // look again in the next round
}

// sum gives the streams of the actions that went well, and the topics that
// cannot be copied as things stand.
func sum(actions []topicAction, outcomes []outcome) (streams, again []fsm.StreamKey, refused []Refused) {
	for i, a := range actions {
		switch o := outcomes[i]; {
		case o.later:
		case o.err != nil:
			refused = append(refused, Refused{a.topic, codeOf(o.err), kafka.Explain(o.err)})
		default:
			for _, p := range a.add {
				to := &streams
				if slices.Contains(a.again, p) {
					to = &again
				}
				*to = append(*to, fsm.StreamKey{Topic: a.topic, Partition: p, TargetTopic: a.target})
			}
		}
	}
	return streams, again, refused
}

// refusedByQuota takes the actions that the target's quota put off out of what
// is refused, and lists them.
func refusedByQuota(actions []topicAction, outcomes []outcome) (late []topicAction) {
	for i := range outcomes {
		if errors.Is(outcomes[i].err, kerr.ThrottlingQuotaExceeded) {
			outcomes[i], late = outcome{later: true}, append(late, actions[i])
		}
	}
	return late
}

// grown, created and added are the outcomes of what an action does.
func grown(a topicAction, err error) outcome {
	return outcome{note: fmt.Sprintf("%s raised to %s", a.target, words.Count(a.grow, "partition")), err: err}
}

func added(list []topicAction) []outcome {
	out := make([]outcome, len(list))
	for i, a := range list {
		out[i].note = fmt.Sprintf("%s of %s %s copied to %s", words.Count(len(a.add), "partition"), a.topic, words.Verb(len(a.add), "is", "are"), a.target)
	}
	return out
}

func created(a topicAction, changed []Changed, err error) outcome {
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return outcome{later: true} // it appeared meanwhile: whose is it?
	}
	note := fmt.Sprintf("%s created with %s", a.target, words.Count(a.create, "partition"))
	var diffs []string
	for _, c := range changed {
		diffs = append(diffs, fmt.Sprintf("%s %s (source: %s)", c.Name, cmp.Or(c.Target, "the target's default"), c.Source))
	}
	if len(diffs) > 0 {
		note += "; other than at the source: " + strings.Join(diffs, ", ")
	}
	return outcome{note: note, err: err}
}

// maxStreamsAdd bounds one StreamsAdd in the log, in bytes.
const maxStreamsAdd = 60 << 10

// streamsAdds makes commands of at most 64 KiB each.
func streamsAdds(link fsm.LinkID, streams, again []fsm.StreamKey, at int64) []*fsm.StreamsAdd {
	var out []*fsm.StreamsAdd
	size := maxStreamsAdd
	add := func(s fsm.StreamKey) *fsm.StreamsAdd {
		n := len(s.Topic) + len(s.TargetTopic) + len(`{"topic":"","partition":2147483647,"targetTopic":""},`)
		if size+n > maxStreamsAdd {
			out = append(out, &fsm.StreamsAdd{Link: link, At: at})
			size = 0
		}
		size += n
		return out[len(out)-1]
	}
	for _, s := range streams {
		to := add(s)
		to.Streams = append(to.Streams, s)
	}
	for _, s := range again {
		to := add(s)
		to.Again = append(to.Again, s)
	}
	return out
}

// streamsEnds makes commands of at most 64 KiB each.
func streamsEnds(link *fsm.Link, ends []topicEnd, by string, at int64) []*fsm.StreamsEnd {
	var out []*fsm.StreamsEnd
	size, reason := 0, ""
	for _, e := range ends {
		n := len(e.topic) + len(`"",`)
		if len(out) == 0 || size+n > maxStreamsAdd || e.reason != reason || e.gone != out[len(out)-1].Gone {
			out = append(out, &fsm.StreamsEnd{Link: link.ID, Revision: link.Revision, Gone: e.gone, Reason: e.reason, By: by, At: at})
			size, reason = 0, e.reason
		}
		last := out[len(out)-1]
		last.Topics = append(last.Topics, e.topic)
		size += n
	}
	return out
}

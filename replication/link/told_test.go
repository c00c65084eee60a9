package link

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
)

// TestManyRefusalsAreFoldedByCause: a few topics are told one by one, more of a
// code together with each cause once, and what was told together stays so.
func TestManyRefusalsAreFoldedByCause(t *testing.T) {
	refusals := func(n int, format string) (out []Refused) {
		for i := range n {
			topic := fmt.Sprintf("t%02d", i)
			out = append(out, Refused{topic, fsm.CodeTopicRefused, fmt.Sprintf(format, topic, i+3)})
		}
		return out
	}
	const policy = "creating topic %s with %d partitions: POLICY_VIOLATION"
	if got := foldRefused(refusals(3, policy), nil); len(got) != 3 || got[subject{topic: "t01"}].Message != "creating topic t01 with 4 partitions: POLICY_VIOLATION" {
		t.Errorf("%+v", got)
	}
	together := subject{code: fsm.CodeTopicRefused}
	first := foldRefused(append(refusals(5, policy), Refused{"odd", fsm.CodeTopicRefused, "no such factor"}, Refused{"full", fsm.CodeNotEmpty, "x"}), nil)
	const want = "6 topics are refused: topics t00, t01, t02, t03, t04: creating topic t00 with 3 partitions: POLICY_VIOLATION; topic odd: no such factor"
	if got := first[together]; len(first) != 2 || got.Message != want || len(got.topics) != 6 || got.Topic != "" {
		t.Errorf("%+v", first)
	}
	less := foldRefused(refusals(2, policy), first)
	was, is := first[together], less[together]
	if len(less) != 1 || is.news(&was) {
		t.Errorf("it is told again that some of them are refused: %+v", less)
	}
	if one := foldRefused(refusals(3, policy), less)[together]; !one.news(&is) {
		t.Error("one more is refused, and it is not told")
	}
	if known := (told{Refused: is.Refused}); is.news(&known) {
		t.Error("what an owner before told is told again")
	}
	many := make([]Refused, 0, 10)
	for i := range 10 {
		many = append(many, Refused{fmt.Sprint("t", i), fsm.CodeTopicRefused, strings.Repeat("x", i+1)})
	}
	if got := foldRefused(many, nil)[together]; !strings.HasSuffix(got.Message, "; and 7 other causes") {
		t.Errorf("%s", got.Message)
	}
}

// TestRefusedTopicsAreFewEvents: topics that the target refuses for one reason
// are one event, and so is the end of it; a later one is told too.
func TestRefusedTopicsAreFewEvents(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for i := range 30 {
		l.create(l.usC, fmt.Sprintf("pay-%02d", i), 1, nil)
	}
	refused := l.brokersOf["eu"].Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.InvalidReplicationFactor, Count: -1,
		When: func(r kmsg.Request) bool { return r.(*kmsg.CreateTopicsRequest).Topics[0].Topic != LedgerTopic }})
	ctl, r := l.start(spec())
	l.until("all are refused", func() bool { return len(r.Measure().Refused) == 31 }) // and orders, which is not there
	l.rounds(r, 3)
	code := r.Measure().Refused[2].Code
	if n := ctl.events(code); n != 1 {
		t.Errorf("%d events of 30 topics that are refused for one reason", n)
	}
	l.create(l.usC, "pay-late", 1, nil)
	l.until("the late one is told", func() bool { return ctl.events(code) == 2 })
	refused.Remove()
	l.until("all are copied", func() bool { return strings.Count(ctl.streams(), ">") == 31 })
	l.rounds(r, 2)
	if n := ctl.events(fsm.CodeResolved); n != 1 {
		t.Errorf("%d events of the end, want 1", n)
	}
}

package link

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
)

func TestPaceOfCreatingTopics(t *testing.T) {
	p := pace{size: firstTopics}
	now := time.Unix(1000, 0)
	for i, c := range []struct {
		pass      time.Duration // before the request
		want      int
		throttled int
		throttle  time.Duration
	}{
		{0, 10, 0, 0},
		{0, 20, 0, 0},
		{0, 40, 0, 0},
		{0, 80, 0, 0},
		{0, 100, 0, 0},
		{0, 100, 97, 9 * time.Second}, // it took 3
		{8 * time.Second, 0, 0, 0},
		{time.Second, 3, 3, 2 * time.Second}, // it took none
		{2 * time.Second, 1, 1, 0},           // refused, and no time told
		{time.Second / 2, 0, 0, 0},
		{time.Second / 2, 1, 0, 4 * time.Second}, // taken, and that was all for now
		{3 * time.Second, 0, 0, 0},
		{time.Second, 1, 0, 0},
		{0, 2, 0, 0},
		{0, 4, 0, 0},
	} {
		now = now.Add(c.pass)
		n := p.next(now)
		if n != c.want {
			t.Fatalf("step %d: %d topics, want %d", i, n, c.want)
		}
		if n > 0 {
			p.answered(now, n, c.throttled, c.throttle)
		}
	}
}

func TestTopicsThatWaitForAQuotaAreToldOnce(t *testing.T) {
	other := Refused{"full", fsm.CodeNotEmpty, "x"}
	var list []topicAction
	for i := range 60 {
		list = append(list, topicAction{topic: fmt.Sprintf("t%02d", i), target: fmt.Sprintf("t%02d", i)})
	}
	refused := append(throttled("eu", list, 9*time.Second), other)
	if r := refused[7]; r.Topic != "t07" || r.Code != fsm.CodeQuotaThrottled || !strings.Contains(r.Message, "9s") {
		t.Errorf("%+v", r)
	}
	got := foldRefused(refused, nil)
	waiting := got[subject{code: fsm.CodeQuotaThrottled}]
	if len(got) != 2 || got[subject{topic: "full"}].Refused != other || !strings.Contains(waiting.Message, "60 topics wait") || !strings.Contains(waiting.Message, "t00, t01, t02, t03, t04 and 55 more") {
		t.Errorf("%+v", got)
	}
}

// A controller that takes a few topics at a time is asked a few times a second
// at most, each topic is copied as soon as it is there, and what waits is
// listed, with one event for all.
func TestTopicsAreCreatedAsTheQuotaAllows(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for i := range 12 {
		l.create(l.usC, fmt.Sprintf("pay-%02d", i), 1, nil)
	}
	l.create(l.euC, "pay-00", 1, nil) // needs no creation
	refused := l.brokersOf["eu"].Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.ThrottlingQuotaExceeded, Count: -1,
		When: func(r kmsg.Request) bool {
			return len(r.(*kmsg.CreateTopicsRequest).Topics) > 1 || r.(*kmsg.CreateTopicsRequest).Topics[0].Topic != LedgerTopic
		}})
	began := time.Now()
	ctl, r := l.start(spec())
	l.until("what waits is listed", func() bool {
		m := r.Measure()
		return m.State == fsm.CodeIdle && len(m.Refused) == 12 && m.Refused[1].Code == fsm.CodeQuotaThrottled // and orders, which is not there
	})
	l.until("the topic that is there is copied", func() bool { return ctl.streams() == "pay-00/0>pay-00" })
	l.rounds(r, 20)
	if n, most := refused.Hits(), 2+int(time.Since(began)/leastPause); n > most {
		t.Errorf("%d requests, at most %d", n, most)
	}
	refused.Remove()
	l.until("all are copied", func() bool { return strings.Count(ctl.streams(), ">") == 12 })
	l.until("nothing waits", func() bool { m := r.Measure(); return len(m.Refused) == 1 })
	if n := ctl.events(fsm.CodeQuotaThrottled); n != 1 {
		t.Errorf("%d events of one quota", n)
	}
}

// Many topics are made by few requests: those to the controller and to the
// ledger are counted.
func TestManyTopicsAreCreatedByFewRequests(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for i := range 150 {
		l.create(l.usC, fmt.Sprintf("pay-%03d", i), 2, nil)
	}
	creates := l.brokersOf["eu"].Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Observe: true, Count: -1})
	produces := l.brokersOf["eu"].Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Observe: true, Count: -1})
	ctl, _ := l.start(spec())
	l.until("all streams", func() bool { return strings.Count(ctl.streams(), ">") == 300 })
	if c, p := creates.Hits(), produces.Hits(); c > 10 || p > 10 {
		t.Errorf("%d CreateTopics and %d Produce requests for 150 topics", c, p)
	}
}

// Raising partition counts is bounded by the same quota as creating topics, and
// keeps the same pace.
func TestTopicsAreRaisedAsTheQuotaAllows(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for i := range 12 {
		l.create(l.usC, fmt.Sprintf("pay-%02d", i), 1, nil)
	}
	ctl, r := l.start(spec())
	l.until("all are copied", func() bool { return strings.Count(ctl.streams(), ">") == 12 })
	refused := l.brokersOf["eu"].Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreatePartitions}, Err: kerr.ThrottlingQuotaExceeded, Count: -1})
	began := time.Now()
	for i := range 12 {
		if err := l.usC.CreatePartitions(l.ctx, fmt.Sprintf("pay-%02d", i), 3); err != nil {
			t.Fatal(err)
		}
	}
	l.until("what waits is listed", func() bool {
		m := r.Measure()
		return m.State == fsm.CodeIdle && len(m.Refused) == 13 && m.Refused[1].Code == fsm.CodeQuotaThrottled && // and orders, which is not there
			strings.Contains(m.Refused[1].Message, "waits to be raised to 3 partitions")
	})
	l.rounds(r, 20)
	if n, most := refused.Hits(), 2+int(time.Since(began)/leastPause); n > most {
		t.Errorf("%d requests, at most %d", n, most)
	}
	refused.Remove()
	raises := l.brokersOf["eu"].Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreatePartitions}, Observe: true, Count: -1})
	l.until("all are raised", func() bool { return strings.Count(ctl.streams(), ">") == 36 })
	if n := raises.Hits(); n > 6 {
		t.Errorf("%d requests raise 12 topics", n)
	}
	l.until("nothing waits", func() bool { m := r.Measure(); return len(m.Refused) == 1 })
	if n := ctl.events(fsm.CodeQuotaThrottled); n != 1 {
		t.Errorf("%d events of one quota", n)
	}
}

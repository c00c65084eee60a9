package syncreal

import (
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"sluice/fsm"
)

// createdUnderAQuota: the target's controller lets so few partitions be created
// that most topics wait. Each is copied as soon as it is there, and those that
// wait are listed; the link itself is well.
func createdUnderAQuota(l *lab) {
	client := "sluice"
	set := func(remove bool) {
		rate := kadm.AlterClientQuotaEntry{
			Entity: kadm.ClientQuotaEntity{{Type: "client-id", Name: &client}},
			Ops:    []kadm.AlterClientQuotaOp{{Key: "controller_mutation_rate", Value: 4, Remove: remove}},
		}
		got, err := kadm.NewClient(l.euC.Kgo()).AlterClientQuotas(l.ctx, []kadm.AlterClientQuotaEntry{rate})
		if err != nil || got[0].Err != nil {
			l.Fatal(err, got)
		}
	}
	const topics = 5
	for i := range topics {
		l.create(l.usC, fmt.Sprintf("bounded-%d", i), 20, nil)
	}
	set(false)
	l.Cleanup(func() { set(true) })
	began := time.Now()
	runner := l.link(spec("bounded-*"))
	copied := func() (n int) {
		for i := range topics {
			if len(l.streams(fmt.Sprintf("bounded-%d", i))) == 20 {
				n++
			}
		}
		return n
	}
	l.until("some are copied while others wait", func() bool {
		m := runner.Measure()
		return copied() > 0 && m.State == fsm.CodeIdle && len(m.Refused) > 0 && m.Refused[0].Code == fsm.CodeQuotaThrottled &&
			strings.Contains(m.Refused[0].Message, "controller_mutation_rate")
	})
	l.until("all are copied", func() bool { return copied() == topics && len(runner.Measure().Refused) == 0 })
	l.Logf("%d topics of 20 partitions under a quota in %v", topics, time.Since(began).Round(100*time.Millisecond))
	for _, e := range l.ctl.View().LinkEvents(1).Events {
		if e.Code == fsm.CodeTargetDeleted || e.Code == fsm.CodeQuotaThrottled && e.Topic != "" {
			l.Errorf("event %+v", e)
		}
	}
}

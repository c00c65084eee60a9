package syncreal

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	linktask "sluice/replication/link"
	"sluice/test/load"
)

// removedAtTheTargetAlone: the source keeps records for ever, an existing target
// topic for a week. What is copied of ten days ago is gone at the target at
// once, and the link says so until the source has removed it too.
func removedAtTheTargetAlone(l *lab) {
	t := l.T
	l.create(l.usC, "aged", 1, nil)
	l.create(l.euC, "aged", 1, nil)
	runner := l.link(spec("aged"))
	l.until("the stream", func() bool { return len(l.streams("aged")) == 1 })
	var records []*kgo.Record
	for n := range 20 {
		r := numbered("aged", n)
		r.Timestamp = time.Now().Add(-240*time.Hour + time.Duration(n)*time.Second)
		records = append(records, r)
	}
	l.produce(l.usP, records...)
	c := l.copyByHand("aged", 0, 100)
	l.propose(&fsm.MappingPut{Task: l.streams("aged")[0].ID,
		Mapping:  fsm.Mapping{Version: 1, Phase: fsm.PhaseDense, Segments: c.segments, SourceTopicID: l.metadata(l.usC, "aged").ID, TargetTopicID: l.metadata(l.euC, "aged").ID},
		Progress: fsm.Progress{Source: c.cursor.Source, Target: c.cursor.Target}})
	l.until("the loss", func() bool {
		return slices.Contains(runner.Measure().Lost, linktask.TargetLost{Topic: "aged", Partition: 0, From: 0, To: 20})
	})
	m := runner.Measure()
	if m.State != fsm.CodeTargetLost {
		t.Errorf("the link is %s: %s", m.State, m.Message)
	}
	if want := (linktask.SettingsDiffer{Topic: "aged", Key: "retention.ms", Source: "-1", Target: "604800000"}); !slices.Contains(m.Settings, want) {
		t.Errorf("settings that differ: %+v", m.Settings)
	}
	if err := load.DeleteRecords(l.ctx, []kgo.Opt{kgo.SeedBrokers(l.us.Bootstrap...)}, "aged", 0, 20); err != nil {
		t.Fatal(err)
	}
	l.until("the end", func() bool { return runner.Measure().State == fsm.CodeIdle })
	told := map[fsm.Code]bool{}
	for _, e := range l.ctl.View().LinkEvents(1).Events {
		told[e.Code] = true
	}
	for _, code := range []fsm.Code{fsm.CodeSettingsDiffer, fsm.CodeTargetLost, fsm.CodeTargetWhole} {
		if !told[code] {
			t.Errorf("no event %s", code)
		}
	}
}

package verify

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/test/oracle"
)

// What the target lost is missing there, unless the source's own retention
// deletes it too; what the source lost is a gap that is named.
func TestRetentionAtOneSide(t *testing.T) {
	for name, tc := range map[string]struct {
		configs        map[string]string
		source, target int64 // log starts, of 100
		want           Counts
		verdict        Verdict
		left           []Why
	}{
		"both alike":                    {nil, 20, 20, Counts{Compared: 80, Trimmed: 20}, Equal, nil},
		"the source alone":              {nil, 20, 0, Counts{Compared: 80, SourceGone: 20}, Equal, nil},
		"the source alone, all of it":   {nil, 100, 0, Counts{SourceGone: 100}, Incomplete, []Why{GoneAtSource}},
		"both, all of it":               {nil, 100, 100, Counts{Trimmed: 100}, Equal, nil},
		"the target alone":              {map[string]string{"retention.ms": "-1"}, 0, 30, Counts{Compared: 70, Missing: 30, TargetGone: 30}, Differs, nil},
		"the target alone, all of it":   {map[string]string{"retention.ms": "-1"}, 0, 100, Counts{Missing: 100, TargetGone: 100}, Differs, nil},
		"the target further":            {map[string]string{"retention.ms": "-1"}, 20, 30, Counts{Compared: 70, Trimmed: 20, Missing: 10, TargetGone: 10}, Differs, nil},
		"the target first, all are due": {map[string]string{"retention.ms": "604800000"}, 20, 30, Counts{Compared: 70, Trimmed: 30}, Equal, nil},
		"the target first, by size":     {map[string]string{"retention.ms": "-1", "retention.bytes": "1"}, 20, 30, Counts{Compared: 70, Trimmed: 30}, Equal, nil},
		"the target below the size":     {map[string]string{"retention.ms": "-1", "retention.bytes": "100000000"}, 20, 30, Counts{Compared: 70, Trimmed: 20, Missing: 10, TargetGone: 10}, Differs, nil},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, 1, tc.configs)
			for n := range 10 {
				l.put(l.usP, 0, n*10, n*10+10, nil)
				l.put(l.euP, 0, n*10, n*10+10, nil)
			}
			l.mapped(fsm.PhaseDense, fsm.Progress{Source: 100, Target: 100}, oracle.Segments(0, 0)...)
			l.trim(l.us, 0, tc.source)
			l.trim(l.eu, 0, tc.target)
			s := l.verify()
			l.wantCounts(s, tc.want)
			l.wantVerdict(s, tc.verdict, tc.left...)
		})
	}
}

// A topic that the selectors mean and no stream copies is never passed over in
// silence: whatever the reason, the sides are not called equal.
func TestSelectedTopicsThatAreNotCopied(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 10, nil)
	l.put(l.euP, 0, 0, 10, nil)
	l.mapped(fsm.PhaseDense, fsm.Progress{Source: 10, Target: 10}, oracle.Segments(0, 0)...)
	create := func(c *kafka.Client, topic string, partitions int32) {
		if _, err := c.CreateTopic(l.ctx, kafka.CreateTopic{Name: topic, Partitions: partitions, ReplicationFactor: 1}); err != nil {
			t.Fatal(err)
		}
	}
	create(l.us, "payments", 3) // refused at the target
	create(l.us, "clicks", 2)   // other partition count
	create(l.eu, "clicks", 5)
	create(l.us, "not-meant", 1)
	l.relink("orders", "payments", "clicks", "later")
	s := l.verify()
	l.wantVerdict(s, Incomplete, NoStream, NoStream)
	if s.Result.Selected != (Scope{3, 6}) || s.Result.Covered != (Scope{1, 1}) {
		t.Errorf("%+v", s.Result)
	}
	for i, want := range []LeftOut{
		{Topic: "clicks", Partitions: []int32{0, 1}, Why: NoStream, Message: "the link does not copy it: the source has 2 partitions, the target topic clicks has 5"},
		{Topic: "payments", Partitions: []int32{0, 1, 2}, Why: NoStream, Message: "the link does not copy it: the target has no topic payments; see `sluice link describe us-eu`"},
	} {
		if !reflect.DeepEqual(s.Result.LeftOut[i], want) {
			t.Errorf("%+v, want %+v", s.Result.LeftOut[i], want)
		}
	}
	j, err := l.jobs.Start(Request{Link: "us-eu", Topics: []string{"orders", "later"}})
	if err != nil {
		t.Fatal(err)
	}
	<-j.Ended()
	l.wantVerdict(j.Status(), Incomplete, NothingSelected)
	j, err = l.jobs.Start(Request{Link: "us-eu", Topics: []string{"orders"}})
	if err != nil {
		t.Fatal(err)
	}
	<-j.Ended()
	l.wantVerdict(j.Status(), Equal)
	l.relink("none-*")
	l.facts.must(t, &fsm.StreamsEnd{Link: 1, Reason: "no longer selected"})
	l.wantVerdict(l.verify(), Incomplete, NothingSelected)
}

// A stopped stream, or a paused link, whose source has more than was copied.
func TestStoppedAndPausedStreams(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 10, nil)
	l.put(l.euP, 0, 0, 8, nil)
	l.mapped(fsm.PhaseDense, fsm.Progress{Source: 8, Target: 8}, oracle.Segments(0, 0)...)
	l.facts.must(t, &fsm.TaskStop{Task: 2, Turn: 1, Version: 1, Stop: fsm.Stop{Code: fsm.CodeRecordTooLarge, From: 8, To: 10}})
	l.jobs.cfg.Wait = time.Hour // neither is waited for
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 8, Behind: 2})
	l.wantVerdict(s, Incomplete, Stopped)
	if m := s.Result.LeftOut[0].Message; !strings.Contains(m, "record-too-large") {
		t.Error(m)
	}
}

// What the mapping leaves out, since an operator or the policy went on past it,
// is at the source and not at the target.
func TestRecordsThatTheLinkWentPast(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 20, nil)
	l.put(l.euP, 0, 0, 5, nil)
	l.put(l.euP, 0, 8, 20, nil)
	l.mapped(fsm.PhaseDense, fsm.Progress{Source: 20, Target: 17}, oracle.Segments(0, 0, 8, 5)...)
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 17, Skipped: 3})
	l.wantVerdict(s, Incomplete, PassedOver)
	// The stream began anew at 8, in a target that was emptied.
	l.mapped(fsm.PhaseDense, fsm.Progress{Source: 20, Target: 17}, oracle.Segments(8, 5)...)
	s = l.verify()
	l.wantCounts(s, Counts{Compared: 12, Skipped: 8})
	l.wantVerdict(s, Incomplete, PassedOver)
}

// A batch that decompresses to more than the limit is left out and named; what
// stands around it is compared.
func TestBatchBeyondTheLimitIsNamed(t *testing.T) {
	l := newLab(t, 1, nil)
	big := func(n int, r *kgo.Record) []*kgo.Record {
		r.Value = []byte(strings.Repeat("x", 700<<10))
		return []*kgo.Record{r}
	}
	for _, p := range []*kgo.Client{l.usP, l.euP} {
		l.put(p, 0, 0, 40, nil)
		l.put(p, 0, 40, 42, big)
		l.put(p, 0, 42, 90, nil)
	}
	l.mapped(fsm.PhaseDense, fsm.Progress{Source: 90, Target: 90}, oracle.Segments(0, 0)...)
	l.jobs.cfg.Budget = 512 << 10
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 88, TooLarge: 2})
	l.wantVerdict(s, Incomplete, BatchTooLarge)
	if m := s.Result.LeftOut[0].Message; !strings.Contains(m, "source offsets 40 to 40") {
		t.Error(m)
	}
}

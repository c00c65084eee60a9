package verify

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/test/oracle"
)

// What verify cannot know it does not judge: it names it.

// thinnedUpTo are segments without a shift of which all between the first and
// the offset have been dropped.
func thinnedUpTo(at int64) []fsm.Segment {
	out := []fsm.Segment{{}}
	for i := range int64(fsm.MaxSegments / 4) {
		out = append(out, fsm.Segment{Source: at + i, Target: at + i})
	}
	return out
}

// Where a log start lies among segments that were dropped, both logs tell what
// belongs together there.
func TestLogStartAmongThinnedSegments(t *testing.T) {
	const until = 450
	keeps := map[string]string{"retention.ms": "-1"}
	for name, tc := range map[string]struct {
		configs        map[string]string
		source, target int64 // log starts
		altered        int   // target records from 100 to there
		want           Counts
		verdict        Verdict
		left           []Why
	}{
		"both alike":                       {nil, 57, 57, 0, Counts{Compared: until - 57, Trimmed: 57}, Equal, nil},
		"the target further, all are due":  {nil, 20, 57, 0, Counts{Compared: until - 57, Trimmed: 57}, Equal, nil},
		"the target further, none are due": {keeps, 20, 57, 0, Counts{Compared: until - 57, Trimmed: 20, Missing: 37, TargetGone: 37}, Differs, nil},
		"the target alone":                 {keeps, 0, 130, 0, Counts{Compared: until - 130, Missing: 130, TargetGone: 130}, Differs, nil},
		"the source further":               {nil, 57, 20, 0, Counts{Compared: until - 57, SourceGone: 37}, Equal, nil},
		"the source alone":                 {keeps, 130, 0, 0, Counts{Compared: until - 130, SourceGone: 130}, Equal, nil},
		"others behind the log start":      {nil, 20, 57, 101, Counts{Compared: until - 58, Trimmed: 57, Differing: 1}, Differs, nil},
		"others at the log start":          {nil, 20, 105, 200, Counts{Compared: until - 250, Inexact: 230}, Incomplete, []Why{PlaceUnknown}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, 1, tc.configs)
			for n := 0; n < until; n += 50 {
				l.put(l.usP, 0, n, n+50, nil)
				l.put(l.euP, 0, n, n+50, func(n int, r *kgo.Record) []*kgo.Record {
					if n >= 100 && n < tc.altered {
						r.Value = []byte("other")
					}
					return []*kgo.Record{r}
				})
			}
			l.mapped(fsm.PhaseTranslated, fsm.Progress{Source: until, Target: until}, thinnedUpTo(250)...)
			l.trim(l.us, 0, tc.source)
			l.trim(l.eu, 0, tc.target)
			s := l.verify()
			l.wantCounts(s, tc.want)
			l.wantVerdict(s, tc.verdict, tc.left...)
		})
	}
}

// On a compacted topic what the target lacks is missing unless something of its
// key follows there, be it behind what was compared.
func TestCompactedTopicThatLacksRecords(t *testing.T) {
	l := newLab(t, 1, map[string]string{"cleanup.policy": "compact"})
	for n := 0; n < 300; n += 50 {
		l.put(l.usP, 0, n, n+50, nil)
		l.put(l.euP, 0, n, n+50, func(n int, r *kgo.Record) []*kgo.Record {
			if n == 10 || n == 11 || n == 14 { // the last one is a tombstone
				return nil
			}
			return []*kgo.Record{r}
		})
	}
	segments := thinnedUpTo(150)
	for i := range segments[1:] {
		segments[1+i].Target -= 3
	}
	l.mapped(fsm.PhaseTranslated, fsm.Progress{Source: 300, Target: 297}, segments...)
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 297, Missing: 2, Tombstones: 1})
	l.wantVerdict(s, Differs)
	if f := s.Result.Faults[0]; f.Source != 10 || !strings.Contains(f.Message, "no later record of its key") {
		t.Errorf("%+v", f)
	}
	// Something of both keys follows at the target, and is not replicated yet as far
	// as is known.
	again := func(n int, r *kgo.Record) []*kgo.Record { r.Value = []byte("later"); return []*kgo.Record{r} }
	l.put(l.usP, 0, 10, 12, again)
	l.put(l.euP, 0, 10, 12, again)
	s = l.verify()
	l.wantCounts(s, Counts{Compared: 297, Compacted: 2, Tombstones: 1, Behind: 2})
	l.wantVerdict(s, Incomplete, NotReplicated)

	l.jobs.cfg.Keys = 1
	s = l.verify()
	l.wantVerdict(s, Incomplete, CompactionUnsure, NotReplicated)
	if n := s.Result.Counts; n.Undecided == 0 || n.Undecided+n.Compacted+n.Tombstones != 3 {
		t.Errorf("%+v", n)
	}
}

// A topic that was deleted and created again is another, also where nothing of
// it has to be read.
func TestRecreatedTopicWithNothingToRead(t *testing.T) {
	l := newLab(t, 1, nil)
	l.facts.must(t, &fsm.Assign{Items: []fsm.Assignment{{Task: 2, To: "n"}}}, &fsm.MappingPut{Task: 2, Turn: 1,
		Mapping:  fsm.Mapping{Version: 1, Phase: fsm.PhaseTranslated, SourceTopicID: fsm.TopicID{1}, Segments: oracle.Segments(0, 0)},
		Progress: fsm.Progress{Source: 20, Target: 20}})
	l.wantVerdict(l.verify(), Incomplete, TopicChanged)
	l.facts.must(t, &fsm.MappingPut{Task: 2, Turn: 1,
		Mapping: fsm.Mapping{Version: 2, Phase: fsm.PhaseTranslated, TargetTopicID: fsm.TopicID{1}, Segments: oracle.Segments(0, 0)}})
	l.wantVerdict(l.verify(), Incomplete, TopicChanged)
}

// A stream that has not begun has compared nothing, though its source is empty.
func TestStreamsThatHaveNotBegun(t *testing.T) {
	l := newLab(t, 1, nil)
	l.wantVerdict(l.verify(), Equal) // both sides are empty
	l.put(l.euP, 0, 0, 5, nil)
	s := l.verify()
	l.wantVerdict(s, Incomplete, NotReplicated)
	if m := s.Result.LeftOut[0].Message; !strings.Contains(m, "offsets 0 to 4") {
		t.Error(m)
	}
	l.facts.must(t, &fsm.Assign{Items: []fsm.Assignment{{Task: 2, To: "n"}}},
		&fsm.TaskStop{Task: 2, Turn: 1, Stop: fsm.Stop{Code: fsm.CodeNotEmpty, From: 0, To: 5}})
	l.wantVerdict(l.verify(), Incomplete, Stopped)
}

// A batch of the target that is not opened may hold anything.
func TestTargetBatchBeyondTheLimit(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 40, nil)
	l.put(l.euP, 0, 0, 40, nil)
	l.mapped(fsm.PhaseDense, fsm.Progress{Source: 40, Target: 40}, oracle.Segments(0, 0)...)
	l.put(l.euP, 0, 40, 41, func(_ int, r *kgo.Record) []*kgo.Record {
		r.Value = []byte(strings.Repeat("x", 700<<10))
		return []*kgo.Record{r}
	})
	l.jobs.cfg.Budget = 512 << 10
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 40})
	l.wantVerdict(s, Incomplete, BatchTooLarge)
	if m := s.Result.LeftOut[0].Message; !strings.Contains(m, "target offsets 40 to 40") {
		t.Error(m)
	}
}

// What stands in the target behind all that was copied is not the source's: a
// translated stream is no exception.
func TestTailOfATranslatedStream(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 40, nil)
	l.put(l.euP, 0, 0, 40, nil)
	l.put(l.euP, 0, 38, 40, nil) // a batch written twice
	l.mapped(fsm.PhaseTranslated, fsm.Progress{Source: 40, Target: 40}, oracle.Segments(0, 0)...)
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 40, Extra: 2})
	l.wantVerdict(s, Differs)
}

// A stream that goes on elsewhere while it is compared is compared again.
func TestMappingThatChangesMeanwhile(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 40, nil)
	l.put(l.euP, 0, 90, 100, nil) // what stood there before the target's log was cut off
	l.put(l.euP, 0, 10, 40, nil)
	l.mapped(fsm.PhaseDense, fsm.Progress{Source: 40, Target: 40}, oracle.Segments(0, 0)...)
	changes := 1
	l.fake["us"].ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		l.fake["us"].KeepControl()
		if changes > 0 {
			changes--
			l.mapped(fsm.PhaseDense, fsm.Progress{Source: 40, Target: 40}, oracle.Segments(10, 10)...)
		}
		return nil, nil, false
	})
	l.trim(l.us, 0, 10)
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 30})
	l.wantVerdict(s, Equal)

	changes = 100
	s = l.verify()
	l.wantCounts(s, Counts{})
	l.wantVerdict(s, Incomplete, Unreadable)
	if m := s.Result.LeftOut[0].Message; !strings.Contains(m, errMappingChanged.Error()) {
		t.Error(m)
	}
}

// Offsets are asked for in one request to each broker, however many partitions
// there are; one that cannot be asked is named alone.
func TestOffsetsAreAskedForTogether(t *testing.T) {
	const partitions = 60
	l := newLab(t, partitions, nil)
	for p := range int32(partitions) {
		l.put(l.usP, p, 0, 4, nil)
		l.put(l.euP, p, 0, 4, nil)
		l.trim(l.eu, p, 2)
	}
	l.mapped(fsm.PhaseDense, fsm.Progress{Source: 4, Target: 4}, oracle.Segments(0, 0)...)
	var asked atomic.Int64
	for _, fake := range l.fake {
		fake.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
			fake.KeepControl()
			asked.Add(1)
			return nil, nil, false
		})
	}
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 2 * partitions, Trimmed: 2 * partitions})
	l.wantVerdict(s, Equal)
	// Both ends, both starts, the target's end again, the age at the source, of two brokers.
	if n := asked.Load(); n > 12 {
		t.Errorf("%d requests for offsets", n)
	}

	eu := l.fake["eu"]
	eu.ControlKey(int16(kmsg.ListOffsets), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		eu.KeepControl()
		req := kreq.(*kmsg.ListOffsetsRequest)
		if req.Topics[0].Partitions[0].Timestamp != -2 { // the log starts
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, t := range req.Topics {
			out := kmsg.NewListOffsetsResponseTopic()
			out.Topic = t.Topic
			for _, p := range t.Partitions {
				x := kmsg.NewListOffsetsResponseTopicPartition()
				x.Partition, x.Offset = p.Partition, 2
				if p.Partition == 7 {
					x.ErrorCode = kerr.TopicAuthorizationFailed.Code
				}
				out.Partitions = append(out.Partitions, x)
			}
			resp.Topics = append(resp.Topics, out)
		}
		return resp, nil, true
	})
	l.jobs.cfg.Pause = time.Millisecond
	s = l.verify()
	l.wantCounts(s, Counts{Compared: 2 * (partitions - 1), Trimmed: 2 * (partitions - 1)})
	l.wantVerdict(s, Incomplete, Unreadable)
	if p := s.Result.LeftOut[0].Partitions; fmt.Sprint(p) != "[7]" {
		t.Errorf("%v", p)
	}
}

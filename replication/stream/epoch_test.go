package stream_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/test/rig"
)

// beyondTheCheckpoint is a stream whose owner n1 died with five records
// checkpointed and ten copied.
func beyondTheCheckpoint(t *testing.T, source, target []string) *rig.Pair {
	t.Helper()
	p := rig.NewPair(t, source, target, fsm.LinkSpec{}, map[string]int32{"orders": 1}, "n1", "n2")
	r1, n1 := p.Runner(t, "n1", nil)
	p.Own(t, r1, "n1")
	p.Produce(t, "orders", 0, 0, 5)
	p.Copied(t, "orders", 0, 5, 0)
	n1.Checkpoint(t, r1)
	p.Produce(t, "orders", 0, 5, 10)
	p.Copied(t, "orders", 0, 10, 0)
	r1.Close()
	return p
}

// TestSuccessorTellsTheSourceEpoch: a successor that goes on beyond the
// checkpoint tells the source which leader epoch the record before has, so
// that a source which lost that record says so.
func TestSuccessorTellsTheSourceEpoch(t *testing.T) {
	src := rig.Kfake(t, "source", 1)
	_, dst := rig.Embedded(t)
	p := beyondTheCheckpoint(t, src.ListenAddrs(), dst)
	var asked atomic.Bool
	var epoch atomic.Int32
	src.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		src.KeepControl()
		for _, topic := range req.(*kmsg.FetchRequest).Topics {
			for _, part := range topic.Partitions {
				if part.FetchOffset == 10 && asked.CompareAndSwap(false, true) {
					epoch.Store(part.LastFetchedEpoch)
				}
			}
		}
		return nil, nil, false
	})
	r2, _ := p.Runner(t, "n2", nil)
	p.Own(t, r2, "n2")
	rig.Until(t, 30*time.Second, "the successor's first fetch", asked.Load)
	if epoch.Load() < 0 {
		t.Errorf("last fetched epoch %d", epoch.Load())
	}
	if at := first(p).Copy.Progress.Source; at != 5 {
		t.Fatalf("the checkpoint is at %d: nothing was derived", at)
	}
}

// TestComparesWhatIsReplicated: a source whose leader epoch ended before the
// position is compared with the target, but not before the target's high
// watermark shows all of it: what cannot be read yet is no difference.
func TestComparesWhatIsReplicated(t *testing.T) {
	src, dst := rig.Kfake(t, "source", 1), rig.Kfake(t, "target", 1)
	p := beyondTheCheckpoint(t, src.ListenAddrs(), dst.ListenAddrs())
	logEnds(src, func() (int64, bool) { return 7, true }) // an election since
	lags := highWatermark(dst, 8)
	describe(dst, p, 9) // without the producer's state the end of the log would be read, and waited for, before
	r2, _ := p.Runner(t, "n2", nil)
	s := p.Own(t, r2, "n2")[0]
	rig.Until(t, 30*time.Second, "it waits", func() bool {
		m := s.Measure()
		return m.State == fsm.CodeWaiting && strings.Contains(m.Message, "not replicated yet")
	})
	lags.Store(false)
	rig.Until(t, 30*time.Second, "it goes on", func() bool { return s.Measure().LagRecords == 0 })
	if st := first(p).Copy.Stop; st != nil {
		t.Errorf("stopped by %+v", st)
	}
}

// TestBelievesTwoEqualReadings: a log end that has moved on between two readings
// says that another still writes: nothing is derived from the first of them.
func TestBelievesTwoEqualReadings(t *testing.T) {
	_, src := rig.Embedded(t)
	dst := rig.Kfake(t, "target", 1)
	p := beyondTheCheckpoint(t, src, dst.ListenAddrs())
	var asked atomic.Int64
	logEnds(dst, func() (int64, bool) { return 9, asked.Add(1) == 1 }) // what the first reading may still see
	r2, _ := p.Runner(t, "n2", nil)
	s := p.Own(t, r2, "n2")[0]
	rig.Until(t, 30*time.Second, "it goes on, or stops", func() bool { return s.Measure().LagRecords == 0 || first(p).Copy.Stop != nil })
	if st := first(p).Copy.Stop; st != nil || s.Measure().Target != 10 || asked.Load() < 4 {
		t.Errorf("at target offset %d after %d readings, stopped by %+v", s.Measure().Target, asked.Load(), st)
	}
}

// TestWaitsForTheTailToBeReplicated: where the broker does not know the producer,
// the last batch tells whose the log is. It cannot be read before the high
// watermark has passed it, and the stream says that it waits for that.
func TestWaitsForTheTailToBeReplicated(t *testing.T) {
	_, src := rig.Embedded(t)
	dst := rig.Kfake(t, "target", 1)
	p := beyondTheCheckpoint(t, src, dst.ListenAddrs())
	lags := highWatermark(dst, 8)
	r2, _ := p.Runner(t, "n2", nil)
	s := p.Own(t, r2, "n2")[0]
	rig.Until(t, 30*time.Second, "it waits", func() bool { return strings.Contains(s.Measure().Message, "not replicated yet") })
	lags.Store(false)
	rig.Until(t, 30*time.Second, "it goes on", func() bool { return s.Measure().LagRecords == 0 })
	if st := first(p).Copy.Stop; st != nil || s.Measure().Target != 10 {
		t.Errorf("at target offset %d, stopped by %+v", s.Measure().Target, st)
	}
}

// TestComparisonGoesOn: a comparison of many records that is broken off goes on
// where it was, and says how far it is.
func TestComparisonGoesOn(t *testing.T) {
	const records = 25_000
	src, dst := rig.Kfake(t, "source", 1), rig.Kfake(t, "target", 1)
	p := rig.NewPair(t, src.ListenAddrs(), dst.ListenAddrs(), fsm.LinkSpec{}, map[string]int32{"orders": 1}, "n1", "n2")
	r1, n1 := p.Runner(t, "n1", nil)
	p.Own(t, r1, "n1")
	p.Produce(t, "orders", 0, 0, 5)
	p.Copied(t, "orders", 0, 5, 0)
	n1.Checkpoint(t, r1)
	p.Produce(t, "orders", 0, 5, records)
	rig.Until(t, 30*time.Second, "all copied", func() bool { return p.End(t, "orders", 0) == records })
	r1.Close()
	logEnds(src, func() (int64, bool) { return 7, true }) // an election since
	describe(dst, p, records-1)
	var broken, again atomic.Int32 // fetches behind the first part, and of the first part after one was broken off
	src.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		src.KeepControl()
		for _, topic := range req.(*kmsg.FetchRequest).Topics {
			for _, part := range topic.Partitions {
				switch {
				case part.FetchOffset > 9000 && part.FetchOffset < 20_000 && broken.Load() < 3:
					broken.Add(1)
					return nil, errors.New("cut"), true
				case part.FetchOffset < 9000 && broken.Load() > 0:
					again.Add(1)
				}
			}
		}
		return nil, nil, false
	})
	r2, _ := p.Runner(t, "n2", nil)
	s := p.Own(t, r2, "n2")[0]
	rig.Until(t, 30*time.Second, "it goes on", func() bool { m := s.Measure(); return m.LagRecords == 0 && m.State == fsm.CodeIdle })
	if n := broken.Load(); n != 3 {
		t.Fatalf("broken off %d times", n)
	}
	if n := again.Load(); n > 0 {
		t.Errorf("%d fetches of what was compared before", n)
	}
	if st := first(p).Copy.Stop; st != nil {
		t.Errorf("stopped by %+v", st)
	}
}

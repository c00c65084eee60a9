package verify

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/test/oracle"
)

// A node runs so many jobs and no more; which ones is said.
func TestJobsAreBounded(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 10, nil)
	l.mapped(fsm.PhaseDense, fsm.Progress{}, oracle.Segments(0, 0)...)
	l.jobs.cfg.Wait, l.jobs.cfg.Running = time.Hour, 2
	start := func() (*Job, error) { return l.jobs.Start(Request{Link: "us-eu"}) }
	for range 2 {
		if _, err := start(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := start(); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "2: v1 of link us-eu, v2 of link us-eu") {
		t.Error(err)
	}
	if err := l.jobs.Cancel("v1"); err != nil {
		t.Fatal(err)
	}
	<-l.jobs.List()[0].Ended()
	if _, err := start(); err != nil {
		t.Error(err)
	}
}

// A job that nobody asks about ends, one that is asked about does not.
func TestJobThatNobodyAsksAboutEnds(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 10, nil)
	l.mapped(fsm.PhaseDense, fsm.Progress{}, oracle.Segments(0, 0)...)
	l.jobs.cfg.Wait, l.jobs.cfg.Abandoned = time.Hour, 100*time.Millisecond
	left, err := l.jobs.Start(Request{Link: "us-eu"})
	if err != nil {
		t.Fatal(err)
	}
	l.jobs.cfg.Abandoned = time.Hour
	asked, err := l.jobs.Start(Request{Link: "us-eu"})
	if err != nil {
		t.Fatal(err)
	}
	<-left.Ended()
	if s := left.Status(); s.State != Cancelled || !strings.Contains(s.Err, "nobody asked") {
		t.Errorf("%+v", s)
	}
	if s := asked.Status(); s.State != Running {
		t.Errorf("%+v", s)
	}
}

// A partition that cannot be read for a while is tried again, and goes on where
// it stood: nothing is compared twice.
func TestPartitionIsTriedAgainWhereItStood(t *testing.T) {
	l := newLab(t, 1, nil)
	for n := range 20 {
		l.put(l.usP, 0, n*20, n*20+20, nil)
		l.put(l.euP, 0, n*20, n*20+20, nil)
	}
	l.mapped(fsm.PhaseDense, fsm.Progress{Source: 400, Target: 400}, oracle.Segments(0, 0)...)
	l.jobs.cfg.Retry, l.jobs.cfg.FetchBytes = time.Millisecond, 1<<10
	fake, fails, begun := l.fake["us"], 5, 0
	fake.ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		at := kreq.(*kmsg.FetchRequest).Topics[0].Partitions[0].FetchOffset
		if at == 0 {
			begun++
		}
		if at < 200 || fails == 0 {
			return nil, nil, false
		}
		fails--
		return nil, kerr.BrokerNotAvailable, true // the connection ends
	})
	l.jobs.cfg.Tries = 20
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 400})
	l.wantVerdict(s, Equal)
	if fails != 0 || begun != 1 {
		t.Errorf("%d failures left, read from the start %d times", fails, begun)
	}
	fails = 1000
	l.jobs.cfg.Tries = 3
	s = l.verify()
	l.wantVerdict(s, Incomplete, Unreadable)
	if fails > 997 || s.Result.Counts.Compared == 0 {
		t.Errorf("%d failures left, %+v", fails, s.Result)
	}
}

// What one batch may hold is bounded too.
func TestBatchOfTooManyRecordsIsNamed(t *testing.T) {
	l := newLab(t, 1, nil)
	l.put(l.usP, 0, 0, 50, nil)
	l.put(l.euP, 0, 0, 50, nil)
	l.mapped(fsm.PhaseDense, fsm.Progress{Source: 50, Target: 50}, oracle.Segments(0, 0)...)
	l.jobs.cfg.Records = 10
	s := l.verify()
	l.wantCounts(s, Counts{TooLarge: 50})
	l.wantVerdict(s, Incomplete, BatchTooLarge)
}

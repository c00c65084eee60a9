package stream

import (
	"fmt"
	"time"

	"sluice/fsm"
	"sluice/replication/wire"
)

const (
	// figureHolds is how old a figure may be: an older one is unknown.
	figureHolds = 10 * time.Second
	// quotaHolds is how long after a broker's quota let go a stream still counts
	// as slowed down: the next answer may be slowed down again.
	quotaHolds = 5 * time.Second
	// idleAfter is how long ago the last record of an idle stream was copied.
	idleAfter = 2 * time.Second
	// behindAfter: a stream whose last copied record is older while there are
	// more is catching up.
	behindAfter = 10 * time.Second
	// skew is how far ahead of this node's clock a producer's may be.
	skew = 10 * time.Second
)

// firstTime is the oldest timestamp, in unix ms, that is taken for one in
// milliseconds: the year 2000. Producers that write seconds, or none, leave
// some of 1970.
const firstTime = 946_684_800_000

// look is what is seen of an open pipe at a time.
type look struct {
	wire.Sight
	now time.Time
}

// lag is how far the stream is behind: in records, and by the age of the last
// one copied, in ms. -1: unknown, or older than figureHolds.
func (l *look) lag() (records, ms int64) {
	if l.Stable < 0 || l.now.Sub(l.Told) > figureHolds {
		return -1, -1
	}
	records = max(0, l.Stable-l.Progress.Source)
	age := l.now.Sub(time.UnixMilli(l.Time))
	switch {
	case records == 0 && l.Blind: // that there is no more was true before
		return -1, -1
	case records == 0:
		return 0, 0
	case l.Time < firstTime || age < -skew:
		return records, -1
	}
	return records, max(0, age.Milliseconds())
}

// state is what the stream does: it follows from the lag.
func (l *look) state() (code fsm.Code, message string) {
	records, ms := l.lag()
	if quota := l.quota(); quota != "" && records != 0 {
		return fsm.CodeQuotaThrottled, quota
	}
	switch {
	case records < 0 && l.Silent > figureHolds:
		return fsm.CodeUnreachable, fmt.Sprintf("%s has not answered for %v", l.Source.Broker(), l.Silent.Round(time.Second))
	case l.Stable < 0:
		return fsm.CodeStarting, "waits for the first answer of " + l.Source.Broker()
	case records == 0 && (l.Bytes == 0 || l.now.Sub(l.Moved) > idleAfter):
		return fsm.CodeIdle, ""
	case ms > behindAfter.Milliseconds():
		return fsm.CodeCatchingUp, ""
	}
	return fsm.CodeCopying, ""
}

// quota names the broker that slows the stream down; empty: none does.
func (l *look) quota() string {
	slowed := func(s wire.Slowed) bool { return !s.Until.IsZero() && l.now.Sub(s.Until) < quotaHolds }
	switch {
	case slowed(l.Source):
		return l.Source.Broker() + " slows down what is read from it, by a quota"
	case slowed(l.Target):
		return l.Target.Broker() + " slows down what is written to it, by a quota"
	}
	return ""
}

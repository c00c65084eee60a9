package wire

import (
	"math"
	"sync"
	"time"

	"sluice/task"
)

// Limiter bounds what this node fetches for one link, in bytes/s. A fetch may
// overdraw, since its first batch comes whole; the debt is waited for before
// the next. (A token bucket that only grants what it has, such as x/time/rate,
// cannot: how much a fetch brings is known when it is here.) Within any ten
// seconds burst, slice and a batch are all that it lets through beyond the rate.
type Limiter struct {
	share func() float64 // bytes/s that this node may fetch now; 0: no limit

	mu    sync.Mutex
	rate  float64
	have  float64 // bytes that may be fetched now, negative: debt
	at    time.Time
	asked time.Time           // when share was last asked
	users map[int32]time.Time // when a fetch from each broker last brought something
	drawn drawn
}

// drawn is what a Limiter has let through since it was last asked.
type drawn struct {
	bytes   int64
	limited bool // some fetch had to wait
	since   time.Time
}

const (
	// burst is how long a link may save up. A fetch takes as long to be answered.
	burst = time.Second / 4
	// slice is how long the fetches under way may at most bring for, together.
	slice = time.Second / 5
	// shareHolds is how soon a share that changed is known: with a takeover.
	shareHolds = time.Second / 5
	// activeFor is how long ago a fetch that counts brought something.
	activeFor = 2 * time.Second
)

// NewLimiter returns a limiter that asks share a few times a second.
func NewLimiter(share func() float64) *Limiter {
	return &Limiter{share: share, users: map[int32]time.Time{}}
}

// allow returns how many bytes the next fetch may ask for; 0: none now.
func (l *Limiter) allow(now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.asked) >= shareHolds {
		l.rate, l.asked = l.share(), now
	}
	if l.rate <= 0 {
		return math.MaxInt32
	}
	if !l.at.IsZero() {
		l.have += now.Sub(l.at).Seconds() * l.rate
	}
	l.at, l.have = now, min(l.have, l.rate*burst.Seconds())
	if l.have < 0 {
		l.drawn.limited = true
		return 0
	}
	for broker, at := range l.users {
		if now.Sub(at) > activeFor {
			delete(l.users, broker)
		}
	}
	return max(1, int(l.rate*slice.Seconds())/max(len(l.users), 1))
}

// take counts bytes that a fetch from a broker has brought.
func (l *Limiter) take(broker int32, bytes int, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate > 0 {
		l.have -= float64(bytes)
		l.users[broker] = now
		l.drawn.bytes += int64(bytes)
	}
}

// Draw is what was fetched since the last call; false: there is no limit, or
// not yet.
func (l *Limiter) Draw(now time.Time) (task.Draw, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.drawn
	l.drawn = drawn{since: now}
	if l.rate <= 0 || was.since.IsZero() || !now.After(was.since) {
		return task.Draw{}, false
	}
	return task.Draw{Rate: int64(float64(was.bytes) / now.Sub(was.since).Seconds()), Limited: was.limited}, true
}

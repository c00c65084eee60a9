package wire

import (
	"sync"
	"time"
)

// Limiter bounds what this node fetches for one link, in bytes/s. A fetch may
// overdraw; the debt is waited for before the next. (A token bucket that only
// grants what it has, such as x/time/rate, cannot: how much a fetch brings is
// known when it is here.)
type Limiter struct {
	share func() float64 // bytes/s that this node may fetch now; 0: no limit

	mu    sync.Mutex
	rate  float64
	have  float64 // bytes that may be fetched now, negative: debt
	at    time.Time
	asked time.Time // when share was last asked
}

// burst is how long a link may save up.
const burst = time.Second / 5

// NewLimiter returns a limiter that asks share once a second.
func NewLimiter(share func() float64) *Limiter { return &Limiter{share: share} }

// open reports whether the link may fetch now.
func (l *Limiter) open(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.asked) > time.Second {
		l.rate, l.asked = l.share(), now
	}
	if l.rate <= 0 {
		return true
	}
	if !l.at.IsZero() {
		l.have += now.Sub(l.at).Seconds() * l.rate
	}
	l.at, l.have = now, min(l.have, l.rate*burst.Seconds())
	return l.have >= 0
}

// take counts fetched bytes.
func (l *Limiter) take(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate > 0 {
		l.have -= float64(bytes)
	}
}

package replication

import (
	"sync"
	"time"

	"sluice/fsm"
)

// limiter bounds what this node fetches for one link, in bytes/s. Each node
// takes the share of the link's limit that its streams are of all the link's
// streams. A fetch may overdraw; the debt is waited for before the next.
type limiter struct {
	mu    sync.Mutex
	rate  float64 // bytes/s; 0: no limit
	have  float64 // bytes that may be fetched now, negative: debt
	at    time.Time
	asked time.Time // when the rate was last read from the facts
}

// burst is how long a link may save up.
const burst = time.Second / 5

// limiter returns the limiter of a link.
func (r *Runner) limiter(id fsm.LinkID) *limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.limits[id]
	if l == nil {
		l = &limiter{}
		r.limits[id] = l
	}
	return l
}

// open reports whether the link may fetch now.
func (l *limiter) open(r *Runner, id fsm.LinkID) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.asked) > time.Second {
		l.rate, l.asked = share(r.ctl.View(), id, r.cfg.Node), now
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
func (l *limiter) take(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate > 0 {
		l.have -= float64(bytes)
	}
}

// share is the node's part of a link's limit, by the streams that it owns.
func share(v *fsm.View, id fsm.LinkID, node string) float64 {
	link := v.Link(id)
	if link == nil || link.Spec.Limit <= 0 {
		return 0
	}
	ours, all := 0, 0
	for t := range v.Tasks {
		if t.Link != id || t.Kind != fsm.KindCopy {
			continue
		}
		all++
		if t.Owner == node {
			ours++
		}
	}
	return float64(link.Spec.Limit) * float64(ours) / float64(max(all, 1))
}

package cluster

import "time"

// Life is what a node is believed to be.
type Life string

// The lives. A silent node keeps its tasks and gets none; a dead one loses
// them.
const (
	LifeAlive  Life = "alive"
	LifeSilent Life = "silent"
	LifeDead   Life = "dead"
)

// listening is how long a judge listens at least before it calls anybody dead:
// everybody reports that often, and at once to a new leader.
const listening = reportEvery + leaderTick

// judge says from its last report whether a node is alive. since is when the
// judge began to listen (the begin of a leader's term): a leader that was cut
// off itself hears everybody again before it calls anybody dead. A node that
// reports but has not heard a leader for long is as dead as one that is not
// heard: it would not learn what it must start or stop.
func judge(now, since time.Time, r Report, t timing) Life {
	if r.Refused {
		return LifeDead
	}
	listened := now.Sub(since)
	age := listened
	if !r.At.IsZero() {
		age = now.Sub(r.At)
	}
	switch {
	case age >= t.dead && listened >= listening:
		return LifeDead
	case r.Deaf >= t.dead && listened >= t.dead+t.silent && !r.At.IsZero():
		return LifeDead
	case age >= t.silent || !r.Confirmed:
		return LifeSilent
	}
	return LifeAlive
}

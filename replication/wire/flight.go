package wire

import "time"

// flight tells how much has to be under way on a connection to make use of it: as
// many bytes as were answered in a second, in the shortest round trip. A broker
// that is near and busy answers late, but has answered sooner once; so what waits
// at it does not count as distance. One that is far gets more, round trip by round
// trip, until it takes no more in a second.
type flight struct {
	answered int64         // bytes
	shortest time.Duration // round trip, beginning with that of a small request; 0: none yet
	rate     float64       // bytes/s, the highest of late
}

// lately is how many round trips the highest rate is remembered for, about.
const lately = 32

// returned notes that bytes were answered after a round trip, and what was answered
// when they left.
func (f *flight) returned(bytes int, trip time.Duration, before int64) {
	f.answered += int64(bytes)
	trip = max(trip, time.Microsecond)
	if f.shortest == 0 || trip < f.shortest {
		f.shortest = trip
	}
	rate := float64(f.answered-before) / trip.Seconds()
	f.rate = max(rate, f.rate-(f.rate-rate)/lately)
}

// times is so many times what has to be under way, within the span.
func (f *flight) times(n float64, within Span) int {
	return int(min(max(n*f.rate*f.shortest.Seconds(), float64(within.Near)), float64(max(within.Near, within.Far))))
}

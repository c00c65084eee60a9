package wire

import (
	"testing"
	"time"

	"sluice/replication/pipe"
)

// way is a connection to a broker at a distance, that carries so many bytes a
// second: pipelined requests, answered in order.
type way struct {
	distance time.Duration
	rate     float64 // bytes/s
	free     time.Time
	now      time.Time
}

// send is when a request that is sent now is answered.
func (w *way) send(bytes int) time.Time {
	begin := w.now
	if w.free.After(begin) {
		begin = w.free
	}
	w.free = begin.Add(time.Duration(float64(bytes) / w.rate * float64(time.Second)))
	return w.free.Add(w.distance)
}

// TestFlight: a connection that is filled with window requests of the size that
// flight says comes near to what it can carry, wherever the broker is, and a near
// one gets no larger requests however long they wait at the broker.
func TestFlight(t *testing.T) {
	const window, least, most = 5, 512 << 10, 4 << 20
	for _, c := range []struct {
		name     string
		distance time.Duration
		rate     float64
		size     [2]int  // that it comes to
		share    float64 // of the rate that is reached
	}{
		{"near", time.Millisecond, 80e6, [2]int{least, least}, 0.95},
		{"near and slow", time.Millisecond, 4e6, [2]int{least, least}, 0.95},
		{"in a region", 10 * time.Millisecond, 60e6, [2]int{least, least}, 0.95},
		{"far", 100 * time.Millisecond, 80e6, [2]int{2 << 20, most}, 0.9},
		{"far and slow", 100 * time.Millisecond, 4e6, [2]int{least, least}, 0.9},
		{"farther than is made up for", 500 * time.Millisecond, 400e6, [2]int{most, most}, 0.08},
	} {
		f, w := flight{}, way{distance: c.distance, rate: c.rate, now: time.Unix(0, 0)}
		type request struct {
			sent, back time.Time
			bytes      int
			before     int64
		}
		var under []request
		size, since, at := 0, time.Time{}, int64(0)
		for i := range 400 {
			places := window
			if i == 0 {
				places = 1
			}
			for len(under) < places {
				size = f.times(2./window, Span{least, most})
				under = append(under, request{w.now, w.send(size), size, f.answered})
			}
			if i == 200 {
				since, at = w.now, f.answered
			}
			w.now = under[0].back
			f.returned(under[0].bytes, w.now.Sub(under[0].sent), under[0].before)
			under = under[1:]
		}
		if size < c.size[0] || size > c.size[1] {
			t.Errorf("%s: requests have %d bytes, want %d to %d", c.name, size, c.size[0], c.size[1])
		}
		if rate := float64(f.answered-at) / w.now.Sub(since).Seconds(); rate < c.share*c.rate {
			t.Errorf("%s: %.1f MB/s of %.1f", c.name, rate/1e6, c.rate/1e6)
		}
	}
}

// TestFlightForgets: what was fast once does not count for ever.
func TestFlightForgets(t *testing.T) {
	f := flight{}
	for range 100 {
		f.returned(8<<20, 100*time.Millisecond, f.answered)
	}
	if got := f.times(1, Span{0, 1 << 30}); got != 8<<20 {
		t.Errorf("%d bytes", got)
	}
	for range 300 {
		f.returned(1000, 100*time.Millisecond, f.answered)
	}
	if got := f.times(1, Span{0, 1 << 30}); got > 64<<10 {
		t.Errorf("after little was sent for long: %d bytes", got)
	}
}

// TestRequestsFollowTheRoundTrip: those to a broker that is far are larger, and so
// are the batches that are made of small ones; a new connection begins anew.
func TestRequestsFollowTheRoundTrip(t *testing.T) {
	cfg := DefaultConfig()
	s := newSender(&cfg, away{}, 1, pipe.Guarded)
	room := func(what string, want int) {
		t.Helper()
		s.pick(nil)
		if s.room != want || s.largestMerged() != want/mergedParts {
			t.Errorf("%s: a request of %d bytes, want %d; %d of a merged batch", what, s.room, want, s.largestMerged())
		}
	}
	room("nothing is known", cfg.Request.Near)
	s.returned(256<<10, 2*time.Millisecond, 0)
	room("near", cfg.Request.Near)
	s.goOn(nil, 0)
	for range 5 {
		s.returned(2<<20, 100*time.Millisecond, s.flight.answered-8<<20)
	}
	room("far", cfg.Request.Far)
	s.goOn(nil, time.Millisecond)
	room("on a new connection", cfg.Request.Near)
	for range 5 {
		s.returned(2<<20, 100*time.Millisecond, s.flight.answered-8<<20)
	}
	room("answers late and was quick when the connection was made", cfg.Request.Near)
}

// TestFetchesFollowTheRoundTrip: what a broker that is far is asked for at once, of
// all partitions and of each, is more.
func TestFetchesFollowTheRoundTrip(t *testing.T) {
	f, partition := idle()
	f.share = NewBudget(1 << 30).Share("target")
	f.share.Join()
	ask := func(what string, want int) {
		t.Helper()
		p := partition(0)
		f.attach(p, p.part())
		req, _ := f.build()
		if int(req.MaxBytes) != want || len(req.Partitions) != 1 || int(req.Partitions[0].MaxBytes) != want/partitionPart {
			t.Errorf("%s: asks for %d bytes, want %d: %+v", what, req.MaxBytes, want, req.Partitions)
		}
		f.session.reset()
		f.detach(p, p.part())
	}
	ask("nothing is known", f.cfg.Fetch.Near)
	f.flight.returned(256<<10, 2*time.Millisecond, 0)
	ask("near", f.cfg.Fetch.Near)
	f.begin(nil, 0)
	f.flight.returned(4<<20, 120*time.Millisecond, 0)
	ask("far", f.cfg.Fetch.Far)
	f.begin(nil, 0)
	ask("on a new connection", f.cfg.Fetch.Near)
}

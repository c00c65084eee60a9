package wire

import (
	"testing"
	"time"
)

// TestLimiter: a debt is waited for, a link saves up no more than a burst, and
// its share is asked for once a second.
func TestLimiter(t *testing.T) {
	rate, asked := 1000.0, 0 // bytes/s
	l := NewLimiter(func() float64 { asked++; return rate })
	now := time.Unix(1000, 0)
	step := func(what string, after time.Duration, bytes int, open bool) {
		t.Helper()
		now = now.Add(after)
		if got := l.open(now); got != open {
			t.Errorf("%s: open %v", what, got)
		}
		l.take(bytes)
	}
	step("at first", 0, 500, true)
	step("in debt", 0, 0, false)
	step("nearly paid", 499*time.Millisecond, 0, false)
	step("paid", time.Millisecond, 0, true)
	step("after an hour, no more than a burst is saved up", time.Hour, 200, true)
	step("which is spent to the last byte", 0, 1, true)
	step("and overdrawn by one", 0, 0, false)
	if asked != 2 {
		t.Errorf("the share was asked for %d times in an hour of two looks a second apart", asked)
	}
	rate = 0
	step("the limit is lifted, which is not known yet", time.Millisecond/2, 0, false)
	step("and known", 2*time.Second, 1<<30, true)
	step("no debt is made without a limit", 0, 0, true)
	rate = 1000
	step("limited again", 2*time.Second, 0, true)
}

// TestLimiterKeepsTheRate over any sequence of fetches, but for the last one.
func TestLimiterKeepsTheRate(t *testing.T) {
	const rate, fetch = 10_000, 3000
	l := NewLimiter(func() float64 { return rate })
	begin := time.Unix(1000, 0)
	bytes := 0
	for now := begin; now.Before(begin.Add(10 * time.Second)); now = now.Add(7 * time.Millisecond) {
		if l.open(now) {
			l.take(fetch)
			bytes += fetch
		}
	}
	if least, most := 10*rate-fetch, 10*rate+fetch+int(rate*burst.Seconds()); bytes < least || bytes > most {
		t.Errorf("%d bytes in ten seconds, want %d to %d", bytes, least, most)
	}
}

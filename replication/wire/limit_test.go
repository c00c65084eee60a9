package wire

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"sluice/task"
)

// TestLimiter: a debt is waited for, a link saves up no more than a burst, and
// its share is asked for a few times a second.
func TestLimiter(t *testing.T) {
	rate, asked := 1000.0, 0 // bytes/s
	l := NewLimiter(func() float64 { asked++; return rate })
	now := time.Unix(1000, 0)
	step := func(what string, after time.Duration, bytes, allowed int) {
		t.Helper()
		now = now.Add(after)
		if got := l.allow(now); got != allowed {
			t.Errorf("%s: %d bytes are allowed, want %d", what, got, allowed)
		}
		l.take(1, bytes, now)
	}
	step("at first", 0, 500, 200)
	step("in debt", 0, 0, 0)
	step("nearly paid", 499*time.Millisecond, 0, 0)
	step("paid", time.Millisecond, 0, 200)
	before := asked
	step("a moment later", shareHolds/2, 0, 200)
	if asked != before {
		t.Errorf("the share was asked for %d times within %v", asked-before, shareHolds)
	}
	step("after an hour, no more than a burst is saved up", time.Hour, 250, 200)
	step("which is spent to the last byte", 0, 1, 200)
	step("and overdrawn by one", 0, 0, 0)
	rate = 0
	step("the limit is lifted, which is not known yet", time.Millisecond/2, 0, 0)
	step("and known", 2*time.Second, 1<<30, math.MaxInt32)
	step("no debt is made without a limit", 0, 0, math.MaxInt32)
	rate = 1000
	step("limited again", 2*time.Second, 0, 200)
	rate = 1
	step("however little", 2*time.Second, 0, 1)
}

// TestLimiterShares what may be asked for among those who bring something.
func TestLimiterShares(t *testing.T) {
	l := NewLimiter(func() float64 { return 1000 })
	now := time.Unix(1000, 0)
	l.allow(now)
	l.take(1, 1, now)
	l.take(2, 1, now)
	if got := l.allow(now.Add(time.Second)); got != 100 {
		t.Errorf("%d bytes for one of two", got)
	}
	l.take(1, 1, now.Add(time.Second))
	if got := l.allow(now.Add(activeFor + time.Second/2)); got != 200 {
		t.Errorf("%d bytes, and the other brings nothing any more", got)
	}
}

// TestLimiterKeepsTheRate within 5 % in every ten seconds, whatever a fetch
// brings of what it may, however long it takes, and however many there are: but
// for a batch each, which comes whole.
func TestLimiterKeepsTheRate(t *testing.T) {
	const tick = time.Millisecond
	for _, c := range []struct {
		rate, batch, fetchers int
		takes                 time.Duration // a fetch
	}{
		{1 << 20, 16 << 10, 1, time.Millisecond}, {1 << 20, 256 << 10, 1, 20 * time.Millisecond}, {1 << 20, 16 << 10, 3, 100 * time.Millisecond},
		{5 << 20, 100_000, 3, 5 * time.Millisecond}, {50 << 20, 1 << 20, 3, 140 * time.Millisecond}, {50 << 20, 1 << 20, 1, 140 * time.Millisecond},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			l := NewLimiter(func() float64 { return float64(c.rate) })
			type fetch struct {
				by    int32
				bytes int
				due   time.Time
			}
			under := make([]fetch, c.fetchers)
			for i := range under {
				under[i].by = int32(i)
			}
			begin := time.Unix(1000, 0)
			var sums []int // bytes until each tick
			sum := 0
			for now := begin; now.Before(begin.Add(30 * time.Second)); now = now.Add(tick) {
				for i := range under {
					f := &under[i]
					if f.bytes > 0 && !now.Before(f.due) {
						l.take(f.by, f.bytes, now)
						sum, f.bytes = sum+f.bytes, 0
					}
					if f.bytes == 0 {
						if most := l.allow(now); most > 0 {
							f.bytes, f.due = max(1, most/c.batch)*c.batch, now.Add(c.takes)
						}
					}
				}
				sums = append(sums, sum)
			}
			const window = int(10 * time.Second / tick)
			var bytes []int
			for i := window; i < len(sums); i++ {
				bytes = append(bytes, sums[i]-sums[i-window])
			}
			bytes = bytes[window/10:] // it has begun
			off := float64(c.fetchers * c.batch)
			if least, most := slices.Min(bytes), slices.Max(bytes); float64(least) < 9.5*float64(c.rate)-off || float64(most) > 10.5*float64(c.rate)+off {
				t.Errorf("%d to %d bytes in ten seconds at %d bytes/s", least, most, c.rate)
			}
		})
	}
}

// TestLimiterTellsWhatIsDrawn since it was last asked, and whether a fetch had
// to wait.
func TestLimiterTellsWhatIsDrawn(t *testing.T) {
	rate := 1000.0
	l := NewLimiter(func() float64 { return rate })
	now := time.Unix(1000, 0)
	told := func(what string, want task.Draw, ok bool) {
		t.Helper()
		now = now.Add(time.Second)
		if got, is := l.Draw(now); got != want || is != ok {
			t.Errorf("%s: %+v, %v, want %+v, %v", what, got, is, want, ok)
		}
	}
	told("before anything was fetched", task.Draw{}, false)
	l.allow(now)
	l.take(1, 100, now)
	told("within the rate", task.Draw{Rate: 100}, true)
	told("at rest", task.Draw{}, true)
	l.allow(now)
	l.take(1, 600, now)
	l.allow(now)
	now = now.Add(time.Second)
	told("beyond it", task.Draw{Rate: 300, Limited: true}, true)
	rate = 0
	now = now.Add(time.Second)
	l.allow(now)
	told("without a limit", task.Draw{}, false)
}

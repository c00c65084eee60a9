package stream

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestStreamsTakeTurns: however many streams there are and whenever they began,
// they look around at a few instants, each as often as it should.
func TestStreamsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every, rounds = 5 * time.Second, 4
		instants, looks := map[time.Time]bool{}, make(chan []time.Time)
		for i := range 500 {
			go func() {
				w := watcher{every: every}
				time.Sleep(time.Duration(i) * 9973 * time.Microsecond)
				var at []time.Time
				for range rounds {
					time.Sleep(w.turn())
					at = append(at, time.Now())
				}
				looks <- at
			}()
		}
		for range 500 {
			at := <-looks
			for i := range at {
				instants[at[i]] = true
				if i > 0 && at[i].Sub(at[i-1]) != every {
					t.Fatalf("%v between two looks, want %v", at[i].Sub(at[i-1]), every)
				}
			}
		}
		if most := (rounds + 1) * turns; len(instants) > most {
			t.Errorf("the node wakes up %d times in %v, at most %d", len(instants), rounds*every, most)
		}
		if d := (&watcher{every: time.Nanosecond}).turn(); d <= 0 {
			t.Errorf("waits for %v", d)
		}
	})
}

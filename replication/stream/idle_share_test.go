package stream_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"sluice/fsm"
	"sluice/replication/stream"
)

// TestLimitGoesToTheBusy: of a link's limit a node whose streams rest keeps next
// to nothing, and gets its part back when they do not rest any more. All the
// while the link stays within 5 % of its limit, in every ten seconds.
func TestLimitGoesToTheBusy(t *testing.T) {
	const limit, size, tick = 2 << 20, 20_000, 100 * time.Millisecond
	inWaiting(t, 2, func(w *waiting) {
		spec := w.View().LinkNamed("l").Spec
		spec.Limit = limit
		w.Do(w, &fsm.Objects{Links: []fsm.LinkPut{{Spec: spec}}})
		ctx, stop := context.WithCancel(w.Context())
		var wg sync.WaitGroup
		var runners []*stream.Runner
		for i, name := range []string{"n1", "n2"} {
			r, _ := w.Runner(w, name, nil)
			runners = append(runners, r)
			for task := range w.View().Tasks {
				if task.Kind == fsm.KindCopy && task.Copy.Stream.Partition == int32(i) {
					w.Do(w, &fsm.Assign{Items: []fsm.Assignment{{Task: task.ID, Turn: task.Turn, To: name}}})
					r.StartStream(ctx, w.View().Task(task.ID))
				}
			}
			wg.Go(func() { _ = r.Run(ctx) })
		}
		w.runner = runners[0]
		var sums [2][]float64 // bytes/s of each node in each tick
		sample := func(d time.Duration) {
			for range d / tick {
				before := [2]int64{runners[0].Stats().Bytes, runners[1].Stats().Bytes}
				time.Sleep(tick)
				for i, r := range runners {
					sums[i] = append(sums[i], float64(r.Stats().Bytes-before[i])/tick.Seconds())
				}
			}
		}
		mean := func(i, from, to int) (sum float64) {
			for _, b := range sums[i][from:to] {
				sum += b / float64(to-from)
			}
			return sum
		}
		w.fillThese([]int32{0}, 60*limit/size, size)
		sample(20 * time.Second)
		second := len(sums[0])
		w.fillThese([]int32{1}, 20*limit/size, size)
		sample(20 * time.Second)
		const window = int(10 * time.Second / tick)
		for at := 50; at+window <= len(sums[0]); at++ { // it has begun
			if both := mean(0, at, at+window) + mean(1, at, at+window); both < 0.95*limit || both > 1.05*limit {
				t.Errorf("%.0f bytes/s in the ten seconds from %v on, want %d", both, time.Duration(at)*tick, limit)
				break
			}
		}
		if alone := mean(0, 100, second); alone < 0.95*limit {
			t.Errorf("%.0f bytes/s while the other node rests, want %d", alone, limit)
		}
		for i := range runners {
			if half := mean(i, second+50, len(sums[i])); half < 0.45*limit || half > 0.55*limit {
				t.Errorf("%.0f bytes/s of node %d while both are busy, want half of %d", half, i+1, limit)
			}
		}
		stop()
		wg.Wait()
		for _, r := range runners {
			r.Close()
		}
	})
}

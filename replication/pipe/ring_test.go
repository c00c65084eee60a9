package pipe

import (
	"testing"

	"pgregory.net/rapid"
)

// TestRingIsAQueue: first in, first out, whatever wraps around or grows.
func TestRingIsAQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r ring
		var want []int64
		for _, pushed := range rapid.SliceOf(rapid.Int64Range(-1, 100)).Draw(t, "offsets pushed, -1 pops") {
			if pushed >= 0 {
				r.push(item{from: pushed})
				want = append(want, pushed)
			} else if len(want) > 0 {
				if got := r.pop().from; got != want[0] {
					t.Fatalf("popped %d, want %d", got, want[0])
				}
				want = want[1:]
			}
			r.settle()
			if r.len() != len(want) {
				t.Fatalf("%d items, want %d", r.len(), len(want))
			}
			for i, v := range want {
				if got := r.at(i).from; got != v {
					t.Fatalf("item %d is %d, want %d", i, got, v)
				}
			}
		}
	})
}

// TestRingGivesBurstsBack: thousands of idle pipes must not keep what each
// took once.
func TestRingGivesBurstsBack(t *testing.T) {
	var r ring
	for range 1000 {
		r.push(item{})
	}
	for range 1000 {
		r.settle()
		r.pop()
	}
	if r.settle(); r.slots != nil {
		t.Errorf("an empty ring keeps %d slots", len(r.slots))
	}
}

package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// alone is the only share of a budget, in use.
func alone(limit int64) (*Budget, *Share) {
	b := NewBudget(limit)
	s := b.Share("us")
	s.Join()
	return b, s
}

func TestBudgetLetsALargeAnswerThroughAlone(t *testing.T) {
	_, b := alone(100)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := b.Reserve(t.Context(), 500); err != nil {
		t.Fatal(err)
	}
	if err := b.Reserve(ctx, 1); err == nil {
		t.Error("more fits beside it")
	}
	b.Release(500)
	if err := b.Reserve(t.Context(), 100); err != nil {
		t.Error(err)
	}
}

// TestBudgetWaits until there is room, or the caller gives up; then nothing is
// taken.
func TestBudgetWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget, b := alone(100)
		for _, n := range []int{40, 60} {
			if err := b.Reserve(t.Context(), n); err != nil {
				t.Fatal(err)
			}
		}
		got := make(chan error, 1)
		go func() { got <- b.Reserve(t.Context(), 50) }()
		synctest.Wait()
		b.Release(40)
		synctest.Wait()
		select {
		case err := <-got:
			t.Fatalf("50 bytes fit beside 60 of 100: %v", err)
		default:
		}
		b.Release(60)
		if err := <-got; err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Reserve(ctx, 60); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if used, limit := budget.Used(); used != 50 || limit != 100 {
			t.Errorf("%d of %d bytes used", used, limit)
		}
	})
}

// TestBudgetIsShort above three quarters of what a share could hold.
func TestBudgetIsShort(t *testing.T) {
	budget, b := alone(100)
	short := func(what string, s *Share, want bool) {
		t.Helper()
		if s.Short() != want {
			t.Errorf("%s: short is %v with %d bytes used", what, !want, s.used)
		}
	}
	for _, c := range []struct {
		more  int
		short bool
	}{{0, false}, {75, false}, {1, true}, {24, true}} {
		if err := b.Reserve(t.Context(), c.more); err != nil {
			t.Fatal(err)
		}
		short("alone", b, c.short)
	}
	b.Release(40) // of 100
	second := budget.Share("eu")
	second.Join()
	short("beside one that may fill 25", b, true)
	short("with 25 of its own and 15 that are free", second, false)
	if err := second.Reserve(t.Context(), 31); err != nil {
		t.Fatal(err)
	}
	short("31 of 40", second, true)
	b.Release(60)
	short("where the other holds nothing", second, false)
	if used, _ := budget.Used(); used != 31 {
		t.Errorf("%d bytes used by nobody", used-31)
	}
}

// TestBudgetKeepsParts: one that gives nothing back leaves the others their
// parts, and what nobody needs goes to whoever asks.
func TestBudgetKeepsParts(t *testing.T) {
	b := NewBudget(120)
	hung, second, third := b.Share("hung"), b.Share("second"), b.Share("third")
	for _, s := range []*Share{hung, second, third} {
		s.Join()
	}
	fill := func(s *Share) (n int) {
		for s.Try(1) {
			n++
		}
		return n
	}
	if n := fill(hung); n != 80 {
		t.Errorf("the first holds %d of 120, and two more may hold 20 each", n)
	}
	if n := fill(second); n != 20 {
		t.Errorf("the second got %d of its 20", n)
	}
	third.Leave()
	if n := fill(second); n != 20 {
		t.Errorf("the third has left, and the second got %d of its 20", n)
	}
	third.Join()
	if !third.Try(50) || third.Try(1) {
		t.Error("what comes while its part is lent goes through by single answers")
	}
	third.Release(50)
	hung.Release(80)
	if n := fill(third); n != 60 {
		t.Errorf("the third got %d, and the first may hold 20 of the 80 that are free", n)
	}
}

// holder is a share with what it was let in with.
type holder struct {
	*Share
	held    []int
	waiting []chan int
}

func (h *holder) reserve(n int) {
	c := make(chan int, 1)
	h.waiting = append(h.waiting, c)
	go func() {
		if h.Reserve(context.Background(), n) == nil {
			c <- n
		}
	}()
}

func (h *holder) giveBack() {
	if len(h.held) > 0 {
		h.Release(h.held[0])
		h.held = h.held[1:]
	}
}

// settle takes what was let in.
func (h *holder) settle() {
	synctest.Wait()
	h.waiting = slices.DeleteFunc(h.waiting, func(c chan int) bool {
		select {
		case n := <-c:
			h.held = append(h.held, n)
			return true
		default:
			return false
		}
	})
}

func (h *holder) sum() (sum int64) {
	for _, n := range h.held {
		sum += int64(n)
	}
	return sum
}

// TestBudgetProperties: whatever shares do, the sum is bounded, nobody waits
// whose share holds nothing or has room in its part, and all are let in when
// their own share gives back what it holds.
func TestBudgetProperties(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { rapid.Check(struct{ rapid.TB }{t}, budgetProperties) })
}

func budgetProperties(t *rapid.T) {
	const limit = 1000
	b := NewBudget(limit)
	all := make([]*holder, rapid.IntRange(1, 5).Draw(t, "shares"))
	for i := range all {
		all[i] = &holder{Share: b.Share(fmt.Sprint(i))}
		all[i].Join()
	}
	part := int64(limit / 2 / len(all))
	largest := rapid.IntRange(1, 400).Draw(t, "largest")
	check := func() {
		sum := int64(0)
		for _, h := range all {
			h.settle()
			mine := h.sum()
			if sum += mine; mine != h.used {
				t.Fatalf("%d bytes counted, %d held", h.used, mine)
			}
			if len(h.waiting) > 0 && (mine == 0 || int64(largest) <= part && mine+int64(largest) <= part) {
				t.Fatalf("one waits whose share holds %d of its %d", mine, part)
			}
		}
		most := int64(limit)
		if int64(largest) > part {
			most += int64(len(all) * largest)
		}
		if used, _ := b.Used(); used != sum || used > most {
			t.Fatalf("%d bytes used, %d held, at most %d", used, sum, most)
		}
	}
	for range rapid.IntRange(1, 60).Draw(t, "steps") {
		h := rapid.SampledFrom(all).Draw(t, "share")
		if rapid.IntRange(0, 2).Draw(t, "step") < 2 {
			h.reserve(rapid.IntRange(1, largest).Draw(t, "bytes"))
		} else {
			h.giveBack()
		}
		check()
	}
	for _, h := range all { // one after another: those behind still hold all that they do
		for h.settle(); len(h.held) > 0; h.settle() {
			h.giveBack()
		}
		if len(h.waiting) > 0 {
			t.Errorf("%d wait for ever", len(h.waiting))
		}
	}
	if used, _ := b.Used(); used != 0 {
		t.Errorf("%d bytes used by nobody", used)
	}
}

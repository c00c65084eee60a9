package wire

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudgetLetsALargeAnswerThroughAlone(t *testing.T) {
	b := NewBudget(100)
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
		b := NewBudget(100)
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
		if used, limit := b.Used(); used != 50 || limit != 100 {
			t.Errorf("%d of %d bytes used", used, limit)
		}
	})
}

// TestBudgetIsShort above three quarters.
func TestBudgetIsShort(t *testing.T) {
	b := NewBudget(100)
	for _, c := range []struct {
		more  int
		short bool
	}{{0, false}, {75, false}, {1, true}, {24, true}} {
		if err := b.Reserve(t.Context(), c.more); err != nil {
			t.Fatal(err)
		}
		if b.Short() != c.short {
			used, _ := b.Used()
			t.Errorf("short with %d bytes used: %v", used, b.Short())
		}
	}
	b.Release(100)
	if used, _ := b.Used(); used != 0 || b.Short() {
		t.Errorf("%d bytes used by nobody", used)
	}
}

package kafka

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
)

func TestBufferSizes(t *testing.T) {
	lastClass, lastSize := 0, 0
	for n := 0; n <= 1<<21; n += 1 + n/64 {
		class, size := bufSize(n)
		if size < n || n > 1<<minBufBits && size-n > size/4 {
			t.Fatalf("%d bytes in a buffer of %d", n, size)
		}
		if class < lastClass || size < lastSize || (class == lastClass) != (size == lastSize) && lastSize != 0 {
			t.Fatalf("%d bytes: class %d of %d after class %d of %d", n, class, size, lastClass, lastSize)
		}
		lastClass, lastSize = class, size
	}
	if class, size := bufSize(1 << 30); class >= bufClasses || size != 1<<30 {
		t.Fatal(class, size)
	}
	if class, _ := bufSize(1<<31 - 1); class >= bufClasses {
		t.Fatal(class)
	}
}

func TestBufferReuse(t *testing.T) {
	p := NewBuffers(1 << 20)
	a, _ := p.Get(context.Background(), nil, 100_000)
	if len(a.Bytes()) != 100_000 {
		t.Fatal(len(a.Bytes()))
	}
	a.Retain()
	a.Release()
	if p.Idle() != 0 {
		t.Fatal("given back while referenced")
	}
	a.Release()
	if p.Idle() != a.Size() {
		t.Fatal(p.Idle())
	}
	if b, _ := p.Get(context.Background(), nil, 99_000); b != a || len(b.Bytes()) != 99_000 || p.Idle() != 0 {
		t.Fatal("not reused")
	}
}

func TestBufferMisuse(t *testing.T) {
	b, _ := NewBuffers(1<<20).Get(context.Background(), nil, 1)
	b.Release()
	for name, f := range map[string]func(){"release": b.Release, "retain": b.Retain} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s after the last release passes", name)
				}
			}()
			f()
		}()
		b.refs.Store(0)
	}
}

// TestBuffersKeepWhatIsWanted fills the idle space with one size and goes on
// with another, which must drive the first out.
func TestBuffersKeepWhatIsWanted(t *testing.T) {
	p := NewBuffers(1 << 20)
	var held []*Buf
	for range 8 {
		b, _ := p.Get(context.Background(), nil, 1<<17)
		held = append(held, b)
	}
	for _, b := range held {
		b.Release()
	}
	if p.Idle() != 1<<20 {
		t.Fatal(p.Idle())
	}
	a, _ := p.Get(context.Background(), nil, 1<<16)
	a.Release()
	if b, _ := p.Get(context.Background(), nil, 1<<16); b != a {
		t.Fatal("the wanted size was not kept")
	}
	if p.Idle() > 1<<20 {
		t.Fatal(p.Idle())
	}
	big, _ := p.Get(context.Background(), nil, 2<<20)
	big.Release()
	if p.Idle() > 1<<20 {
		t.Fatal("a buffer larger than all idle space was kept")
	}
}

// testBudget counts, and refuses beyond its limit.
type testBudget struct {
	mu          sync.Mutex
	held, limit int
}

var errOverBudget = errors.New("over budget")

func (b *testBudget) Reserve(_ context.Context, n int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held+n > b.limit {
		return errOverBudget
	}
	b.held += n
	return nil
}

func (b *testBudget) Release(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held -= n
}

func TestBuffersBudget(t *testing.T) {
	budget := &testBudget{limit: 1 << 22}
	p := NewBuffers(1 << 20)
	var wg sync.WaitGroup
	for seed := range uint64(4) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, 0))
			var held []*Buf
			for range 2000 {
				if b, err := p.Get(context.Background(), budget, r.IntN(1<<19)); err == nil {
					held = append(held, b)
				}
				if len(held) > r.IntN(8) {
					held[0].Release()
					held = held[1:]
				}
			}
			for _, b := range held {
				b.Release()
			}
		})
	}
	wg.Wait()
	if budget.held != 0 || p.Idle() > 1<<20 {
		t.Fatalf("held %d, idle %d", budget.held, p.Idle())
	}
	budget.limit = 0
	if _, err := p.Get(context.Background(), budget, 1); !errors.Is(err, errOverBudget) {
		t.Fatal(err)
	}
}

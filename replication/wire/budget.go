package wire

import (
	"context"
	"slices"
	"sync"
)

// Budget bounds the bytes of batches that a node holds. Whoever takes memory
// does so through a Share of it: there is one for each Kafka cluster that is
// written to, so that one which takes nothing off our hands does not hold what
// the others need. Half of the memory is divided evenly among the shares in
// use, as their parts; the other half, and what is free of the parts of those
// who need it less, goes to whoever asks first:
//
//   - below its part a share is let in, whatever the others hold;
//   - beyond it, where all others can still fill theirs;
//   - a share that holds nothing is let in in any case. So nobody waits for
//     anything but that his own target takes what he holds, and what is larger
//     than the whole memory goes through alone.
//
// The sum stays below the limit but for the last rule: one answer for each
// share. A share that comes into use while its part is lent goes through by
// single answers until that was given back.
type Budget struct {
	limit int64

	mu      sync.Mutex
	used    int64
	shares  map[string]*Share // by name; they stay
	inUse   int64             // shares with users
	waiting []*waiting        // in the order in which they came
}

// waiting is a reservation that does not fit yet.
type waiting struct {
	share *Share
	bytes int64
	let   chan struct{} // closed when it is let in
}

// NewBudget returns a budget of limit bytes.
func NewBudget(limit int64) *Budget {
	return &Budget{limit: limit, shares: map[string]*Share{}}
}

// Used returns the bytes reserved now and the limit.
func (b *Budget) Used() (used, limit int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used, b.limit
}

// Share returns the share of a Kafka cluster, or of whoever else takes memory,
// by a name that no cluster has. It has no part until Join.
func (b *Budget) Share(name string) *Share {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.shares[name]
	if s == nil {
		s = &Share{budget: b}
		b.shares[name] = s
	}
	return s
}

// part is what a share in use may hold whatever the others do. Called with mu
// held.
func (b *Budget) part() int64 { return b.limit / 2 / max(b.inUse, 1) }

// letIn goes through those who wait, each share's in their order. Called with
// mu held.
func (b *Budget) letIn() {
	if len(b.waiting) == 0 {
		return
	}
	for _, s := range b.shares {
		s.behind = false
	}
	b.waiting = slices.DeleteFunc(b.waiting, func(w *waiting) bool {
		if w.share.behind || !w.share.fits(w.bytes) {
			w.share.behind = true
			return false
		}
		w.share.take(w.bytes)
		w.share.queued--
		close(w.let)
		return true
	})
}

// Share is what one Kafka cluster's streams hold of a Budget. It implements
// kafka.Budget, which is asked before an answer is read: a fetch then waits in
// its connection, which is the back-pressure.
type Share struct {
	budget *Budget

	// Guarded by the budget's lock.
	users  int
	used   int64
	queued int  // reservations that wait
	behind bool // letIn has met one of them
}

// Join gives the share its part until as many Leave have followed.
func (s *Share) Join() { s.join(1) }

// Leave is the end of a Join.
func (s *Share) Leave() { s.join(-1) }

func (s *Share) join(n int) {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	before := s.users > 0
	if s.users += n; before != (s.users > 0) {
		s.budget.inUse += int64(n)
		s.budget.letIn()
	}
}

// Reserve waits until n bytes fit.
func (s *Share) Reserve(ctx context.Context, n int) error {
	b := s.budget
	b.mu.Lock()
	if s.admit(n) {
		b.mu.Unlock()
		return nil
	}
	w := &waiting{share: s, bytes: int64(n), let: make(chan struct{})}
	b.waiting = append(b.waiting, w)
	s.queued++
	b.mu.Unlock()
	var err error
	select {
	case <-w.let:
	case <-ctx.Done():
		err = ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.waiting, w)
	if i < 0 {
		return nil // let in, perhaps as ctx ended
	}
	b.waiting = slices.Delete(b.waiting, i, i+1)
	s.queued--
	b.letIn()
	return err
}

// Try reserves n bytes if they fit now.
func (s *Share) Try(n int) bool {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	return s.admit(n)
}

// admit is Try, called with mu held.
func (s *Share) admit(n int) bool {
	if s.queued > 0 || !s.fits(int64(n)) {
		return false
	}
	s.take(int64(n))
	return true
}

// Release gives n bytes back, as they were reserved.
func (s *Share) Release(n int) {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	s.take(-int64(n))
	s.budget.letIn()
}

// Short reports that more than three quarters are used of what the share could
// hold now.
func (s *Share) Short() bool {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	return s.used > max(s.part(), s.used+s.free())*3/4
}

// Fetch is how large an answer should be: it is held as a whole until its last
// batch is written, and several should fit into the share's part.
func (s *Share) Fetch() int {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	return int(s.budget.part() / 4)
}

// Take counts n bytes that are held already; what comes after them waits.
func (s *Share) Take(n int) {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	s.take(int64(n))
}

func (s *Share) take(n int64) {
	s.used += n
	s.budget.used += n
}

// part is 0 where nobody uses the share.
func (s *Share) part() int64 {
	if s.users == 0 {
		return 0
	}
	return s.budget.part()
}

// free is what is free of the limit when all other shares have filled their
// parts.
func (s *Share) free() int64 {
	free := s.budget.limit - s.budget.used
	for _, other := range s.budget.shares {
		if other != s {
			free -= max(0, other.part()-other.used)
		}
	}
	return free
}

// fits says whether n bytes more are let in.
func (s *Share) fits(n int64) bool {
	b := s.budget
	return s.used == 0 || n <= s.free() || s.used+n <= s.part() && b.used+n <= b.limit
}

package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
)

// seeds are a Client's bootstrap addresses. kgo asks one after the other, and
// waits for one that accepts connections and never answers: so they are asked
// side by side first, and kgo is told those that answer.
type seeds struct {
	addrs    []string
	clientID string
	dial     dialFunc
	mech     sasl.Mechanism
	kgo      *kgo.Client
	ctx      context.Context // ends with the Client
	end      context.CancelFunc
	open     *sync.WaitGroup // of what must end before the pool is closed

	mu     sync.Mutex
	good   bool      // some answered, and no request has failed since they were fresh
	at     time.Time // when they did
	told   []string  // that kgo has, sorted
	look   *seeking  // under way
	closed bool
}

// seeking is one look at all addresses.
type seeking struct {
	done chan struct{}
	err  error
}

const (
	// seekTimeout is what an address may take to answer: a connection over a
	// long way with TLS and SASL takes eight round trips.
	seekTimeout = 5 * time.Second
	// seekGrace is how much longer than the quickest address the others may take
	// to be told to kgo too.
	seekGrace = 50 * time.Millisecond
)

// seek makes sure that some address answers. The error names each address.
func (s *seeds) seek(ctx context.Context) error {
	s.mu.Lock()
	if s.good || s.closed { // then kgo says so
		s.mu.Unlock()
		return nil
	}
	look := s.look
	if look == nil {
		look = &seeking{done: make(chan struct{})}
		s.look = look
		s.open.Go(func() { s.find(look) })
	}
	s.mu.Unlock()
	select {
	case <-look.done:
		return look.err
	case <-ctx.Done():
		return fmt.Errorf("waiting for an answer of %v: %w", s.addrs, ctx.Err())
	}
}

// failed says that a request has: the addresses are asked again before the next
// one, unless that was a moment ago.
func (s *seeds) failed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.good = s.good && time.Since(s.at) < seekTimeout
}

// close ends what is under way.
func (s *seeds) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.end()
}

// find asks all addresses until one has answered and the others have had their
// time.
func (s *seeds) find(look *seeking) {
	ctx, cancel := context.WithTimeout(s.ctx, seekTimeout)
	defer cancel()
	began := time.Now()
	var once sync.Once
	answers := s.ask(ctx, func() {
		once.Do(func() { time.AfterFunc(time.Since(began)+seekGrace, cancel) })
	})
	var good []string
	var errs unanswered
	for _, addr := range slices.Sorted(maps.Keys(answers)) {
		if answers[addr] == nil {
			good = append(good, addr)
		} else {
			errs = append(errs, answers[addr])
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(look.done)
	s.look, s.good, s.at = nil, len(good) > 0, time.Now()
	switch {
	case !s.good:
		look.err = errs
	case !slices.Equal(good, s.told):
		if look.err = s.kgo.UpdateSeedBrokers(good...); look.err == nil {
			s.told = good
		}
	}
}

// ask asks all addresses side by side; answered is called for each that does.
func (s *seeds) ask(ctx context.Context, answered func()) map[string]error {
	out := make(map[string]error, len(s.addrs))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, addr := range s.addrs {
		wg.Go(func() {
			err := s.askOne(ctx, addr)
			if err == nil {
				answered()
			}
			mu.Lock()
			defer mu.Unlock()
			out[addr] = err
		})
	}
	wg.Wait()
	return out
}

// askOne opens a connection to an address as far as a login.
func (s *seeds) askOne(ctx context.Context, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return &addressError{addr, err}
	}
	nc, err := s.dial(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	_, _, err = shake(ctx, nc, s.clientID, newLogin(s.mech, host), nil)
	if err != nil && (ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded)) {
		err = fmt.Errorf("%w: %w", ErrTimeout, errSilent)
	}
	if err != nil {
		err = &addressError{addr, err}
	}
	return err
}

// sought makes a request of any broker.
func sought[T any](ctx context.Context, s *seeds, request func() (T, error)) (got T, err error) {
	if err = s.seek(ctx); err != nil {
		return got, err
	}
	if got, err = request(); err != nil {
		s.failed()
	}
	return got, err
}

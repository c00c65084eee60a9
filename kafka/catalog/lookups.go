package catalog

import (
	"context"
	"log/slog"
	"sync"

	"sluice/kafka"
)

// lookups are the questions that a Catalog asks on goroutines of its own, until
// it is closed.
type lookups struct {
	mu     sync.Mutex
	wg     sync.WaitGroup // added to under mu, not after close
	closed bool
}

// start runs f unless the Catalog is closed.
func (l *lookups) start(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.wg.Go(f)
	}
	return !l.closed
}

// close lets nothing more start, ends what runs and waits for it.
func (l *lookups) close(end func()) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	end()
	l.wg.Wait()
}

// access is how one Kafka cluster is asked; nothing of it ever changes.
type access struct {
	ctx     context.Context // of its lookups
	name    string
	reach   func(context.Context) (*kafka.Client, error) // the pool's, for what is said of the cluster now
	cfg     Config
	lookups *lookups
	log     *slog.Logger
}

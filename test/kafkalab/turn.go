package kafkalab

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"sluice/test/scratch"
)

// turn waits until fewer clusters start on this machine than two for each
// processor: many that start at once take so long that brokers miss their
// heartbeats. end lets the next one start; so does the end of the process.
func turn(ctx context.Context) (end func(), err error) {
	dir, err := scratch.Shared("starting")
	if err != nil {
		return nil, fmt.Errorf("waiting to start: %w", err)
	}
	again := time.NewTicker(pollEvery)
	defer again.Stop()
	for {
		for i := range 2 * runtime.NumCPU() {
			lock, err := scratch.TryLock(filepath.Join(dir, fmt.Sprint(i)))
			if err != nil {
				return nil, fmt.Errorf("waiting to start: %w", err)
			}
			if lock != nil {
				return func() { lock.Close() }, nil
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting to start: %w", context.Cause(ctx))
		}
	}
}

package verify

import "context"

// rooms bound what all jobs of a node take together.
type rooms struct {
	partitions chan struct{} // one each that is compared
	large      chan struct{} // one: the batch that decompresses to more than smallBatch
}

func newRooms(partitions int) rooms {
	return rooms{partitions: make(chan struct{}, partitions), large: make(chan struct{}, 1)}
}

// smallBatch is how many bytes a reader keeps to decompress batches into.
const smallBatch = 2 << 20

// enter takes a place in a room, false: ctx ended first.
func enter(ctx context.Context, room chan struct{}) bool {
	select {
	case room <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func leave(room chan struct{}) { <-room }

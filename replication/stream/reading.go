package stream

import "sluice/replication/recovery"

// reading is what a long reading of logs rests on: where all of it is the same,
// it goes on where it was, however often it is broken off.
type reading struct {
	version        uint32 // of the mapping
	source, target int32  // leader epochs
	from, to       int64
}

// comparison is how far both sides were found to be equal.
type comparison struct {
	reading
	next int64 // source offset
}

// listing is which batches of ours were found.
type listing struct {
	reading
	next    int64 // target offset
	batches []recovery.Batch
}

// tell shows how far a long reading is, in offsets.
type tell func(doing string, done, all int64)

// Package wire moves batches: fetchers read many partitions of a link over one
// connection to a source broker, senders write to one target broker, and a
// Partition joins one pipe to its fetcher and its senders. All of a node share
// one memory budget, in shares by target.
//
// It must not know why a partition is copied, where it goes on after a fault,
// or Raft: a lease is a function that it asks before it writes unguarded.
//
// Goroutines: one per Fetcher and per Sender, and those of the connections,
// which call back. Locks, in the order in which they are taken:
// Fetcher.mu, Partition.mu, Sender.mu; innermost, the Budget's. None is held while anything is dialled,
// written or waited for.
package wire

// Package fsm owns the replicated facts of a Sluice cluster: its types, the
// commands that change them, Apply, the immutable View that readers see, and
// the snapshot format.
//
// It is pure: the same commands in the same order give the same View and the
// same snapshot bytes on every node. It knows no clock, randomness, goroutine,
// lock, context, logger or I/O, and it imports nothing else of Sluice; times
// and ids are made by the proposer and travel in the command. It must not know
// Raft, Kafka clients, or how a fact is carried out.
package fsm

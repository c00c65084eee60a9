// Package replication runs streams: it fetches the batches of one source
// partition and appends them to one target partition, each record exactly
// once, by compare-and-append (docs/explanation/exactly-once.md).
//
// From the task to the bytes:
//
//   - Runner starts a Stream for each copy task that this node owns.
//   - Stream is the control of one stream, one goroutine: it resolves or
//     derives the position, commits mappings, and remedies trouble.
//   - flow is the data of that stream between two connections: what was taken
//     from the source, what waits, what is in flight, what was acknowledged.
//   - lane fetches for many flows from one source broker.
//   - outlet produces for many flows to one target broker.
//   - site is one Kafka cluster as seen by all of them.
//
// It knows the control plane only as Control, and never the cluster package.
// The arithmetic is in position, opening batches in rewrite; both are pure.
package replication

// Package pipe owns the state of one partition under way: what was fetched and
// waits, what is in flight, what was acknowledged, and how it ends. A Pipe
// begins at a derived position and lives until the first fault; the next one
// begins at the position that package recovery derives after it.
//
// It is pure: fetched bytes and answers in, batches and verdicts out. Its owner
// (package wire) holds a lock around every call. It must not know connections,
// requests, or who owns the stream.
package pipe

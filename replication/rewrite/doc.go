// Package rewrite makes target batches of the source batches that cannot be
// passed on as the bytes they are: those that a stream resumes in the middle
// of, those with gaps, those stamped by the source broker, those of formats 0 and
// 1, those that are too large for the target, those that a filter touches, and
// tiny ones that are merged.
//
// Which records a filter keeps, package filter says.
//
// It is pure: bytes and values in, bytes and values out. It knows record
// batches (kafka/record) and offset segments; it must not know streams,
// brokers, who owns what, or how a batch is sent.
//
// The parts: Classify says from a header alone what has to happen to a batch;
// Rebuilder is the whole slow path from source batches to one batch for the
// target with its offset segments, its Split one that makes several of one batch,
// its Upgrade what makes one of format 2 of formats 0 and 1; Cursor keeps source
// and target offset in step.
//
// Errors are those of kafka/record, wrapped with the offset.
package rewrite

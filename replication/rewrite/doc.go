// Package rewrite opens record batches and builds new ones, for the batches
// of a stream that cannot be passed on as the bytes they are: those that a
// stream resumes in the middle of, those with gaps, those stamped by the
// source broker, those that a filter touches, and tiny ones that are merged.
//
// It is pure: bytes and values in, bytes and values out. It knows the record
// batch format (Kafka protocol guide, "Record Batch") and offset segments; it
// must not know streams, brokers, who owns what, or how a batch is sent.
//
// The parts: Classify says from a header alone what has to happen to a batch;
// Codec opens and builds (compression state, reused from batch to batch);
// Codec.Rebuild is the whole slow path from source batches to one batch for
// the target with its offset segments; Aborted filters what read_committed
// must not show; Cursor keeps source and target offset in step.
//
// Errors are kafka.ErrCorruptBatch and kafka.ErrUnsupportedFormat, wrapped
// with the offset, and ErrOverBudget.
package rewrite

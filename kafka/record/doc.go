// Package record is Kafka's record batches: the header of a batch as the bytes
// it is, its CRC, the codecs, the records inside, and which batches a
// read_committed reader must not show.
//
// It is pure: bytes and values in, bytes and values out. It knows the formats
// (Kafka protocol guide, "Record Batch") and must not know brokers, requests,
// streams or offset segments; what is written where is decided elsewhere.
//
// Messages of formats 0 and 1 (old.go) are batches too, which can be walked over
// and opened; what is built is of format 2.
//
// The parts: Batch is a batch in its buffer, changed in place (NextBatch splits
// fetched bytes into them, Rewrite makes one ready to be produced); Codec opens
// a batch and builds one from a Builder's records, its compression state
// reused from batch to batch; Aborted follows the transactions of a fetch
// answer.
//
// Errors are ErrCorruptBatch and ErrUnsupportedFormat, wrapped with the
// offset, and ErrOverBudget.
package record

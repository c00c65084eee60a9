// Package filler takes offsets of a target partition that no record of the
// source will have: those of transaction markers and of aborted records. A
// stream has one filler, a transactional id of its own, and each gap is taken
// by transactions that the filler aborts: an empty one takes one offset, its
// marker's; one of k-1 records takes k. Readers of committed data see nothing
// of it, and the records behind the gap stand at the source's offsets.
//
// It speaks to brokers. It must not know why a gap is there, where the log
// ought to end, who owns a stream, or Raft.
//
// What holds, whatever becomes of an owner or a request:
//
//   - What a transaction leaves lies inside the gap. The partition is added to
//     one only after the transaction before it was over and the log was then
//     seen to end where the gap begins. So its marker, by whomever it is ended
//     (this owner, the next one's Open, the coordinator's clock), takes an
//     offset of the gap, or the last one.
//   - Nothing of a filler is ever committed, not even where a marker of one
//     transaction comes late, into the next one.
//   - A transaction is over when the coordinator says so to a second EndTxn:
//     it answers the first one before the marker is in the log.
//   - A filler whose request was not answered is finished, as after any error:
//     the request may still be carried out, in a later transaction of the same
//     epoch too. Opening it anew raises the epoch, which refuses it.
//
// One thing takes an offset too many: a marker that the coordinator writes
// twice, because it, or the partition's leader, died or was cut off before the
// answer. Nobody outside can prevent it. Fill tells of it (EndError).
//
// Older versions of the transaction requests are spoken to all brokers
// (requests.go says which and why), so there is one way through a transaction.
// Brokers before 3.6 do not ask the coordinator whether a transactional batch
// belongs to a transaction, and could append a late one behind its marker: they
// get empty transactions only, one for each offset. Newer ones must not have it
// switched off (transaction.partition.verification.enable).
//
// What a target's operator may notice: records with the key "sluice-filler" in
// a reader of uncommitted data; markers, whose time is when they were written,
// so a search for a time in a partition that was copied long after it was
// written may end at a marker; and, for up to Timeout and the 10 s in which a
// coordinator looks at its clock, a last stable offset that stands still when
// an owner has died and nobody has taken over.
//
// Goroutines: none but those of the connections. Locks: one, of the list of
// connections, innermost.
package filler

// Package verify compares both sides of a link record by record: key, value,
// headers, timestamp, order, and the offset that the mapping promises.
//
// A Job covers all that the link's selectors mean: what no stream copies, what
// is stopped, not replicated yet, cannot be read or cannot be judged is named,
// and the sides are called equal only when nothing is (Result.Verdict).
//
// A Job takes its positions when it starts: it reads each stream's source up
// to the end that it had then, as far as that is replicated, and the target up
// to the same place. Records are held as digests in small windows, so memory
// does not depend on what is compared; of a compacted topic also the keys of
// which one side has records alone, up to a number (alone.go).
//
// What is compared (selection.go, bound.go, meet.go, retention.go) and the
// comparison itself (compare.go, compacted.go, alone.go, hole.go, loose.go) are
// pure; readers and jobs around them do the I/O. The package reads only: it must not know how records are copied,
// and it writes to no Kafka cluster and to no facts.
package verify

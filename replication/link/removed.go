package link

import (
	"cmp"
	"strings"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/offsets"
)

// TargetLost are copied records of a partition that the target removed, by its
// retention or by hand, while the source still has them.
type TargetLost struct {
	Topic     string // at the source
	Partition int32
	From, To  int64 // source offsets, To exclusive
}

// removed gives the source offsets of the records that a stream has copied and
// that only the source still has, where the logs start as told; from is to
// where there are none. Where the mapping does not tell exactly what stands at
// the target's log start, it is no more than what surely is gone.
func removed(c *fsm.Copy, sourceStart, targetStart int64) (from, to int64) {
	if c.Mapping == nil {
		return 0, 0
	}
	tr := offsets.Translate(c.Mapping)
	from = max(sourceStart, tr.Start())
	if targetStart <= tr.Target(tr.Start()) {
		return from, from
	}
	// Behind the last record before the target's start. What a gap of the source
	// took there, such as an aborted transaction, was never at the target.
	behind := min(tr.Source(targetStart), tr.Source(targetStart-1)+1)
	return from, max(from, min(behind, c.Progress.Source))
}

// keeps is what a topic promises to keep; -1: all.
type keeps struct {
	ms, bytes int64
}

// keepsOf reads it from a topic's settings in effect.
func keepsOf(topic []kafka.ConfigEntry) keeps {
	k := kafka.RetentionOf(topic)
	if !strings.Contains(cmp.Or(k.Policy, "delete"), "delete") {
		return keeps{-1, -1}
	}
	return keeps{k.Ms, k.Bytes}
}

// figure is a number that may not be known.
type figure struct {
	n     int64
	known bool
}

// broken trims a loss to what the topic's promise covers; From is To where that
// is nothing. Brokers remove whole segments and each at its own time, so the
// target may be ahead of the source with what is too old (young: the first
// source offset that is not, -1: all are) or beyond the size (of the target's
// partition). It is false where a figure that this needs is not known.
func (k keeps) broken(l TargetLost, young, size figure) (TargetLost, bool) {
	if k.ms >= 0 && !young.known || k.bytes >= 0 && !size.known {
		return l, false
	}
	switch {
	case k.bytes >= 0 && size.n >= k.bytes, k.ms >= 0 && young.n < 0:
		l.From = l.To
	case k.ms >= 0:
		l.From = min(max(l.From, young.n), l.To)
	}
	return l, true
}

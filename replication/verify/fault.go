package verify

// Kind is a kind of fault.
type Kind string

// The kinds.
const (
	Missing        Kind = "missing"         // a source record is not at the target
	Extra          Kind = "extra"           // a target record is not at the source, or is there twice
	Differing      Kind = "differing"       // the record at that place is another
	Misordered     Kind = "misordered"      // the record stands before or after where its order puts it
	OffsetMismatch Kind = "offset-mismatch" // the right record in the right order at another offset than promised
)

// Fault is one difference between the sides.
type Fault struct {
	Kind      Kind
	Topic     string // of the source
	Partition int32
	Source    int64 // offset, -1: none
	Target    int64 // offset, -1: none
	Message   string
}

// Counts says what a comparison found.
type Counts struct {
	Compared       int64 // records that are at both sides, in their order
	Missing        int64
	Extra          int64
	Differing      int64
	Misordered     int64
	OffsetMismatch int64
	TargetGone     int64 // of Missing: deleted at the target, though the source's own retention keeps them
	Compacted      int64 // at one side only, and the other, which is compacted, has a later record of their key: no fault
	Tombstones     int64 // at one side only, and the other may have removed them after its delete.retention.ms: no fault
	Trimmed        int64 // offsets that retention took from both sides, or is about to: no fault
	SourceGone     int64 // target offsets whose records were deleted at the source: not compared
	Filtered       int64 // source records that the link's filter leaves out: no fault
	Skipped        int64 // source records that the mapping leaves out: not compared
	Behind         int64 // source offsets that were not replicated when the comparison began: not compared
	TooLarge       int64 // source records in batches that decompress to more than the limit: not compared
	Inexact        int64 // source records whose place at the target is not known exactly: not compared
	Undecided      int64 // records at one side only of a compacted topic, for which no cause was looked: too many keys wait
}

// Faults is how many differences there are.
func (c *Counts) Faults() int64 {
	return c.Missing + c.Extra + c.Differing + c.Misordered + c.OffsetMismatch
}

// Add adds the counts of another partition.
func (c *Counts) Add(o Counts) {
	c.Compared += o.Compared
	c.Missing += o.Missing
	c.Extra += o.Extra
	c.Differing += o.Differing
	c.Misordered += o.Misordered
	c.OffsetMismatch += o.OffsetMismatch
	c.TargetGone += o.TargetGone
	c.Compacted += o.Compacted
	c.Tombstones += o.Tombstones
	c.Trimmed += o.Trimmed
	c.SourceGone += o.SourceGone
	c.Filtered += o.Filtered
	c.Skipped += o.Skipped
	c.Behind += o.Behind
	c.TooLarge += o.TooLarge
	c.Inexact += o.Inexact
	c.Undecided += o.Undecided
}

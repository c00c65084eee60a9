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
	Compacted      int64 // at one side only, of a topic that one side compacts: no fault
	Skipped        int64 // source records that the mapping leaves out: no fault
	Behind         int64 // source offsets that were not replicated when the comparison began: not compared
	Trimmed        int64 // offsets that retention took from either side: not compared
}

// Equal reports whether no fault was found.
func (c *Counts) Equal() bool {
	return c.Missing == 0 && c.Extra == 0 && c.Differing == 0 && c.Misordered == 0 && c.OffsetMismatch == 0
}

// Add adds the counts of another partition.
func (c *Counts) Add(o Counts) {
	c.Compared += o.Compared
	c.Missing += o.Missing
	c.Extra += o.Extra
	c.Differing += o.Differing
	c.Misordered += o.Misordered
	c.OffsetMismatch += o.OffsetMismatch
	c.Compacted += o.Compacted
	c.Skipped += o.Skipped
	c.Behind += o.Behind
	c.Trimmed += o.Trimmed
}

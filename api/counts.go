package api

// Counts says what a comparison found so far, in records or offsets.
type Counts struct {
	Compared       int64 `json:"compared" doc:"Records that are at both sides, in their order."`
	Missing        int64 `json:"missing" doc:"Source records that are not at the target."`
	Extra          int64 `json:"extra" doc:"Target records that are not at the source, or are there twice."`
	Differing      int64 `json:"differing" doc:"Another record stands in the place."`
	Misordered     int64 `json:"misordered" doc:"Out of order."`
	OffsetMismatch int64 `json:"offsetMismatch" doc:"At another offset than promised."`
	TargetGone     int64 `json:"targetGone" doc:"Of missing: deleted at the target though the source's own retention keeps them."`
	Compacted      int64 `json:"compacted" doc:"At one side only, and the other is compacted and has a later record of the key: no difference."`
	Tombstones     int64 `json:"tombstones" doc:"Tombstones at one side only that the other may have removed after its delete.retention.ms, and has nothing of the key before them: no difference."`
	Trimmed        int64 `json:"trimmed" doc:"Offsets that retention took from both sides, or is about to: no difference."`
	SourceGone     int64 `json:"sourceGone" doc:"Target offsets whose records the source deleted: not compared."`
	Filtered       int64 `json:"filtered" doc:"Source records that the link's filter leaves out: no difference."`
	Skipped        int64 `json:"skipped" doc:"Source records that the link went on past without copying them: not compared."`
	Behind         int64 `json:"behind" doc:"Source offsets that were not replicated: not compared."`
	TooLarge       int64 `json:"tooLarge" doc:"Records in batches that decompress to more than the limit: not compared."`
	Inexact        int64 `json:"inexact" doc:"Records whose place at the target is not known exactly: not compared."`
	Undecided      int64 `json:"undecided" doc:"Records at one side only of a compacted topic, of which it was not found out whether compaction removed them at the other."`
}

// Faults is how many differences there are.
func (c Counts) Faults() int64 {
	return c.Missing + c.Extra + c.Differing + c.Misordered + c.OffsetMismatch
}

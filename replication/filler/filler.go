package filler

// Partition is a target partition, and who led it when it was looked up last.
type Partition struct {
	Topic       string
	Partition   int32
	Leader      int32
	LeaderEpoch int32
}

// Filler takes offsets of one partition. One call at a time.
type Filler struct {
	conns  *conns
	at     Partition
	id     string
	number int // of its lane

	coordinator int32 // -1: to be looked for
	producer    int64
	epoch       int16
	sequence    int32 // of the next record
	records     int64 // that go into one batch
	err         error // the first one: it is finished
}

// lane is the filler's connection to a broker.
func (f *Filler) lane(broker int32) lane { return lane{broker, f.number} }

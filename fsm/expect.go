package fsm

// holds reports whether the expectation is met, and names what it is about.
func (x *Expectation) holds(v *View) (what string, met bool) {
	rev := uint64(0)
	if x.Kafka != "" {
		if k := v.KafkaCluster(x.Kafka); k != nil {
			rev = k.Revision
		}
		return "KafkaCluster " + x.Kafka, rev == x.Revision
	}
	if l := v.LinkNamed(x.Link); l != nil && !l.Deleting {
		rev = l.Revision
	}
	return "link " + x.Link, rev == x.Revision
}

// HasKafkaRevisions reports whether every Kafka cluster has a revision, which
// commands may expect.
func (v *View) HasKafkaRevisions() bool { return v.Feature >= featureExpected }

// touch notes the index of a stop or order, once every node can read it.
func (c *Copy) touch(e *edit) {
	if e.v.Feature >= featureExpected {
		c.Touched = e.index
	}
}

// seenBy reports whether who decided on the facts of an index, 0: on any, knew
// the stream's last stop and order.
func (c *Copy) seenBy(index uint64) bool { return index == 0 || c.Touched <= index }

// Seen is what commands that are for the stops of this View say, 0 while not
// every node could read it.
func (v *View) Seen() uint64 {
	if v.Feature < featureExpected {
		return 0
	}
	return v.Index
}

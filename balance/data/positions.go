package data

// positions is all replicas of a model as flat arrays, and where each is while a
// plan is made. A replica is a number; the replicas of partition p are first[p]
// to first[p+1], in the order of the partition's list.
type positions struct {
	m  *Model // with the partitions held of which no copy can be read
	ix brokerIndex

	first []int32 // by partition, one more than there are
	part  []int32 // by replica: its partition
	size  []int64 // by replica: its bytes
	at    []int32 // by replica: the broker that holds it now
	home  []int32 // by replica: the broker that held it at the start of the plan
}

// homeOf returns the replica of r's partition whose home b is, -1 if it is
// none's.
func (l *positions) homeOf(r, b int32) int32 {
	p := l.part[r]
	for s := l.first[p]; s < l.first[p+1]; s++ {
		if l.home[s] == b {
			return s
		}
	}
	return -1
}

// dirNow returns the log dir of r in the model on the broker that holds it now,
// -1 if it is not known.
func (l *positions) dirNow(r int32) int16 { return l.m.dirOf(l.part[r], l.m.Brokers[l.at[r]].ID) }

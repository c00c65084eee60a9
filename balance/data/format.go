package data

import (
	"encoding/json"
	"slices"
	"strconv"
)

// AppendPlan writes the changed partitions as lines of
//
//	topic,partition,new replicas[,log dirs]
//
// in the order of topic and partition, leader first.
func AppendPlan(dst []byte, m *Model, p *Proposal) []byte {
	ix := newBrokerIndex(m.Brokers)
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.returns() {
			continue
		}
		dst = append(dst, c.Topic...)
		dst = append(dst, ',')
		dst = strconv.AppendInt(dst, int64(c.ID), 10)
		dst = append(dst, ',')
		dst = appendIDs(dst, c.To, ' ')
		if c.ToDirs != nil {
			dst = append(dst, ',')
			for k, d := range c.ToDirs {
				if k > 0 {
					dst = append(dst, ' ')
				}
				dst = append(dst, m.dirPath(ix, c.To[k], d)...)
			}
		}
		dst = append(dst, '\n')
	}
	return dst
}

// AppendReassignment writes the changes as the JSON that Kafka's
// kafka-reassign-partitions reads.
func AppendReassignment(dst []byte, m *Model, p *Proposal) []byte {
	ix, first := newBrokerIndex(m.Brokers), true
	dst = append(dst, `{"version":1,"partitions":[`...)
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.returns() {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, "\n{\"topic\":"...)
		dst = appendJSON(dst, c.Topic)
		dst = append(dst, `,"partition":`...)
		dst = strconv.AppendInt(dst, int64(c.ID), 10)
		dst = append(dst, `,"replicas":[`...)
		dst = appendIDs(dst, c.To, ',')
		dst = append(dst, ']')
		if c.ToDirs != nil {
			dst = append(dst, `,"log_dirs":[`...)
			for k, d := range c.ToDirs {
				if k > 0 {
					dst = append(dst, ',')
				}
				dst = appendJSON(dst, m.dirPath(ix, c.To[k], d))
			}
			dst = append(dst, ']')
		}
		dst = append(dst, '}')
	}
	return append(dst, "\n]}\n"...)
}

// returns reports whether the partition ends as it began: it only makes room
// for a while.
func (c *Change) returns() bool {
	return slices.Equal(c.From, c.To) && slices.Equal(c.FromDirs, c.ToDirs)
}

// appendJSON writes s as a JSON string.
func appendJSON(dst []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil {
		return append(dst, `""`...) // a string can always be written
	}
	return append(dst, quoted...)
}

func appendIDs(dst []byte, ids []int32, sep byte) []byte {
	for k, id := range ids {
		if k > 0 {
			dst = append(dst, sep)
		}
		dst = strconv.AppendInt(dst, int64(id), 10)
	}
	return dst
}

// anyDir stands for a log dir that is not known or left to the broker, as in
// Kafka's tools.
const anyDir = "any"

// dirPath returns the path of a broker's log dir; "any" where it has none to
// choose from.
func (m *Model) dirPath(ix brokerIndex, id int32, dir int16) string {
	b := &m.Brokers[ix.of(id)]
	if dir < 0 || int(dir) >= len(b.Dirs) {
		return anyDir
	}
	return b.Dirs[dir].Path
}

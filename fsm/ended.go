package fsm

import "cmp"

// MaxEnded bounds the ended streams that are remembered, the last ones.
const MaxEnded = 20_000

// EndedStream is what is kept of a stream that is copied no more: its link was
// deleted, or no longer selects the topic. One of the same topics of the same
// Kafka clusters goes on where it was.
type EndedStream struct {
	Source   string    `json:"source"` // cluster id of the source
	Target   string    `json:"target"` // cluster id of the target
	Stream   StreamKey `json:"stream"`
	Mapping  Mapping   `json:"mapping"`
	Progress Progress  `json:"progress"`
	Index    uint64    `json:"index"` // Raft index of the command that ended it
	Unsure   bool      `json:"unsure,omitempty" feature:"6"`
}

func byStream(a, b *EndedStream) int {
	return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Target, b.Target), cmp.Compare(a.Stream.Topic, b.Stream.Topic),
		cmp.Compare(a.Stream.TargetTopic, b.Stream.TargetTopic), cmp.Compare(a.Stream.Partition, b.Stream.Partition))
}

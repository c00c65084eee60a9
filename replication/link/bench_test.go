package link

import (
	"fmt"
	"testing"

	"sluice/fsm"
	"sluice/kafka"
)

// BenchmarkRoundInStep is what a round decides of 2,500 topics with 2
// partitions of which nothing has changed.
func BenchmarkRoundInStep(b *testing.B) {
	state := fsm.NewState()
	apply := func(i uint64, c fsm.Command) {
		raw, err := fsm.Encode(c)
		if err == nil {
			_, err = state.Apply(i, raw)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	s := spec()
	s.Include = []string{"t*", "/x.*/"}
	apply(1, &fsm.ClusterInit{ClusterID: "a"})
	apply(2, &fsm.Objects{Kafka: []fsm.KafkaCluster{{Name: "us", Bootstrap: []string{"a:1"}}, {Name: "eu", Bootstrap: []string{"b:1"}}}, Links: []fsm.LinkPut{{Spec: s}}, At: 1})
	var topics []kafka.TopicMetadata
	var streams []fsm.StreamKey
	for i := range 2500 {
		name := fmt.Sprintf("t%04d", (i*7919)%2500)
		topics = append(topics, known(name, 1, 2))
		for p := range int32(2) {
			streams = append(streams, fsm.StreamKey{Topic: name, Partition: p, TargetTopic: name})
		}
	}
	for i, c := range streamsAdds(1, streams, nil, 1) {
		apply(uint64(i+3), c)
	}
	view := state.View()
	snap := &snapshot{link: view.Link(1), view: view}
	snap.source.meta.Topics, snap.target.meta.Topics = topics, topics
	b.ReportAllocs()
	for b.Loop() {
		in, err := newTopicsInput(snap, nil)
		if err != nil {
			b.Fatal(err)
		}
		if p := decideTopics(in); p.topics != 2500 || len(p.actions) != 0 {
			b.Fatalf("%+v", p)
		}
	}
}

package system

import (
	"testing"
	"time"

	"sluice/test/kafkalab"
)

func TestThreeNodes(t *testing.T) {
	kafkalab.Require(t)
	n := Start(t, Options{Nodes: 3})
	start := time.Now()
	n.Ready()
	t.Logf("ready after %v", time.Since(start))
	src, dst := kafkalab.StartPair(t, kafkalab.Config{}, kafkalab.Config{})
	t.Logf("labs after %v", time.Since(start))
	n.Apply(LinkYAML(src, dst, AllTopics))
	t.Logf("applied after %v", time.Since(start))
	if err := src.CreateTopic(t.Context(), kafkalab.Topic{Name: "orders", Partitions: 6}); err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	n.Copying(n.List()[0], 6, 20*time.Second)
	t.Logf("copying after %v: %v", time.Since(start), n.Owners(n.List()[0]))
}

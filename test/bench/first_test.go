package bench

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/test/kafkalab"
	"sluice/test/load"
	"sluice/test/rig"
	"sluice/test/system"
)

// TestFirstRecordBesideBase: a new link copies its first records as soon as
// with the commit SLUICE_BASE. Links are made at one node of each program in
// turn, to topics of their own.
func TestFirstRecordBesideBase(t *testing.T) {
	kafkalab.Require(t)
	both := programs(t)
	src, dst := kafkalab.StartPair(t, quick, quick)
	topic := load.Topic{Name: "first", Partitions: 8}
	if err := src.CreateTopic(t.Context(), kafkalab.Topic{Name: topic.Name, Partitions: topic.Partitions}); err != nil {
		t.Fatal(err)
	}
	system.Fill(t, src, load.Config{Topics: []load.Topic{topic}, Records: 8, Seed: 1})
	var nodes [2]*system.Nodes
	for i, p := range both {
		nodes[i] = system.Start(t, system.Options{Nodes: 1, Binary: p.binary})
		nodes[i].Ready()
	}
	cl, err := kgo.NewClient(system.Opts(t, dst)...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	link := 0
	inTurn(pairsOf(5, 25), func(of int, s *series) {
		link++
		name := fmt.Sprintf("first-%d", link)
		yaml := system.LinkYAML(src, dst, fmt.Sprintf("  topics: {include: [%q]}\n  rename: %q\n", topic.Name, name))
		began := time.Now()
		nodes[of].Apply(strings.Replace(yaml, "us-eu", name, 1))
		rig.Until(t, time.Minute, "a record of each partition is copied", func() bool { return hasRecords(t.Context(), cl, name, topic.Partitions) })
		took := time.Since(began)
		t.Logf("%-8s %v", both[of].name, took.Round(time.Millisecond))
		s.add(of, "first records after apply, ms", ms(took))
	}).judge(t)
}

// hasRecords asks the one broker of a cluster, with no cache between.
func hasRecords(ctx context.Context, cl *kgo.Client, topic string, partitions int32) bool {
	req := kmsg.NewPtrListOffsetsRequest()
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	for p := range partitions {
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp = p, -1
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, cl.Broker(0))
	if err != nil || len(resp.Topics) != 1 {
		return false
	}
	for _, p := range resp.Topics[0].Partitions {
		if p.ErrorCode != 0 || p.Offset < 1 {
			return false
		}
	}
	return true
}

package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/test/kafkalab"
	"sluice/test/load"
	"sluice/test/rig"
	"sluice/test/system"
)

// TestRaceWithBase: CPU and memory of a node that catches up are no worse than
// those of the commit SLUICE_BASE, while both copy the same records at the same
// time. What else the machine does slows both, so a few percent can be told;
// what it costs the target is in TestCostBesideBase.
func TestRaceWithBase(t *testing.T) {
	kafkalab.Require(t)
	both := programs(t)
	src, dst := kafkalab.StartPair(t, quick, quick)
	for _, sh := range shapes() {
		t.Run(sh.name, func(t *testing.T) {
			topic := fillShape(t, src, sh)
			s := &series{}
			for round := range pairsOf(5, 9) + 1 {
				into := s
				if round == 0 {
					into = &series{} // brokers get quicker
				}
				catchUp(t, src, dst, topic, both, round%2, into)
			}
			s.judge(t)
		})
	}
}

// fillShape makes a topic of the shape's records.
func fillShape(t *testing.T, src *kafkalab.Cluster, sh shape) load.Topic {
	t.Helper()
	topic := load.Topic{Name: sh.name, Partitions: 8}
	if err := src.CreateTopic(t.Context(), kafkalab.Topic{Name: topic.Name, Partitions: topic.Partitions, Configs: map[string]string{"max.message.bytes": "2000000"}}); err != nil {
		t.Fatal(err)
	}
	system.Fill(t, src, sh.load(load.Config{Topics: []load.Topic{topic}, Records: sh.records, Seed: 1}))
	return topic
}

// catchUp has both programs copy the topic at the same time, the one that
// begins first.
func catchUp(t *testing.T, src, dst *kafkalab.Cluster, topic load.Topic, both [2]program, begins int, into *series) {
	t.Helper()
	var nodes [2]*system.Nodes
	var copies [2]load.Topic
	for i, p := range both {
		nodes[i] = system.Start(t, system.Options{Nodes: 1, Memory: "256MiB", Binary: p.binary})
		copies[i] = load.Topic{Name: fmt.Sprintf("%s-%d", topic.Name, i), Partitions: topic.Partitions}
	}
	defer forget(t, dst, copies[:]...)
	var before [2]kafkalab.ProcessUsage
	for i, n := range nodes {
		n.Ready()
		defer n.List()[0].Kill()
		before[i] = usage(t, n.List()[0].PID())
	}
	for i := range 2 {
		of := (begins + i) % 2
		yaml := system.LinkYAML(src, dst, fmt.Sprintf("  topics: {include: [%q]}\n  rename: %q\n", topic.Name, copies[of].Name))
		nodes[of].Apply(strings.Replace(yaml, "us-eu", fmt.Sprintf("link-%d", of), 1))
	}
	all := logBytes(t, src, topic)
	rig.Until(t, 5*time.Minute, "both have copied everything", func() bool {
		return logBytes(t, dst, copies[0]) >= all && logBytes(t, dst, copies[1]) >= all
	})
	gb := float64(all) / 1e9
	for i, n := range nodes {
		u := usage(t, n.List()[0].PID())
		used := u.Sub(before[i])
		t.Logf("%-8s %.2f CPU-s/GB (user %.2f), peak %d MB", both[i].name, used.CPU().Seconds()/gb, used.User.Seconds()/gb, u.MaxRSS>>20)
		into.add(i, "CPU-s per wire GB", used.CPU().Seconds()/gb)
		into.note(i, "user CPU-s per wire GB", used.User.Seconds()/gb)
		into.add(i, "peak RSS MB", float64(u.MaxRSS)/(1<<20))
	}
}

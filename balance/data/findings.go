package data

import (
	"fmt"
	"slices"
	"strings"

	"sluice/words"
)

// Codes of findings.
const (
	CodeUnevenReplication = "uneven-replication" // partitions of one topic have different counts of replicas
	CodeUnnamedRack       = "unnamed-rack"       // some brokers have a rack and some have none
)

// findingsOf lists what is odd about a cluster.
func findingsOf(m *Model) []Finding {
	return append(unnamedRacks(m), unevenTopics(m)...)
}

// unnamedRacks tells the living brokers without a rack where others have one:
// Kafka spreads replicas over racks only if it knows the rack of every broker.
func unnamedRacks(m *Model) []Finding {
	v, named := Finding{Code: CodeUnnamedRack}, 0
	for i := range m.Brokers {
		switch b := &m.Brokers[i]; {
		case b.State == Dead:
		case b.Rack == "":
			v.Brokers = append(v.Brokers, b.ID)
		default:
			named++
		}
	}
	if named == 0 || v.Brokers == nil {
		return []Finding{}
	}
	n := len(v.Brokers)
	v.What = fmt.Sprintf("%s %s no rack, while %s %s one", words.Count(n, "broker"), have(n), words.Count(named, "other"), have(named))
	v.Help = "set broker.rack on all brokers or on none, and name the racks here: Kafka spreads replicas over racks only if every broker has one; this plan takes the brokers without one as a rack of their own"
	return []Finding{v}
}

// unevenTopics tells the topics whose partitions do not all have the same
// count of replicas: ten by name, the others as a number. Excluded partitions
// are left alone here too.
func unevenTopics(m *Model) []Finding {
	var list []Finding
	more := 0
	for i := 0; i < len(m.Partitions); {
		j := i + 1
		for j < len(m.Partitions) && m.Partitions[j].Topic == m.Partitions[i].Topic {
			j++
		}
		switch v, uneven := unevenTopic(m.Partitions[i:j]); {
		case !uneven:
		case len(list) == maxUneven:
			more++
		default:
			list = append(list, v)
		}
		i = j
	}
	if more > 0 {
		list = append(list, Finding{Code: CodeUnevenReplication, Help: unevenHelp,
			What: fmt.Sprintf("%s whose partitions have different numbers of replicas", words.Count(more, "more topic"))})
	}
	return list
}

// maxUneven is how many topics have a finding of their own.
const maxUneven = 10

const unevenHelp = "perhaps a reassignment is running: wait for its end, write the files anew and plan again; otherwise give all partitions of a topic the same number of replicas"

// unevenTopic looks at the partitions of one topic. Those with the count that
// most have are the rest; of counts equally frequent, those with the smallest:
// a running reassignment adds replicas first.
func unevenTopic(parts []Partition) (v Finding, uneven bool) {
	if !slices.ContainsFunc(parts, func(p Partition) bool { return len(p.Replicas) != len(parts[0].Replicas) }) {
		return v, false
	}
	byCount := make([][]int32, 0, 4) // ids by count of replicas
	for i := range parts {
		if parts[i].Hold == Excluded {
			continue
		}
		n := len(parts[i].Replicas)
		for len(byCount) <= n {
			byCount = append(byCount, nil)
		}
		byCount[n] = append(byCount[n], parts[i].ID)
	}
	usual, counts := 0, 0
	for n, ids := range byCount {
		if len(ids) > 0 {
			counts++
		}
		if usual < len(byCount) && len(ids) > len(byCount[usual]) {
			usual = n
		}
	}
	if counts < 2 {
		return v, false
	}
	v = Finding{Code: CodeUnevenReplication, Topic: parts[0].Topic, Help: unevenHelp}
	var differ []string
	for n, ids := range byCount {
		if n != usual && len(ids) > 0 {
			differ = append(differ, fmt.Sprintf("%s %s %s", words.Named("partition", ids), have(len(ids)), words.Count(n, "replica")))
		}
	}
	rest := "one has"
	if n := len(byCount[usual]); n > 1 {
		rest = fmt.Sprintf("%d have", n)
	}
	v.What = fmt.Sprintf("topic %s: %s; the other %s %d", v.Topic, strings.Join(differ, ", "), rest, usual)
	for i := range parts {
		if p := &parts[i]; p.Hold != Excluded && len(p.Replicas) != usual {
			v.Partitions = name(v.Partitions, p)
		}
	}
	return v, true
}

package data

import "slices"

// This file is about partitions whose copies are all on dead brokers. Nobody
// can send what they hold: a reassignment of such a partition waits for ever,
// and where the brokers are gone for good, its records are.

// holdLost returns m with these partitions held; m itself if there are none.
func holdLost(m *Model) *Model {
	if !slices.ContainsFunc(m.Brokers, func(b Broker) bool { return b.State == Dead }) {
		return m
	}
	ix, held := newBrokerIndex(m.Brokers), m
	for i := range m.Partitions {
		if m.sender(ix, m.Partitions[i].Replicas) >= 0 {
			continue
		}
		if held == m {
			held = &Model{Brokers: m.Brokers, Partitions: slices.Clone(m.Partitions)}
		}
		held.Partitions[i].Hold = lost
	}
	return held
}

// sender returns the place of the first living broker of a list, -1 if none
// is: once the others are known to be dead, it leads.
func (m *Model) sender(ix brokerIndex, list []int32) int32 {
	for _, id := range list {
		if b := ix.of(id); m.Brokers[b].State != Dead {
			return b
		}
	}
	return -1
}

// sources tells which partitions nobody can read until a dead broker is back.
func (u *unmetFinder) sources() {
	v, n := Unmet{Code: CodeNoSource, Hard: true}, 0
	for i := range u.m.Partitions {
		p := &u.m.Partitions[i]
		if p.Hold != lost {
			continue
		}
		n++
		v.Partitions = name(v.Partitions, p)
		for _, id := range p.Replicas {
			v.Brokers = insert(v.Brokers, id)
		}
	}
	if n == 0 {
		return
	}
	v.What = Count(n, "partition") + " left out: no living copy to read from, all are on dead brokers"
	v.Help = "bring one of these brokers back: until then nobody can send the records, and if the brokers are gone for good, the records are lost"
	u.list = append(u.list, v)
}

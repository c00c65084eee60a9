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

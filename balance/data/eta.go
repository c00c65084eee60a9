package data

import "slices"

// estimate says how long the proposal takes if every broker takes and gives at
// most the throttle: stage by stage, the busiest broker decides. The leader
// gives, so it is the broker that sends; where that is dead, the first living
// one in the list.
func estimate(m *Model, ix brokerIndex, p *Proposal, throttle int64) float64 {
	lists := make([][]int32, len(p.Changes))
	for i := range lists {
		lists[i] = p.Changes[i].From
	}
	in, out := make([]int64, len(m.Brokers)), make([]int64, len(m.Brokers))
	total := 0.0
	for _, stage := range p.Stages {
		clear(in)
		clear(out)
		for _, step := range stage.Steps {
			have, size := lists[step.Change], m.Partitions[p.Changes[step.Change].Partition].Size
			from := m.sender(ix, have)
			for _, id := range step.To {
				if !slices.Contains(have, id) {
					in[ix.of(id)] += size
					out[from] += size
				}
			}
			lists[step.Change] = step.To
		}
		total += float64(max(slices.Max(in), slices.Max(out))) / float64(throttle)
	}
	return total
}

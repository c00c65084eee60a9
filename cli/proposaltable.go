package cli

import (
	"slices"
	"strconv"
	"strings"

	"sluice/balance/data"
)

// moveTable is the TSV of a proposal: what becomes of each partition that
// changes, with its brokers, the leader first.
func moveTable(p *data.Proposal) *table {
	t := &table{cols: []column{{key: "topic"}, {key: "partition"}, {key: "from"}, {key: "to"}}}
	for i := range p.Changes {
		x := &p.Changes[i]
		if slices.Equal(x.From, x.To) && slices.Equal(x.FromDirs, x.ToDirs) { // it only makes room for others
			continue
		}
		t.add(c(x.Topic), c(strconv.Itoa(int(x.ID))), c(brokerIDs(x.From)), c(brokerIDs(x.To)))
	}
	return t
}

func brokerIDs(ids []int32) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = strconv.Itoa(int(id))
	}
	return strings.Join(out, ",")
}

package api

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"sluice/fsm"
	"sluice/words"
)

// concern is a link that preflight looks at.
type concern struct {
	spec *fsm.LinkSpec
	// indirect: not the link changes but one of its Kafka clusters. What
	// stands against it is a warning then: the change may be the repair.
	indirect bool
}

// overlaps refuses links of one apply that would write to the same topics: the
// facts, which each was held against, know of none of them yet.
func overlaps(asked []concern, found []Preflight) {
	writers := map[string]string{} // Kafka cluster and topic -> the first link that writes there
	for i, f := range found {
		spec := asked[i].spec
		if asked[i].indirect || spec.Writers == fsm.WritersShared {
			continue
		}
		cluster := cmp.Or(f.ClusterIDs[spec.Target], spec.Target)
		topics := map[string][]string{} // by the link that writes there
		for _, t := range f.Topics {
			at := cluster + "/" + t.Target
			if other := writers[at]; other != "" {
				topics[other] = append(topics[other], t.Target)
			} else {
				writers[at] = spec.Name
			}
		}
		for _, other := range slices.Sorted(maps.Keys(topics)) {
			found[i].Refusals = append(found[i].Refusals, Finding{Code: fsm.CodeNotEmpty, Message: fmt.Sprintf(
				"link %s, applied with it, writes to the same topics of Kafka cluster %s: %s; narrow the topics of one of them, or rename",
				other, spec.Target, words.List(topics[other]))})
		}
	}
}

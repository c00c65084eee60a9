package fsm

import "slices"

// LoopIDs are the producer ids whose batches a link does not copy, because a
// link that writes into its source wrote them: one that copies from its target
// (copies: skip-from-target) or any (skip-all). Links that are gone count as
// those that are there. Copying and comparing both go by it.
func (v *View) LoopIDs(spec *LinkSpec) map[int64]bool {
	ids := map[int64]bool{}
	all := spec.Copies == CopiesSkipAll
	for _, l := range v.Links {
		if l.ProducerID >= 0 && v.sameKafka(l.Spec.Target, spec.Source) && (all || v.sameKafka(l.Spec.Source, spec.Target)) {
			ids[l.ProducerID] = true
		}
	}
	source, target := v.clusterID(spec.Source), v.clusterID(spec.Target)
	for _, s := range v.Spent {
		s = v.byCluster(s)
		if s.Target != "" && s.Target == source && (all || s.Source != "" && s.Source == target) {
			ids[s.ProducerID] = true
		}
	}
	return ids
}

// sameKafka reports whether two names stand for one Kafka cluster.
func (v *View) sameKafka(a, b string) bool {
	id := v.clusterID(a)
	return a == b || id != "" && id == v.clusterID(b)
}

// clusterID is the pinned id of a named Kafka cluster, empty: not known yet.
func (v *View) clusterID(name string) string {
	if k := v.KafkaCluster(name); k != nil {
		return k.ClusterID
	}
	return ""
}

// spend remembers producer ids of a link.
func (e *edit) spend(l *Link, ids ...int64) {
	spent := slices.Clone(e.v.Spent)
	for _, id := range ids {
		s := SpentID{Kafka: l.Spec.Target, ProducerID: id, Link: l.Spec.Name}
		if e.v.Feature >= featureSpentByCluster {
			s.Source, s.Target = e.v.clusterID(l.Spec.Source), e.v.clusterID(l.Spec.Target)
		}
		if id >= 0 && !slices.Contains(spent, s) {
			spent = append(spent, s)
		}
	}
	e.v.Spent = spent
}

// byCluster gives an id that was remembered by the target's name those of the
// Kafka clusters that are meant now. Of a link that is gone the source cannot
// be known: such an id counts only where all copies are skipped.
func (v *View) byCluster(s SpentID) SpentID {
	if s.Target != "" {
		return s
	}
	s.Target = v.clusterID(s.Kafka)
	if l := v.LinkNamed(s.Link); l != nil && l.Spec.Target == s.Kafka {
		s.Source = v.clusterID(l.Spec.Source)
	}
	return s
}

// spentByCluster remembers byCluster what was remembered by name.
func (e *edit) spentByCluster() {
	spent := slices.Clone(e.v.Spent)
	for i, s := range spent {
		spent[i] = e.v.byCluster(s)
	}
	e.v.Spent = spent
}

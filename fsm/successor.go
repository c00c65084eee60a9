package fsm

import (
	"cmp"
	"fmt"
	"slices"
)

// Successor gives the facts with which a new Sluice cluster begins that goes on
// for one which is lost, and leaves s as it was. The lost one may have copied on
// after them, or may still: so every link is held, and none of the nodes is a
// member.
func (s *State) Successor(clusterID string, at int64) *State {
	next := *s.view
	e := &edit{State: s, v: &next, index: next.Index, own: map[int]bool{}}
	lost := cmp.Or(next.ClusterID, "unknown")
	e.featureRaise(&FeatureRaise{Level: FeatureLevel}) // the new cluster's only node has this build
	next.ClusterID, next.Nodes, next.Tokens = clusterID, nil, Tokens{}
	next.Links = slices.Clone(next.Links)
	for i, l := range next.Links {
		held := *l
		if held.Held == "" {
			held.Held = lost
		}
		next.Links[i] = &held
	}
	next.Ended = slices.Clone(next.Ended)
	for i, old := range next.Ended {
		ended := *old
		ended.Unsure = true
		next.Ended[i] = &ended
	}
	e.event(Event{
		Code: CodeClusterRecovered, Part: -1, From: -1, To: -1, First: at, Last: at,
		Message: fmt.Sprintf("this Sluice cluster, %s, begins with the facts of %s as of index %d; its links stand until they are adopted", clusterID, lost, next.Index),
	})
	return newStateOf(&next)
}

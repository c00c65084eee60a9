package fsm

import (
	"reflect"
	"strconv"
)

// FeatureLevel is the highest feature level that this build knows. The level of
// a cluster is the highest that all its nodes know; it only rises. Up to then
// everything that is written must be read, and mean the same, by a node that
// knows no more than the cluster's level: a node may go back to that build.
//
// What needs a level says so where it is declared: a command in formats, a
// record of the snapshot in records, a field of either in its tag, as in
// `feature:"2"`. A tagged field is left out where it is empty.
const FeatureLevel = featureRescue

// The feature levels: what the facts may hold from each on.
const (
	featureSpentByCluster = 2 // spent producer ids are remembered by the ids of both Kafka clusters
	featureOperations     = 2 // deleting a link is an operation
	featureActs           = 3 // commands say who asked for them
	featureLasting        = 3 // losses, stops and acts have a ring of their own, and events outlive their link
	featureEndedStreams   = 3 // streams end with their topic, and what they knew is kept
	featureThinned        = 4 // a mapping keeps where segments were dropped when its newest ones are cut off
	featureIdentity       = 5 // every node tells the others who belongs to the cluster; keys of nodes, bans, and tokens to join with
	featureRescue         = 6 // links are held, and taken over from a Sluice cluster that is lost
	featureFilled         = 6 // gaps of transactions are filled at the target
	featureHeads          = 6 // streams may be filling
	featureExpected       = 6 // Kafka clusters have revisions; orders say which stops they are for
	featureFilters        = 6 // links have filters
)

// levelOfFields is the highest level that a field which is set needs.
func levelOfFields(v reflect.Value) uint32 {
	level := uint32(1)
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			level = levelOfFields(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			level = max(level, levelOfFields(v.Index(i)))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); !empty(f) {
				level = max(level, levelOfField(v.Type().Field(i)), levelOfFields(f))
			}
		}
	}
	return level
}

// empty reports whether a field is left out.
func empty(v reflect.Value) bool {
	return v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0
}

// levelOfField is what a field's tag says, 1: none.
func levelOfField(f reflect.StructField) uint32 {
	n, err := strconv.ParseUint(f.Tag.Get("feature"), 10, 32)
	if err != nil {
		return 1
	}
	return uint32(n)
}

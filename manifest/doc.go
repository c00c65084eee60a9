// Package manifest owns the text form of Sluice's objects: it reads YAML
// strictly (a typo fails with its place and the nearest key), fills in
// defaults, checks objects for themselves and against the facts, and plans
// what has to change.
//
// It knows nothing of Raft, of HTTP or of how an object is carried out: its
// input is text and an fsm.View, its output an fsm.Objects command.
package manifest

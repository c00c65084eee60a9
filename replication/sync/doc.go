// Package sync keeps the topics of a link in step: it finds what the link's
// selectors mean, creates target topics by the rules, raises partition counts,
// adds streams, and keeps other Sluice clusters off the link. Preflight asks
// the same questions for a link that is about to be created or changed.
//
// Decisions are pure functions of values (plan.go, configs.go, claim.go,
// cycles.go, checks.go); the Runner and Preflight gather and carry out. The
// package knows nothing of how records are copied, nor who owns which task
// beyond its own.
//
// What a topic runs into (it exists and holds records, it has another
// partition count) concerns that topic alone: the Runner records an event,
// shows it in its Measurement, and looks again in every round.
package sync

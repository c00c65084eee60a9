// Package link keeps the topics of a link in step: it finds what the link's
// selectors mean, creates target topics by the rules, raises partition counts,
// adds streams, and keeps other Sluice clusters off the link. Preflight asks
// the same questions for a link that is about to be created or changed.
//
// A round of a Task takes one snapshot of both Kafka clusters and of the facts
// and then, for one concern after another (keep_*.go), gathers what else is
// needed, decides and applies. Decisions are pure functions of values in files
// of their own: claim.go and ledger.go (whose the link is), topics.go,
// configs.go, settings.go, removed.go and alike.go (how copied topics differ from
// their sources), and findings.go (what Preflight tells). To add a concern is to
// write its decision, its keep function, and its line in Task.concerns.
//
// The package knows nothing of how records are copied, nor who owns which task
// beyond its own. What a topic runs into (it exists and holds records, it has
// another partition count) concerns that topic alone: the Task records an
// event, shows it in its Measurement, and looks again in every round.
package link

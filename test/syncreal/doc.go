// Package syncreal tests on real brokers what the copy path's helpers rest
// on there: the rules for target topics, the ledger, preflight, rebuilt
// batches (replication/rewrite) and the comparison of both sides
// (replication/verify). It has tests only.
package syncreal

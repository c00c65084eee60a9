// Package cluster makes nodes one cluster: membership over Raft, the log and
// its store, the FSM adapter, gossip, the leader's decisions, proposing and
// forwarding, the one-second reports, and the reconciliation of what a node
// runs with what the facts say.
//
// Facts come down as immutable Views; progress, measurements and events go up;
// nothing calls back. It runs tasks through a Runner per kind and must not
// know what a task does, what Kafka is, or how facts are shown.
package cluster

// Package cluster makes nodes one cluster. A Node joins parts, each with its
// own state:
//
//   - consensus: Raft (raftNode, raftTransport, machine), what is published of
//     its facts (hub), proposing, proof of leadership; ownership: whose a task
//     is; watchdog: a disk that hangs;
//   - members: founder (the first start, and a start at another address),
//     membership (this node's way in and out), roster (a leader's changes),
//     voters (who has a vote), succession (who leads next),
//     liveness (who is there, and at one address only), door (who may speak
//     with this node, and about what), gossip;
//   - leadership: what a leader decides, a term at a time;
//   - reconciler: the tasks of this node, with the sinks of their progress and
//     their events; reporter: the report of each second.
//
// Beside it, Operations takes acts of several steps on while the node leads.
//
// Facts come down as immutable Views; progress, states and events go up;
// nothing calls back. It runs tasks through a task.Runner per kind and must not
// know what a task does, what Kafka is, or how facts are shown.
package cluster

// Package data decides which broker of a Kafka cluster should hold which
// replica: the planner of the Auto Data Balancer.
//
// It owns the model of a cluster (brokers, partitions, sizes, rates), the
// planner, the proposal, the one checker of every hard rule and claimed
// figure, the file formats and a seeded generator of clusters. It is pure: a
// value in, a value out; no clock, randomness, goroutine, lock or I/O, and the
// same input gives the same bytes. It must not know how a proposal is carried
// out, nor anything of Kafka's protocol.
//
// Units: sizes are bytes (the files' MB is 10^6 bytes), rates are bytes a
// second. A replica is as large as its partition; every replica takes the
// partition's in-rate, only the leader gives its out-rate.
package data

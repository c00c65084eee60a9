// Package demo shows Sluice in the first ten minutes, with nothing but its
// own binary: two embedded Kafka clusters, three node processes, a link, load,
// and one node killed.
//
// It owns the scene and the check, not any way of copying: the nodes are the
// ones that run in production, and it speaks to them over their API. The
// embedded clusters (kfake) do not describe plain producers, so the nodes
// derive positions from the last batch of the target alone; on real brokers
// they also ask for the producer's state.
package demo

// Package identity tests, on real brokers, that a Kafka cluster is known by its
// id: not by its name, and not by its address.
package identity

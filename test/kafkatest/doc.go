// Package kafkatest tests package kafka on real brokers: logins, ordered
// requests in flight, and the calls that kfake does not answer like Kafka.
package kafkatest

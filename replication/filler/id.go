package filler

import "strconv"

// IDPrefix begins every transactional id of Sluice's: the right WRITE on the
// transactional ids with this prefix is what fillers need.
const IDPrefix = "sluice:"

// IDOf is the transactional id of a stream's filler. It names the link, whose
// name is unique in a Sluice cluster, and the partition that is written to.
// Neither name can hold a colon, so no two streams have the same id; with 63
// bytes for a link and 249 for a topic it is far from Kafka's bound, 32,767.
//
// It does not name the Sluice cluster, and not which link of the name it was:
// a link that is made again, or adopted by another Sluice cluster, gets the
// same filler, and so fences whoever had it. That two Sluice clusters do not
// use one at the same time is the ledger's matter, which lets one alone copy
// to a topic.
func IDOf(link, topic string, partition int32) string {
	return IDPrefix + link + ":" + topic + ":" + strconv.Itoa(int(partition))
}

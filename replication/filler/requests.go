package filler

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Timeout is how long a transaction of a filler may last before the coordinator
// aborts it. A gap takes milliseconds; so soon a dead owner's transaction ends
// by itself, when a coordinator looks at its clock, every 10 s by default
// (transaction.abort.timed.out.transaction.cleanup.interval.ms). Until then the
// last stable offset stands before it. Brokers must allow as much
// (transaction.max.timeout.ms, 15 min by default).
const Timeout = 10 * time.Second

// produceTimeout is what a leader may wait for its replicas. Longer would
// outlast the transaction.
const produceTimeout = Timeout / 2

// The requests of a transaction, in the newest version before transactions of
// version 2 (KIP-890, Kafka 4.0), which all brokers since 2.5 speak or an older
// one. From there on a broker itself adds a partition to a transaction when a
// batch comes, whenever that is; here a partition is added by AddPartitionsToTxn
// and nothing else. Also the producer id stays the same from one transaction to
// the next, so a log holds few of them.
type (
	findCoordinator struct{ *kmsg.FindCoordinatorRequest }
	initProducer    struct{ *kmsg.InitProducerIDRequest }
	addPartition    struct {
		*kmsg.AddPartitionsToTxnRequest
	}
	produce struct{ *kmsg.ProduceRequest }
	endTxn  struct{ *kmsg.EndTxnRequest }
)

// MaxVersion implements kmsg.Request: from 4 on one asks for several.
func (findCoordinator) MaxVersion() int16 { return 3 }

// MaxVersion implements kmsg.Request: from 6 on a transaction may be prepared.
func (initProducer) MaxVersion() int16 { return 5 }

// MaxVersion implements kmsg.Request: from 4 on it is for brokers.
func (addPartition) MaxVersion() int16 { return 3 }

// MaxVersion implements kmsg.Request: 12 adds the partition.
func (produce) MaxVersion() int16 { return 11 }

// MaxVersion implements kmsg.Request: 5 gives another epoch.
func (endTxn) MaxVersion() int16 { return 4 }

// keyAddPartitions and verifies: who speaks this version of AddPartitionsToTxn,
// brokers since 3.6, asks the coordinator about transactional batches (KIP-890).
const (
	keyAddPartitions = int16(kmsg.AddPartitionsToTxn)
	verifies         = 4
)

func newFindCoordinator(id string) findCoordinator {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKey, req.CoordinatorType = id, 1 // of a transactional id
	return findCoordinator{req}
}

func newInitProducer(id string) initProducer {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &id, int32(Timeout.Milliseconds())
	req.ProducerID, req.ProducerEpoch = -1, -1 // whoever had it is fenced
	return initProducer{req}
}

func (f *Filler) newAddPartition() addPartition {
	topic := kmsg.NewAddPartitionsToTxnRequestTopic()
	topic.Topic, topic.Partitions = f.at.Topic, []int32{f.at.Partition}
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = f.id, f.producer, f.epoch
	req.Topics = append(req.Topics, topic)
	return addPartition{req}
}

func (f *Filler) newProduce(batch []byte) produce {
	partition := kmsg.NewProduceRequestTopicPartition()
	partition.Partition, partition.Records = f.at.Partition, batch
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic, topic.Partitions = f.at.Topic, append(topic.Partitions, partition)
	req := kmsg.NewPtrProduceRequest()
	req.TransactionID, req.Acks, req.TimeoutMillis = &f.id, -1, int32(produceTimeout.Milliseconds())
	req.Topics = append(req.Topics, topic)
	return produce{req}
}

func (f *Filler) newEndTxn() endTxn {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = f.id, f.producer, f.epoch
	req.Commit = false // always
	return endTxn{req}
}

package replication

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
)

// remedy is what a stream does about trouble.
type remedy uint8

const (
	again      remedy = iota // derive and go on at once
	later                    // the same after a back-off
	quietly                  // the same after every earlier request is surely dead
	halt                     // stop with the code; the link's policy or an operator goes on
	leaveDense               // a mapping change: from here on as translated
	newEpoch                 // raise the producer epoch at the log end
	checkTopic               // a topic may have been deleted or recreated: look, then decide
	checkRange               // the source says out of range: look at its log start and end
	mismatch                 // batches stand at other offsets than expected
)

// trouble ends a flow and tells its stream why.
type trouble struct {
	remedy   remedy
	code     fsm.Code
	source   bool  // seen at the source, else at the target
	epoch    int32 // of a diverging source: the largest that it has, not above ours
	from, to int64 // offsets concerned (of source or target as the code says), -1: none
	refused  bool  // the broker did not want our sequence
	perhaps  bool  // a request of ours may still be appended
	msg      string
}

func (t trouble) String() string {
	if t.from >= 0 {
		return fmt.Sprintf("%s [%d, %d): %s", t.code, t.from, t.to, t.msg)
	}
	return fmt.Sprintf("%s: %s", t.code, t.msg)
}

// troubleOf classifies an error of a call to a Kafka cluster. Whether to try
// again is decided here and nowhere else.
func troubleOf(err error, source bool) trouble {
	t := trouble{remedy: later, code: fsm.CodeUnreachable, source: source, from: -1, to: -1, msg: err.Error()}
	if errors.Is(err, kafka.ErrClusterIDMismatch) {
		t.code = fsm.CodeWrongCluster
		return t
	}
	var ke *kerr.Error
	if !errors.As(err, &ke) {
		t.perhaps = errors.Is(err, kafka.ErrPerhapsSent)
		return t
	}
	t.remedy, t.code = ofCode(ke)
	return t
}

// ofCode gives remedy and reason code for a broker's error.
func ofCode(ke *kerr.Error) (remedy, fsm.Code) {
	switch ke {
	case kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch,
		kerr.ReplicaNotAvailable, kerr.KafkaStorageError, kerr.OffsetNotAvailable, kerr.BrokerNotAvailable:
		return later, fsm.CodeUnreachable
	case kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend:
		return later, fsm.CodeNotEnoughReplicas
	case kerr.OutOfOrderSequenceNumber, kerr.DuplicateSequenceNumber, kerr.RequestTimedOut, kerr.InvalidProducerEpoch:
		return again, fsm.CodeStarting
	case kerr.UnknownProducerID:
		return newEpoch, fsm.CodeEpochRaised
	case kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InconsistentTopicID:
		return checkTopic, fsm.CodeUnreachable
	case kerr.OffsetOutOfRange:
		return checkRange, fsm.CodePositionLost
	case kerr.MessageTooLarge, kerr.RecordListTooLarge:
		return halt, fsm.CodeRecordTooLarge
	case kerr.InvalidTimestamp:
		return halt, fsm.CodeTimestampRefused
	case kerr.CorruptMessage, kerr.InvalidRecord:
		return halt, fsm.CodeCorruptBatch
	case kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed:
		return later, fsm.CodeUnauthorized
	case kerr.SaslAuthenticationFailed, kerr.IllegalSaslState, kerr.UnsupportedSaslMechanism:
		return later, fsm.CodeAuthenticationFailed
	case kerr.ThrottlingQuotaExceeded:
		return later, fsm.CodeQuotaThrottled
	}
	return later, fsm.CodeUnreachable
}

// isAny reports whether err is one of the targets.
func isAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

// needs names the right on a topic that a refused call wants; other errors
// stay as they are.
func needs(err error, right, topic string) error {
	if err == nil || !isAny(err, kerr.TopicAuthorizationFailed) {
		return err
	}
	return fmt.Errorf("%s on topic %s is needed: %w", right, topic, err)
}

package wire

import (
	"errors"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/recovery"
)

// errNoLease keeps an unguarded request from being written.
var errNoLease = errors.New("no leader has confirmed lately that this node owns the stream")

// FaultOf classifies an error of a call to a Kafka cluster. What follows from
// it is decided here, by the kind, and nowhere else. An error that is a fault
// already stays what it is.
func FaultOf(err error, source bool) recovery.Fault {
	if fault, ok := errors.AsType[recovery.Fault](err); ok {
		return fault
	}
	f := recovery.Faulty(recovery.Retry, kafka.Code(err), kafka.Explain(err))
	f.Source = source
	var ke *kerr.Error
	if !errors.As(err, &ke) {
		f.Perhaps = errors.Is(err, kafka.ErrPerhapsSent)
		return f
	}
	switch ke {
	case kerr.OutOfOrderSequenceNumber, kerr.DuplicateSequenceNumber, kerr.RequestTimedOut, kerr.InvalidProducerEpoch:
		f.Kind, f.Code = recovery.Unsure, fsm.CodeStarting
	case kerr.UnknownProducerID:
		f.Kind, f.Code = recovery.Forgotten, fsm.CodeEpochRaised
	case kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InconsistentTopicID:
		f.Kind = recovery.TopicChanged
	case kerr.OffsetOutOfRange:
		f.Kind, f.Code = recovery.OutOfRange, fsm.CodePositionLost
	case kerr.MessageTooLarge, kerr.RecordListTooLarge:
		f.Kind, f.Code = recovery.Blocked, fsm.CodeRecordTooLarge
	case kerr.InvalidTimestamp:
		f.Kind, f.Code = recovery.Blocked, fsm.CodeTimestampRefused
	case kerr.CorruptMessage, kerr.InvalidRecord:
		f.Kind, f.Code = recovery.Blocked, fsm.CodeCorruptBatch
	}
	return f
}

// refusal is what a broker's answer to one batch means.
func refusal(p *kafka.ProducedPartition, topic string) recovery.Fault {
	f := FaultOf(kafka.Needs(kerr.ErrorForCode(p.ErrorCode), "WRITE", topic), false)
	if p.ErrorCode == kerr.InvalidRecord.Code && keyless(p.ErrorMessage) {
		f.Code = fsm.CodeKeylessRecord
	}
	f.Refused = p.ErrorCode == kerr.OutOfOrderSequenceNumber.Code
	f.Perhaps = p.ErrorCode == kerr.RequestTimedOut.Code || p.ErrorCode == kerr.NotEnoughReplicasAfterAppend.Code
	if p.ErrorMessage != "" {
		f.Message += ": " + p.ErrorMessage
	}
	return f
}

// keyless reports whether a broker refuses a record because its topic is
// compacted and the record has no key: no error code says so (Apache Kafka's
// LogValidator: "Compacted topic cannot accept message without key").
func keyless(message string) bool { return strings.Contains(message, "without key") }

// unanswered is what an error in the place of an answer means.
func unanswered(err error) recovery.Fault {
	f := FaultOf(err, false)
	f.Kind = recovery.Unsure
	if errors.Is(err, errNoLease) {
		f.Kind, f.Code = recovery.Retry, fsm.CodeWaiting
	}
	return f
}

package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/recovery"
)

// allErrors are all errors that a broker may answer.
func allErrors(t *testing.T) []*kerr.Error {
	t.Helper()
	var out []*kerr.Error
	for code := int16(-1); code < 1000; code++ {
		if e := kerr.TypedErrorForCode(code); e != nil && e.Code == code {
			out = append(out, e)
		}
	}
	if len(out) < 130 {
		t.Fatalf("only %d errors", len(out))
	}
	return out
}

// meaning is what an error is for a stream.
type meaning struct {
	kind recovery.Kind
	code fsm.Code
}

// meanings are those that are not tried again as unreachable: this is the whole
// table.
func meanings() map[*kerr.Error]meaning {
	return map[*kerr.Error]meaning{
		kerr.OutOfOrderSequenceNumber:           {recovery.Unsure, fsm.CodeStarting},
		kerr.DuplicateSequenceNumber:            {recovery.Unsure, fsm.CodeStarting},
		kerr.RequestTimedOut:                    {recovery.Unsure, fsm.CodeStarting},
		kerr.InvalidProducerEpoch:               {recovery.Unsure, fsm.CodeStarting},
		kerr.UnknownProducerID:                  {recovery.Forgotten, fsm.CodeEpochRaised},
		kerr.UnknownTopicOrPartition:            {recovery.TopicChanged, fsm.CodeUnreachable},
		kerr.UnknownTopicID:                     {recovery.TopicChanged, fsm.CodeUnreachable},
		kerr.InconsistentTopicID:                {recovery.TopicChanged, fsm.CodeUnreachable},
		kerr.OffsetOutOfRange:                   {recovery.OutOfRange, fsm.CodePositionLost},
		kerr.MessageTooLarge:                    {recovery.Blocked, fsm.CodeRecordTooLarge},
		kerr.RecordListTooLarge:                 {recovery.Blocked, fsm.CodeRecordTooLarge},
		kerr.InvalidTimestamp:                   {recovery.Blocked, fsm.CodeTimestampRefused},
		kerr.CorruptMessage:                     {recovery.Blocked, fsm.CodeCorruptBatch},
		kerr.InvalidRecord:                      {recovery.Blocked, fsm.CodeCorruptBatch},
		kerr.NotEnoughReplicas:                  {recovery.Retry, fsm.CodeNotEnoughReplicas},
		kerr.NotEnoughReplicasAfterAppend:       {recovery.Retry, fsm.CodeNotEnoughReplicas},
		kerr.InvalidReplicationFactor:           {recovery.Retry, fsm.CodeNotEnoughReplicas},
		kerr.TopicAuthorizationFailed:           {recovery.Retry, fsm.CodeUnauthorized},
		kerr.ClusterAuthorizationFailed:         {recovery.Retry, fsm.CodeUnauthorized},
		kerr.GroupAuthorizationFailed:           {recovery.Retry, fsm.CodeUnauthorized},
		kerr.TransactionalIDAuthorizationFailed: {recovery.Retry, fsm.CodeUnauthorized},
		kerr.PolicyViolation:                    {recovery.Retry, fsm.CodeUnauthorized},
		kerr.SaslAuthenticationFailed:           {recovery.Retry, fsm.CodeAuthenticationFailed},
		kerr.IllegalSaslState:                   {recovery.Retry, fsm.CodeAuthenticationFailed},
		kerr.UnsupportedSaslMechanism:           {recovery.Retry, fsm.CodeAuthenticationFailed},
		kerr.ThrottlingQuotaExceeded:            {recovery.Retry, fsm.CodeQuotaThrottled},
	}
}

// TestFaultOfEveryError: bare or wrapped, of either side.
func TestFaultOfEveryError(t *testing.T) {
	table := meanings()
	for _, e := range allErrors(t) {
		want, ok := table[e]
		if !ok {
			want = meaning{recovery.Retry, fsm.CodeUnreachable}
		}
		for _, source := range []bool{true, false} {
			for _, err := range []error{e, fmt.Errorf("asking: %w", e)} {
				f := FaultOf(err, source)
				if f.Kind != want.kind || f.Code != want.code || f.Source != source || f.Range != recovery.None() || f.Perhaps || f.Refused || f.Message != kafka.Explain(err) {
					t.Errorf("%v: %+v, want %s, %s", err, f, want.kind, want.code)
				}
			}
		}
	}
}

// Brokers have one error for whatever is wrong with a record: their words tell
// that the topic is compacted.
func TestFaultOfARecordWithoutAKey(t *testing.T) {
	for message, want := range map[string]fsm.Code{
		"One or more records have been rejected due to 1 record errors in total, and only showing the first three errors at most: " +
			"[RecordError(batchIndex=0, message='Compacted topic cannot accept message without key in topic partition orders-0.')]": fsm.CodeKeylessRecord,
		"Compacted topic cannot accept message without key in topic partition orders-0.": fsm.CodeKeylessRecord,
		"Inner record should have offset 0":                                              fsm.CodeCorruptBatch,
		"":                                                                               fsm.CodeCorruptBatch,
	} {
		f := refusal(&kafka.ProducedPartition{ErrorCode: kerr.InvalidRecord.Code, ErrorMessage: message}, "orders")
		if f.Kind != recovery.Blocked || f.Code != want || !strings.Contains(f.Message, message) {
			t.Errorf("%q: %+v, want %s", message, f, want)
		}
	}
	if f := refusal(&kafka.ProducedPartition{ErrorCode: kerr.UnknownServerError.Code, ErrorMessage: "without key"}, "orders"); f.Code == fsm.CodeKeylessRecord {
		t.Errorf("another error is taken for it: %+v", f)
	}
}

// TestFaultOfConnections: what is no broker's word. A request that was perhaps
// sent may still be appended.
func TestFaultOfConnections(t *testing.T) {
	for _, c := range []struct {
		err     error
		code    fsm.Code
		perhaps bool
	}{
		{errors.New("connection refused"), fsm.CodeUnreachable, false},
		{fmt.Errorf("%w: gone", kafka.ErrNotSent), fsm.CodeUnreachable, false},
		{fmt.Errorf("%w: gone", kafka.ErrPerhapsSent), fsm.CodeUnreachable, true},
		{kafka.ErrClusterIDMismatch, fsm.CodeWrongCluster, false},
	} {
		if f := FaultOf(c.err, false); f.Kind != recovery.Retry || f.Code != c.code || f.Perhaps != c.perhaps {
			t.Errorf("%v: %+v", c.err, f)
		}
	}
	known := recovery.AtTarget(recovery.Blocked, fsm.CodeForeignWriter, 3, 5, "known")
	if f := FaultOf(fmt.Errorf("reading: %w", known), true); f != known {
		t.Errorf("a fault is one already: %+v", f)
	}
}

// TestRefusalOfEveryError: of all answers to a batch two leave open whether it
// was appended, and one says that its sequence was not wanted.
func TestRefusalOfEveryError(t *testing.T) {
	for _, e := range allErrors(t) {
		f := refusal(&kafka.ProducedPartition{ErrorCode: e.Code, ErrorMessage: "more"}, "orders")
		want := FaultOf(e, false)
		want.Refused = e == kerr.OutOfOrderSequenceNumber
		want.Perhaps = e == kerr.RequestTimedOut || e == kerr.NotEnoughReplicasAfterAppend
		want.Message += ": more"
		if e == kerr.TopicAuthorizationFailed {
			want.Message = strings.Replace(want.Message, "(", "(WRITE on topic orders is needed: ", 1)
		}
		if f != want {
			t.Errorf("%v: %+v, want %+v", e, f, want)
		}
	}
	if f := refusal(&kafka.ProducedPartition{ErrorCode: kerr.InvalidTimestamp.Code}, "orders"); strings.HasSuffix(f.Message, ": ") {
		t.Errorf("%q", f.Message)
	}
}

// TestUnanswered: whatever took an answer's place, the position is derived
// anew, but for a request that no lease let out.
func TestUnanswered(t *testing.T) {
	for _, c := range []struct {
		err     error
		kind    recovery.Kind
		code    fsm.Code
		perhaps bool
	}{
		{fmt.Errorf("%w: reset", kafka.ErrPerhapsSent), recovery.Unsure, fsm.CodeUnreachable, true},
		{fmt.Errorf("%w: reset", kafka.ErrNotSent), recovery.Unsure, fsm.CodeUnreachable, false},
		{fmt.Errorf("%w: %w: for 4s", kafka.ErrNotSent, errNoLease), recovery.Retry, fsm.CodeWaiting, false},
	} {
		if f := unanswered(c.err); f.Kind != c.kind || f.Code != c.code || f.Perhaps != c.perhaps {
			t.Errorf("%v: %+v", c.err, f)
		}
	}
}

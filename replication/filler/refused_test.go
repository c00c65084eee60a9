package filler

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/kafka"
)

// answerOf is the answer to a request with an error in it.
func answerOf(req kmsg.Request, err *kerr.Error) kmsg.Response {
	resp := req.ResponseKind()
	switch req := req.(type) {
	case *kmsg.FindCoordinatorRequest:
		resp.(*kmsg.FindCoordinatorResponse).ErrorCode = err.Code
	case *kmsg.InitProducerIDRequest:
		resp.(*kmsg.InitProducerIDResponse).ErrorCode = err.Code
	case *kmsg.EndTxnRequest:
		resp.(*kmsg.EndTxnResponse).ErrorCode = err.Code
	case *kmsg.AddPartitionsToTxnRequest:
		resp.(*kmsg.AddPartitionsToTxnResponse).Topics = []kmsg.AddPartitionsToTxnResponseTopic{{
			Topic: req.Topics[0].Topic, Partitions: []kmsg.AddPartitionsToTxnResponseTopicPartition{{ErrorCode: err.Code}},
		}}
	case *kmsg.ProduceRequest:
		one := kmsg.NewProduceResponseTopicPartition()
		one.ErrorCode = err.Code
		resp.(*kmsg.ProduceResponse).Topics = []kmsg.ProduceResponseTopic{{
			Topic: req.Topics[0].Topic, Partitions: []kmsg.ProduceResponseTopicPartition{one},
		}}
	case *kmsg.OffsetForLeaderEpochRequest:
		one := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
		one.ErrorCode = err.Code
		resp.(*kmsg.OffsetForLeaderEpochResponse).Topics = []kmsg.OffsetForLeaderEpochResponseTopic{{
			Topic: req.Topics[0].Topic, Partitions: []kmsg.OffsetForLeaderEpochResponseTopicPartition{one},
		}}
	}
	return resp
}

// TestLater: a coordinator that is not ready, or another one, is asked again.
func TestLater(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.FindCoordinator, kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.EndTxn} {
		for _, code := range []*kerr.Error{kerr.ConcurrentTransactions, kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.NotCoordinator} {
			t.Run(key.Name()+" "+code.Message, func(t *testing.T) {
				inLab(t, func(l *lab) {
					n := 0
					l.on(key, func(req kmsg.Request) (kmsg.Response, error) {
						if n++; n%3 != 0 {
							return answerOf(req, code), nil
						}
						return nil, nil
					})
					f := l.open()
					l.fill(f, 0, 3)
					l.fill(f, 3, 1)
					l.sees(4)
					if again := l.count(kmsg.FindCoordinator) > 1; key != kmsg.FindCoordinator && again != elsewhere(code) {
						t.Errorf("looked for anew: %v", again)
					}
				})
			})
		}
	}
}

// TestPatience: the caller is told of a coordinator that is not ready for long.
func TestPatience(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.FindCoordinator, kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.EndTxn} {
		t.Run(key.Name(), func(t *testing.T) {
			inLab(t, func(l *lab) {
				l.on(key, func(req kmsg.Request) (kmsg.Response, error) { return answerOf(req, kerr.CoordinatorNotAvailable), nil })
				began := time.Now()
				f, err := l.fillers.Open(l.ctx, l.partition(), "sluice:l:orders:0")
				if err == nil {
					_, err = f.Fill(l.ctx, Gap{Count: 1})
				}
				if took := time.Since(began); !errors.Is(err, ErrCoordinator) || took < patience || took > 2*patience {
					t.Errorf("after %v: %v", took, err)
				}
			})
		})
	}
}

// TestRefused: what each refusal means, and that the filler asks for nothing
// after it.
func TestRefused(t *testing.T) {
	const right = "WRITE on transactional id sluice:l:orders:0 is needed"
	for _, c := range []struct {
		key  kmsg.Key
		code *kerr.Error
		kind error
		text string
	}{
		{kmsg.FindCoordinator, kerr.TransactionalIDAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed, right},
		{kmsg.InitProducerID, kerr.TransactionalIDAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed, right},
		{kmsg.InitProducerID, kerr.InvalidTransactionTimeout, kerr.InvalidTransactionTimeout, "transaction.max.timeout.ms"},
		{kmsg.AddPartitionsToTxn, kerr.TransactionalIDAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed, right},
		{kmsg.AddPartitionsToTxn, kerr.TopicAuthorizationFailed, kerr.TopicAuthorizationFailed, "WRITE on topic orders is needed"},
		{kmsg.AddPartitionsToTxn, kerr.InvalidProducerEpoch, ErrFenced, ""},
		{kmsg.AddPartitionsToTxn, kerr.ProducerFenced, ErrFenced, ""},
		{kmsg.AddPartitionsToTxn, kerr.InvalidProducerIDMapping, ErrFenced, ""},
		{kmsg.AddPartitionsToTxn, kerr.UnknownTopicOrPartition, ErrMoved, ""},
		{kmsg.Produce, kerr.InvalidProducerEpoch, ErrFenced, ""},
		{kmsg.Produce, kerr.InvalidTxnState, ErrFenced, ""},
		{kmsg.Produce, kerr.NotLeaderForPartition, ErrMoved, ""},
		{kmsg.Produce, kerr.NotEnoughReplicas, kerr.NotEnoughReplicas, "orders/0"},
		{kmsg.Produce, kerr.TopicAuthorizationFailed, kerr.TopicAuthorizationFailed, "WRITE on topic orders is needed"},
		{kmsg.EndTxn, kerr.ProducerFenced, ErrFenced, ""},
		{kmsg.EndTxn, kerr.InvalidTxnState, ErrFenced, ""},
		{kmsg.OffsetForLeaderEpoch, kerr.FencedLeaderEpoch, ErrMoved, ""},
		{kmsg.OffsetForLeaderEpoch, kerr.UnknownLeaderEpoch, ErrMoved, ""},
		{kmsg.OffsetForLeaderEpoch, kerr.NotLeaderForPartition, ErrMoved, ""},
		{kmsg.OffsetForLeaderEpoch, kerr.TopicAuthorizationFailed, kerr.TopicAuthorizationFailed, "DESCRIBE on topic orders is needed"},
	} {
		t.Run(fmt.Sprintf("%s %s", c.key.Name(), c.code.Message), func(t *testing.T) {
			inLab(t, func(l *lab) {
				l.on(c.key, func(req kmsg.Request) (kmsg.Response, error) { return answerOf(req, c.code), nil })
				f, err := l.fillers.Open(l.ctx, l.partition(), "sluice:l:orders:0")
				if f != nil {
					_, err = f.Fill(l.ctx, Gap{Count: 3})
				}
				if !errors.Is(err, c.kind) || !errors.Is(err, c.code) || !strings.Contains(err.Error(), c.text) {
					t.Fatal(err)
				}
				if f != nil {
					l.finished(f, err)
				}
			})
		})
	}
}

// finished checks that a filler says what ended it and asks for nothing more.
func (l *lab) finished(f *Filler, why error) {
	l.Helper()
	before := len(l.asked)
	if _, err := f.Fill(l.ctx, Gap{Count: 1}); !errors.Is(err, why) || len(l.asked) != before {
		l.Errorf("%v after %v, with %d requests", err, why, len(l.asked)-before)
	}
}

// TestUnanswered: a request without an answer may be carried out yet. Only a
// takeover is asked for again; the filler is finished by any other, and asks for
// nothing more.
func TestUnanswered(t *testing.T) {
	for _, c := range []struct {
		key  kmsg.Key
		kind error
	}{
		{kmsg.InitProducerID, nil},
		{kmsg.AddPartitionsToTxn, kafka.ErrPerhapsSent},
		{kmsg.Produce, ErrMoved},
		{kmsg.EndTxn, kafka.ErrPerhapsSent},
	} {
		t.Run(c.key.Name(), func(t *testing.T) {
			inLab(t, func(l *lab) {
				n := 0
				l.on(c.key, func(req kmsg.Request) (kmsg.Response, error) {
					if p, ok := req.(*kmsg.ProduceRequest); ok && p.TransactionID == nil {
						return nil, nil
					}
					if n++; n == 1 {
						return nil, errors.New("the connection ends")
					}
					return nil, nil
				})
				f := l.open()
				end, err := f.Fill(l.ctx, Gap{Count: 3})
				if c.kind == nil {
					if err != nil || end != 3 {
						t.Fatal(end, err)
					}
					return
				}
				if !errors.Is(err, c.kind) || end != 0 {
					t.Fatal(end, err)
				}
				l.finished(f, err)
				f = l.open()
				at, err := f.logEnd(l.ctx)
				if err != nil || at > 3 {
					t.Fatal(at, err)
				}
				if at < 3 {
					l.fill(f, at, 3-at)
				}
				l.sees(3)
			})
		})
	}
}

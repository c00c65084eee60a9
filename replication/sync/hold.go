package sync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
)

// ErrClaimed says that another Sluice cluster copies this link.
var ErrClaimed = errors.New("link is claimed by another Sluice cluster")

// hold makes sure that the link's claim on the target is ours: it is looked
// at when this node begins, and every ClaimEvery. A claim is written, then
// read back; of two that were written at the same time the later one yields.
func (r *Runner) hold(ctx context.Context, s *sight) error {
	if !r.ledgerAt.IsZero() && time.Since(r.ledgerAt) < r.cfg.ClaimEvery {
		st := r.ledger.standing(s.claim)
		if st.Mine && st.Claim.ProducerID == s.link.ProducerID {
			return nil
		}
	}
	if err := r.readLedger(ctx, s.target); err != nil {
		return err
	}
	st := r.ledger.standing(s.claim)
	switch {
	case st.Other != "":
		return r.yield(ctx, s, st)
	case st.Mine && (!st.Alone || st.Claim.ProducerID == s.link.ProducerID && st.Claim.LinkID == s.link.ID):
		return nil
	}
	if err := r.ctl.ConfirmOwner(ctx, r.task, r.turn); err != nil {
		return fmt.Errorf("confirming the ownership of the link's topics: %w", err)
	}
	if err := r.claim(ctx, s); err != nil {
		return err
	}
	if st = r.ledger.standing(s.claim); !st.Mine {
		return r.yield(ctx, s, st)
	}
	return nil
}

func (r *Runner) claim(ctx context.Context, s *sight) error {
	if err := makeLedger(ctx, s.target, ledgerReplication(s)); err != nil {
		return err
	}
	claim := Claim{LinkID: s.link.ID, ProducerID: s.link.ProducerID, Node: r.cfg.Node, At: time.Now().UnixMilli()}
	if err := writeLedger(ctx, s.target, s.claim, claim); err != nil {
		return err
	}
	return r.readLedger(ctx, s.target)
}

// yield takes back our claim where another is older.
func (r *Runner) yield(ctx context.Context, s *sight, st Standing) error {
	if st.Have {
		if err := writeLedger(ctx, s.target, s.claim, nil); err != nil {
			return err
		}
	}
	r.ledgerAt = time.Time{}
	return fmt.Errorf("%w: %s (record in topic %s of Kafka cluster %s)", ErrClaimed, st.Other, LedgerTopic, s.link.Spec.Target)
}

func (r *Runner) readLedger(ctx context.Context, target *kafka.Client) error {
	l, err := readLedger(ctx, target)
	if err != nil {
		return err
	}
	r.ledger, r.ledgerAt = l, time.Now()
	return nil
}

// ledgerReplication is that of the link's topics, or three where there are so
// many brokers.
func ledgerReplication(s *sight) int16 {
	if n := s.link.Spec.ReplicationFactor; n > 0 {
		return n
	}
	return int16(max(1, min(3, len(s.targetMeta.Brokers))))
}

// codeOf is the reason code of an error that ends a round or concerns a topic.
func codeOf(err error) fsm.Code {
	if errors.Is(err, ErrClaimed) {
		return fsm.CodeForeignWriter
	}
	code := kafka.Code(err)
	var refused *kerr.Error
	if code == fsm.CodeUnreachable && errors.As(err, &refused) && !refused.Retriable {
		return fsm.CodeTopicRefused
	}
	return code
}

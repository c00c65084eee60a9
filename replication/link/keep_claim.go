package link

import (
	"context"
	"fmt"
	"time"
)

// keepClaim makes sure that the link's claim on the target is ours.
func (t *Task) keepClaim(ctx context.Context, s *snapshot, _ *Measurement) error {
	in := claimInput{link: s.link.ID, producer: s.link.ProducerID, recent: !t.ledgerAt.IsZero() && time.Since(t.ledgerAt) < t.cfg.ClaimEvery}
	for {
		in.standing = t.ledger.standing(s.claim())
		var err error
		switch decideClaim(in) {
		case claimHeld:
			return nil
		case claimRead:
			in.read, err = true, t.readLedger(ctx, s)
		case claimWrite:
			in.written, err = true, t.writeClaim(ctx, s)
		case claimWithdraw:
			if err = writeLedger(ctx, s.target.client, ledgerRecord{s.claim(), nil}); err == nil {
				err = t.readLedger(ctx, s)
			}
		case claimRefused:
			t.ledgerAt = time.Time{}
			err = fmt.Errorf("%w: %s (record in topic %s of Kafka cluster %s)", ErrClaimed, in.other, LedgerTopic, s.link.Spec.Target)
		}
		if err != nil {
			return err
		}
	}
}

func (t *Task) writeClaim(ctx context.Context, s *snapshot) error {
	if err := t.confirm(ctx); err != nil {
		return err
	}
	if err := makeLedger(ctx, s.target.client, ledgerReplication(s.link.Spec.ReplicationFactor, len(s.target.meta.Brokers))); err != nil {
		return err
	}
	claim := Claim{LinkID: s.link.ID, ProducerID: s.link.ProducerID, Node: t.cfg.Node, At: time.Now().UnixMilli()}
	if err := writeLedger(ctx, s.target.client, ledgerRecord{s.claim(), claim}); err != nil {
		return err
	}
	return t.readLedger(ctx, s)
}

func (t *Task) readLedger(ctx context.Context, s *snapshot) error {
	l, err := readLedger(ctx, s.target.Cluster)
	if err != nil {
		return err
	}
	t.ledger, t.ledgerAt = l, time.Now()
	return nil
}

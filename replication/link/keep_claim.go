package link

import (
	"context"
	"fmt"
	"time"

	"sluice/fsm"
)

// keepClaim makes sure that the link's claim on the target is ours.
func (t *Task) keepClaim(ctx context.Context, s *snapshot, _ *Measurement) error {
	in := claimInput{link: s.link.ID, adopted: s.link.Adopted, producer: s.link.ProducerID, recent: !t.ledgerAt.IsZero() && time.Since(t.ledgerAt) < t.cfg.ClaimEvery}
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
		case claimTake:
			in.written, err = true, takeClaim(ctx, t, s, in.other)
		case claimRefused:
			t.ledgerAt = time.Time{}
			if err := hold(ctx, t, s, in.other); err != nil {
				return err
			}
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
	if err := writeLedger(ctx, s.target.client, claimOf(t, s)); err != nil {
		return err
	}
	return t.readLedger(ctx, s)
}

// claimOf is our claim as it is written now.
func claimOf(t *Task, s *snapshot) ledgerRecord {
	return ledgerRecord{s.claim(), Claim{LinkID: s.link.ID, ProducerID: s.link.ProducerID, Node: t.cfg.Node, At: time.Now().UnixMilli()}}
}

// takeClaim puts our claim in the place of that of a Sluice cluster which is lost,
// and takes over the target topics that it made for the link.
func takeClaim(ctx context.Context, t *Task, s *snapshot, from string) error {
	if err := t.confirm(ctx); err != nil {
		return err
	}
	theirs := s.claim().of(from)
	records := append(t.ledger.madeBy(theirs, s.claim()), ledgerRecord{theirs, nil}, claimOf(t, s))
	if err := writeLedger(ctx, s.target.client, records...); err != nil {
		return err
	}
	t.log.Info("the link's claim is taken over", "from", from)
	return t.readLedger(ctx, s)
}

// hold lets the streams of a link stand that another Sluice cluster has taken
// over: this one was given up for lost.
func hold(ctx context.Context, t *Task, s *snapshot, by string) error {
	held := &fsm.LinkHold{Link: s.link.ID, By: by, At: time.Now().UnixMilli()}
	if mine, _ := copies(s.view, s.link); len(mine) == 0 || s.view.Feature < fsm.LevelOf(held) {
		return nil
	}
	if err := t.confirm(ctx); err != nil {
		return err
	}
	return t.propose(ctx, held)
}

func (t *Task) readLedger(ctx context.Context, s *snapshot) error {
	l, err := readLedger(ctx, s.target.Cluster)
	if err != nil {
		return err
	}
	t.ledger, t.ledgerAt = l, time.Now()
	return nil
}

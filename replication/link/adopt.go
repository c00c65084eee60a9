package link

import (
	"context"
	"errors"
	"fmt"

	"sluice/fsm"
	"sluice/kafka/catalog"
)

// Claimed is another Sluice cluster's claim on a link.
type Claimed struct {
	Sluice string // id of that Sluice cluster
	Claim
}

// ErrNotClaimed: no other Sluice cluster has, or had, the link.
var ErrNotClaimed = errors.New("no other Sluice cluster claims the link")

// ClaimOn finds whose claim stands against a link: by the target's ledger, or
// where that has none any more, by the facts, whose claim is then empty but for
// a producer id of -1.
func ClaimOn(ctx context.Context, k *catalog.Catalog, view *fsm.View, l *fsm.Link) (Claimed, error) {
	s := &snapshot{link: l, view: view, source: side{Cluster: k.Cluster(l.Spec.Source)}, target: side{Cluster: k.Cluster(l.Spec.Target)}}
	if err := s.source.look(ctx, 0); err != nil {
		return Claimed{}, fmt.Errorf("asking Kafka cluster %s: %w", l.Spec.Source, err)
	}
	ledger, err := readLedger(ctx, s.target.Cluster)
	if err != nil {
		return Claimed{}, fmt.Errorf("asking Kafka cluster %s: %w", l.Spec.Target, err)
	}
	mine := s.claim()
	other := ledger.standing(mine).other
	for _, e := range ledger.about[mine.subject()] {
		if e.key.Sluice == other && other != "" {
			return Claimed{other, e.claim}, nil
		}
	}
	if l.Held != "" {
		return Claimed{l.Held, Claim{ProducerID: -1}}, nil
	}
	return Claimed{}, ErrNotClaimed
}

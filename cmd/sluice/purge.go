package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sluice/cluster"
	"sluice/fsm"
	"sluice/kafka/catalog"
	"sluice/replication/link"
)

// Pace of purging.
const (
	purgeEvery = time.Second
	releaseFor = 30 * time.Second // a target that does not answer holds a deletion up for no longer
	releaseTry = 5 * time.Second
)

// purger ends deleted links, on the leader: once every owner has reported that
// it stopped, the claim on the target is given up and the link is purged.
type purger struct {
	node    *cluster.Node
	catalog *catalog.Catalog
	log     *slog.Logger
	since   map[fsm.LinkID]time.Time // first attempt to give the claim up
}

func (p *purger) Run(ctx context.Context) error {
	tick := time.NewTicker(purgeEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		s := p.node.Status()
		if s.Leader != s.Self || !s.Quorum {
			continue
		}
		v := p.node.View()
		for _, l := range v.Links {
			if !l.Deleting || len(awaited(v, l, s.Members)) > 0 {
				continue
			}
			if err := p.purge(ctx, v, l); err != nil && ctx.Err() == nil {
				p.log.Warn("purging a deleted link", "link", l.Spec.Name, "error", err)
			}
		}
	}
}

// awaited gives the owners of a link's tasks that have not reported that they
// carried out its last change. A node that was removed is waited for no more;
// a dead one is, because it may still copy.
func awaited(v *fsm.View, l *fsm.Link, members []cluster.Member) []string {
	carriedOut := map[string]uint64{}
	for _, m := range members {
		carriedOut[m.ServerID] = m.Reconciled
	}
	var out []string
	for t := range v.Tasks {
		if t.Link == l.ID && v.Node(t.Owner) != nil && carriedOut[t.Owner] < l.Revision {
			out = append(out, t.Owner)
		}
	}
	return out
}

func (p *purger) purge(ctx context.Context, v *fsm.View, l *fsm.Link) error {
	if p.since[l.ID].IsZero() {
		p.since[l.ID] = time.Now()
	}
	if err := p.release(ctx, v, l); err != nil {
		if time.Since(p.since[l.ID]) < releaseFor {
			return err
		}
		now := time.Now().UnixMilli()
		p.node.Record(fsm.Event{
			Node: v.Node(p.node.Self().ServerID).Name, Code: fsm.CodeUnreachable, Part: -1, From: -1, To: -1, First: now, Last: now,
			Message: fmt.Sprintf("link %s is deleted, but its claim still stands in %s at %s: %v", l.Spec.Name, link.LedgerTopic, l.Spec.Target, err),
		})
	}
	r, err := p.node.Propose(ctx, &fsm.LinkPurge{Link: l.ID})
	if err == nil && r.Refused != fsm.RefusedNot {
		err = errors.New(r.Message)
	}
	if err == nil {
		delete(p.since, l.ID)
		p.log.Info("purged a deleted link", "link", l.Spec.Name)
	}
	return err
}

// release gives the claim up, unless another link of that name stands already.
func (p *purger) release(ctx context.Context, v *fsm.View, l *fsm.Link) error {
	source, target := v.KafkaCluster(l.Spec.Source), v.KafkaCluster(l.Spec.Target)
	if now := v.LinkNamed(l.Spec.Name); source == nil || target == nil || now != nil && now.ID != l.ID {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, releaseTry)
	defer cancel()
	return link.Release(ctx, p.catalog.Cluster(l.Spec.Target), v.ClusterID, source.ClusterID, l.Spec.Name)
}

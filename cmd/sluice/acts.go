package main

import (
	"context"
	"time"

	"sluice/cluster"
	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/replication/link"
)

// releaseTry bounds one try to give a claim up.
const releaseTry = 5 * time.Second

// acts are what operations do outside of the facts.
func acts(kafkas *catalog.Catalog) map[cluster.ActOf]cluster.Act {
	return map[cluster.ActOf]cluster.Act{
		{Kind: fsm.OperationDeleteLink, Step: fsm.StepReleasing}: release(kafkas),
	}
}

// release gives up the claim that a deleted link has at its target.
func release(kafkas *catalog.Catalog) cluster.Act {
	return func(ctx context.Context, v *fsm.View, o *fsm.Operation) error {
		l := v.Link(o.Link)
		if l == nil {
			return nil
		}
		source, target := v.KafkaCluster(l.Spec.Source), v.KafkaCluster(l.Spec.Target)
		if source == nil || target == nil {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, releaseTry)
		defer cancel()
		return kafka.Explained(link.Release(ctx, kafkas.Cluster(target.Name), v.ClusterID, source.ClusterID, l.Spec.Name, l.ID))
	}
}

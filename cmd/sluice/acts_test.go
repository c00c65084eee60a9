package main

import (
	"log/slog"
	"strings"
	"testing"

	"sluice/cluster"
	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/test/rig"
	"sluice/test/system"
)

// TestActsSayTheCause: what an operation tells of a Kafka cluster that it cannot
// reach begins with why, and says what to do.
func TestActsSayTheCause(t *testing.T) {
	closed := system.FreePort(t)
	f := rig.NewFacts(t, "n1")
	f.Do(t, &fsm.Objects{
		Kafka: []fsm.KafkaCluster{{Name: "us", Bootstrap: []string{closed}}, {Name: "eu", Bootstrap: []string{closed}}},
		Links: []fsm.LinkPut{{Spec: fsm.LinkSpec{Name: "gone", Source: "us", Target: "eu", Include: []string{"*"}, State: fsm.StateRunning}}},
	})
	log := slog.New(slog.DiscardHandler)
	pool, err := kafka.NewPool(kafka.DefaultConfig(), log)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	kafkas := catalog.New(catalog.DefaultConfig(), pool, f.View, log)
	defer kafkas.Close()
	act := acts(kafkas)[cluster.ActOf{Kind: fsm.OperationDeleteLink, Step: fsm.StepReleasing}]
	err = act(t.Context(), f.View(), &fsm.Operation{Link: f.View().LinkNamed("gone").ID})
	if err == nil || !strings.HasPrefix(err.Error(), closed+" refuses connections: start the broker there") {
		t.Errorf("%v", err)
	}
}

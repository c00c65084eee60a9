package system

import (
	"testing"
	"time"

	"sluice/test/claim"
	"sluice/test/faults"
	"sluice/test/kafkalab"
)

// TestCuts lets one cluster of nodes live through cuts between its nodes and
// the target's brokers, under load. Both sides are compared after each.
func TestCuts(t *testing.T) {
	t.Parallel()
	mesh, proxy := faults.NewMesh(), faults.NewKafkaProxy()
	t.Cleanup(mesh.Close)
	t.Cleanup(proxy.Close)
	w := NewWorld(t, WorldConfig{Nodes: Options{Mesh: mesh, Apart: true}, Target: kafkalab.Config{AdvertisedVia: proxy.Via}})
	w.Scenario("from peers, what was held is delivered", func(t *testing.T) { w.cutFromPeers(t, mesh, faults.Deliver) })
	w.Scenario("from peers, connections are reset", func(t *testing.T) { w.cutFromPeers(t, mesh, faults.Reset) })
	w.Scenario("one way", func(t *testing.T) { w.oneWayCuts(t, mesh) })
	w.Scenario("from Kafka", func(t *testing.T) { w.cutFromKafka(t, proxy) })
}

// cutFromPeers: a node that peers do not hear, and Kafka does: its successor
// and it both write. Nothing is written twice, and when it hears again it takes
// part.
func (w *World) cutFromPeers(t *testing.T, mesh *faults.Mesh, heal faults.Heal) {
	for round := range claim.Rounds(1, 3) {
		w.Spread()
		victim := w.List()[(round+int(heal))%3]
		gaps := w.After(func() { mesh.Isolate(victim.Name) })
		t.Logf("round %d: %s cut off from its peers: longest gap %v", round, victim.Name, gaps[0].New)
		w.Moving()
		Settle(t, time.Duration(claim.Rounds(5, 8))*time.Second) // it is dead to the others after 3 s
		w.Moving()
		mesh.HealAll(victim.Name, heal)
		w.Spread()
		w.Moving()
	}
}

// oneWayCuts: the bytes of one direction arrive, those of the other are held.
func (w *World) oneWayCuts(t *testing.T, mesh *faults.Mesh) {
	for round, dir := range []string{"out", "in"} {
		w.Spread()
		victim := w.List()[round%3]
		for _, n := range w.List() {
			switch {
			case n == victim:
			case dir == "out":
				mesh.CutOneWay(victim.Name, n.Name)
			default:
				mesh.CutOneWay(n.Name, victim.Name)
			}
		}
		w.Moving()
		Settle(t, time.Duration(claim.Rounds(4, 6))*time.Second)
		gap := w.Moving()
		t.Logf("round %d: one way (%s) of %s held: longest gap after a while %v", round, dir, victim.Name, gap.New)
		mesh.HealAll(victim.Name, faults.Deliver)
		w.Spread()
		w.Moving()
	}
}

// cutFromKafka: a node that Kafka does not hear, and its peers do: its streams
// wait, and go on when the target can be reached again.
func (w *World) cutFromKafka(t *testing.T, proxy *faults.KafkaProxy) {
	w.Spread()
	victim := w.List()[0]
	owned := w.Owns(w.alive(), victim)
	heal := proxy.Cut(clientOf(victim))
	cut := time.Duration(claim.Rounds(5, 8)) * time.Second
	Settle(t, cut)
	heal(faults.Deliver)
	gap := w.Moving()
	t.Logf("%s, owner of %d, cut off from the target for %v: new records %v after healing", victim.Name, len(owned), cut, gap.New)
}

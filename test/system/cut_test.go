package system

import (
	"testing"
	"time"

	"sluice/test/faults"
	"sluice/test/kafkalab"
)

// clientOf is the client id by which a node shows at brokers.
func clientOf(n *Node) string { return "sluice-" + n.Name }

// cutWorld is a world whose nodes and target brokers can be cut apart.
func cutWorld(t *testing.T) (*World, *faults.Mesh, *faults.KafkaProxy) {
	mesh, proxy := faults.NewMesh(), faults.NewKafkaProxy()
	t.Cleanup(mesh.Close)
	t.Cleanup(proxy.Close)
	w := NewWorld(t, WorldConfig{Nodes: Options{Mesh: mesh}, Target: kafkalab.Config{AdvertisedVia: proxy.Via}})
	return w, mesh, proxy
}

// A node that peers do not hear, and Kafka does: its successor and it both
// write. Nothing is written twice, and when it hears again it takes part.
func TestCutOffFromPeers(t *testing.T) {
	w, mesh, _ := cutWorld(t)
	for round, heal := range []faults.Heal{faults.Deliver, faults.Reset} {
		w.Spread()
		victim := w.List()[round%3]
		gaps := w.After(func() { mesh.Isolate(victim.Name) }, 40*time.Second)
		t.Logf("round %d: %s cut off from its peers: longest gap %v", round, victim.Name, gaps[0].New)
		w.Moving(20 * time.Second)
		Settle(t, 8*time.Second)
		w.Moving(20 * time.Second)
		mesh.HealAll(victim.Name, heal)
		w.Spread()
		w.Moving(20 * time.Second)
	}
	w.Equal()
}

// The bytes of one direction arrive, those of the other are held.
func TestOneWayCuts(t *testing.T) {
	w, mesh, _ := cutWorld(t)
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
		w.Moving(40 * time.Second)
		Settle(t, 6*time.Second)
		gap := w.Moving(20 * time.Second)
		t.Logf("round %d: one way (%s) of %s held: longest gap after a while %v", round, dir, victim.Name, gap.New)
		mesh.HealAll(victim.Name, faults.Deliver)
		w.Spread()
		w.Moving(20 * time.Second)
	}
	w.Equal()
}

// A node that Kafka does not hear, and its peers do: its streams wait, and go
// on when the target can be reached again.
func TestCutOffFromKafka(t *testing.T) {
	w, _, proxy := cutWorld(t)
	w.Spread()
	victim := w.List()[0]
	owned := w.Owns(w.alive(), victim)
	heal := proxy.Cut(clientOf(victim))
	Settle(t, 8*time.Second)
	heal(faults.Deliver)
	gap := w.Moving(60 * time.Second)
	t.Logf("%s, owner of %d, cut off from the target for 8 s: new records %v after healing", victim.Name, len(owned), gap.New)
	w.Equal()
}

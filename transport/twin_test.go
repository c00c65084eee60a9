package transport

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"sluice/test/vnet"
)

// TestTwinIsRefused: whoever shows a living node's identity gets nothing, of
// whatever kind, and learns where that one is.
func TestTwinIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := vnet.New()
		a, b := startNode(t, n, "127.0.0.1", "x", "c"), startNode(t, n, "127.0.0.2", "b", "c")
		defer a.stop()
		defer b.stop()
		b.Guard(func(m Meeting) error {
			if who := m.Peer; who.ServerID == "x" && who.Advertise != "127.0.0.3:7400" {
				return &TwinError{Name: "n3", Alive: "127.0.0.3:7400"}
			}
			return nil
		})
		for _, kind := range []Kind{KindRaft, KindPackets, KindGossip, KindRPC} { // those without a listener too
			_, err := a.Dial(t.Context(), kind, Target{Address: "127.0.0.2:7400"})
			twin, ok := errors.AsType[*TwinError](err)
			if !ok || twin.Alive != "127.0.0.3:7400" || twin.By != "node-b" {
				t.Errorf("%s: %v", kind, err)
			}
			if told := <-a.Twin(); told.Alive != "127.0.0.3:7400" {
				t.Errorf("told %+v", told)
			}
		}
		synctest.Wait() // the other side tells it after its answer
		if log := b.log.String(); strings.Count(log, "code=identity-alive") != 1 || !strings.Contains(log, "the node n3 with this identity is alive at 127.0.0.3:7400") {
			t.Error(log)
		}
		c := startNode(t, n, "127.0.0.3", "x", "c")
		defer c.stop()
		listen(t, b, KindRPC)
		conn, err := c.Dial(t.Context(), KindRPC, Target{Address: "127.0.0.2:7400"})
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	})
}

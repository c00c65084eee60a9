package transport

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/test/vnet"
)

// TestNameIsTheCertificates: a node that calls itself by another name than its
// certificate's gets nothing, whichever side dials and whatever it asks for, and
// both sides say both names.
func TestNameIsTheCertificates(t *testing.T) {
	dir, now := authority(t), time.Now()
	synctest.Test(t, func(t *testing.T) {
		certNow(now)
		n := vnet.New()
		good := startTLS(t, n, "127.0.0.1", files(dir, "n1"))
		defer good.stop()
		cfg := hostConfig(n, "127.0.0.2")
		cfg.Insecure, cfg.TLS = false, files(dir, "n2")
		bad := start(t, cfg, Identity{ServerID: "id-127.0.0.1", Name: "n1", ClusterID: "c"})
		defer bad.stop()
		synctest.Wait()
		const what = "is of the node n2, and the node calls itself n1"
		for _, kind := range []Kind{KindRaft, KindPackets, KindGossip, KindRPC} {
			listen(t, good, kind)
			listen(t, bad, kind)
			if _, err := bad.Dial(t.Context(), kind, Target{Address: "127.0.0.1:7400"}); err == nil || !strings.Contains(err.Error(), "127.0.0.1:7400 refuses this node's certificate: it "+what) {
				t.Errorf("%s, dialling as another: %v", kind, err)
			}
			if _, err := good.Dial(t.Context(), kind, Target{Address: "127.0.0.2:7400"}); err == nil || !strings.Contains(err.Error(), "the certificate of 127.0.0.2:7400 "+what) {
				t.Errorf("%s, dialling one that is another: %v", kind, err)
			}
		}
		if !strings.Contains(good.log.String(), "TLS: the certificate of 127.0.0.2 "+what) {
			t.Error(good.log)
		}
	})
}

// TestPeerIsProven: who is asked and who asks know each other by the names and
// keys of their certificates; without TLS nothing is proven.
func TestPeerIsProven(t *testing.T) {
	dir, now := authority(t), time.Now()
	synctest.Test(t, func(t *testing.T) {
		certNow(now)
		n := vnet.New()
		a, b := startTLS(t, n, "127.0.0.1", files(dir, "n1")), startTLS(t, n, "127.0.0.2", files(dir, "n2"))
		defer a.stop()
		defer b.stop()
		l := listen(t, b, KindRPC)
		out, err := a.Dial(t.Context(), KindRPC, Target{Address: "127.0.0.2:7400"})
		if err != nil {
			t.Fatal(err)
		}
		in, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		from, to := in.(*Conn).Peer(), out.Peer()
		if from.Name != "n1" || to.Name != "n2" || !from.Proven() || len(from.Key) != 64 || from.Key == to.Key || !strings.HasPrefix(from.From, "127.0.0.1:") {
			t.Errorf("%+v and %+v", from, to)
		}
		if !from.Serves("127.0.0.1:1") || from.Serves("127.0.0.2:1") || from.Serves("nothing") {
			t.Error("serves what it does not")
		}
		plain, other := startNode(t, n, "127.0.0.3", "x", "c"), startNode(t, n, "127.0.0.4", "y", "c")
		defer plain.stop()
		defer other.stop()
		listen(t, other, KindRPC)
		c, err := plain.Dial(context.Background(), KindRPC, Target{Address: "127.0.0.4:7400"})
		if err != nil || c.Peer().Proven() {
			t.Errorf("%+v %v", c, err)
		}
	})
}

package system

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestRenewWhileRunning: `sluice cert renew`, beside running nodes and on the
// very files that they use, is all that a renewal takes: each node shows its new
// certificate from then on, every node says when it ends, and nobody is refused.
func TestRenewWhileRunning(t *testing.T) {
	t.Parallel()
	n := Start(t, Options{Nodes: 3})
	n.Ready()
	leader := n.list[0].Status().Leader
	for _, node := range n.list {
		former := node.shown(t)
		out, err := exec.Command(node.Binary, "cert", "renew", node.Name, "--dir", n.dir).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "renewed ") {
			t.Fatalf("%v %s", err, out)
		}
		pair, err := tls.LoadX509KeyPair(n.dir+"/"+node.Name+".pem", n.dir+"/"+node.Name+".key")
		if err != nil {
			t.Fatal(err)
		}
		if now := node.shown(t); now == former || now != pair.Leaf.SerialNumber.String() {
			t.Errorf("%s shows %s, before %s; the file holds %s", node.Name, now, former, pair.Leaf.SerialNumber)
		}
		until(t, "all nodes say when it ends", func() error {
			for _, other := range n.list {
				s := other.Status()
				if s == nil || len(s.Problems) > 0 {
					return fmt.Errorf("%s: %+v", other.Name, s)
				}
				for _, m := range s.Nodes {
					if m.Name == node.Name && (len(m.Certificates) != 2 || !m.Certificates[0].Until.Equal(pair.Leaf.NotAfter)) {
						return fmt.Errorf("%s says of %s: %+v", other.Name, m.Name, m.Certificates)
					}
				}
			}
			return nil
		})
	}
	n.Ready()
	if now := n.list[0].Status().Leader; now != leader {
		t.Errorf("%s led, now %s", leader, now)
	}
	for _, node := range n.list {
		b, err := os.ReadFile(node.log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if strings.Contains(line, "code=certificate") || strings.Contains(line, "level=ERROR") {
				t.Errorf("%s: %s", node.Name, line)
			}
		}
	}
}

// shown is the serial number of the certificate that a new connection to the
// peer port meets.
func (n *Node) shown(t *testing.T) string {
	t.Helper()
	d := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}}
	c, err := d.DialContext(t.Context(), "tcp", n.Peer)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
}

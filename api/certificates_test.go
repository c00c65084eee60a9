package api_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/pki"
)

// TestCertificatesThatEnd: what ends is told of by any node: a warning from 30
// days before, a problem from 7 on; an authority is a warning, since what rests
// on it ends with it. What is not known is never fine.
func TestCertificatesThatEnd(t *testing.T) {
	const day = 24 * time.Hour
	held := func(use string, left time.Duration) pki.Held {
		return pki.Held{Use: use, Name: "x", File: "x.pem", From: time.Now().Add(-day), Until: time.Now().Add(left + time.Minute), Life: 800 * day}
	}
	broken := held(pki.UsePeer, 100*day)
	broken.Fault = "x.key is not the private key of the certificate in x.pem"
	for _, c := range []struct {
		name             string
		held             []pki.Held
		problem, warning string
		state            string
	}{
		{"fine", []pki.Held{held(pki.UsePeer, 31*day), held(pki.UsePeerCA, 3000*day)}, "", "", "fine"},
		{"none", []pki.Held{}, "", "", ""},
		{"in 29 days", []pki.Held{held(pki.UsePeer, 29*day)}, "", "node n3: the certificate x.pem ends at ", "soon"},
		{"in six days", []pki.Held{held(pki.UsePeer, 100*day), held(pki.UseHTTP, 6*day)}, "node n3: the certificate x.pem ends at ", "", "near"},
		{"in 20 hours", []pki.Held{held(pki.UsePeer, 20*time.Hour)}, "in 20 hours: renew it", "", "last"},
		{"over", []pki.Held{held(pki.UsePeer, -day)}, "node n3: the certificate x.pem has expired at ", "", "over"},
		{"an authority in six days", []pki.Held{held(pki.UsePeer, 100*day), held(pki.UsePeerCA, 6*day)}, "", "node n3: the authority \"x\" in x.pem ends at ", "near"},
		{"broken files", []pki.Held{broken}, "", "node n3 goes on with the certificate that it read before; mend what stands in its files now before it is restarted: x.key is not", "fine"},
		{"not told", nil, "", "when the certificates of node n3 end is not known: its version (v0) does not tell", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := apitest.New(t)
			f.With(func(f *apitest.Cluster) { f.Nodes[2].Certificates, f.Nodes[2].Version = c.held, "v0" })
			_, client := f.Serve(nil)
			s, err := client.Status(t.Context(), 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			if !told(s.Problems, c.problem) || !told(s.Warnings, c.warning) || (s.Health == api.Unhealthy) != (c.problem != "") {
				t.Errorf("%s: %q, %q", s.Health, s.Problems, s.Warnings)
			}
			n := s.Nodes[slices.IndexFunc(s.Nodes, func(n api.Node) bool { return n.Name == "n3" })]
			if (n.Certificates == nil) != (c.held == nil) || len(n.Certificates) != len(c.held) {
				t.Fatalf("%v", n.Certificates)
			}
			if c.state != "" && n.Certificates[0].State != c.state { // the first to end
				t.Errorf("%+v", n.Certificates)
			}
		})
	}
}

// told reports whether the one text holds what is wanted; empty: there is none.
func told(texts []string, want string) bool {
	if want == "" {
		return len(texts) == 0
	}
	return len(texts) == 1 && strings.Contains(texts[0], want)
}

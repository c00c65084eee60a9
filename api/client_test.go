package api_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/pki"
)

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestClientRefusesWhatCannotWork before it asks anybody.
func TestClientRefusesWhatCannotWork(t *testing.T) {
	none, noPEM := filepath.Join(t.TempDir(), "none"), writeFile(t, "ca.pem", "no PEM")
	for want, cfg := range map[string]api.ClientConfig{
		"no address to ask":                       {},
		`address "ftp://n1:1" is not http://host`: {Addresses: []string{"n1:1", "ftp://n1:1"}},
		`address "http://" is not`:                {Addresses: []string{"http://"}},
		`address "" is not`:                       {Addresses: []string{"n1:1", ""}},
		`address "n1" is not`:                     {Addresses: []string{"n1"}},
		`address "n1:99999": the port is`:         {Addresses: []string{"n1:99999"}},
		`address "n1:port" is not`:                {Addresses: []string{"n1:port"}},
		"reading token file: no such file or directory; give the path of a file that holds the token": {Addresses: []string{"n1:1"}, TokenFile: none},
		"reading CA file: open " + none:               {Addresses: []string{"n1:1"}, CAFile: none},
		"reading CA file: no certificate in " + noPEM: {Addresses: []string{"n1:1"}, CAFile: noPEM},
	} {
		if c, err := api.NewClient(cfg); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got  %v %v\nwant %s", c, err, want)
		}
	}
}

func TestClientNamesEveryAddressThatIsDead(t *testing.T) {
	c, err := api.NewClient(api.ClientConfig{Addresses: []string{"127.0.0.1:1", "http://127.0.0.1:2/ignored"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Status(t.Context(), 1, 1)
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1/v1/status") || !strings.Contains(err.Error(), "127.0.0.1:2/v1/status") {
		t.Errorf("%v", err)
	}
}

// TestClientDoesNotAskTheNextAfterAnAnswer: a change that one node refused, or
// has perhaps made, is not made by another.
func TestClientDoesNotAskTheNextAfterAnAnswer(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(1)
	good, _ := f.Serve(nil)
	for name, answer := range map[string]http.HandlerFunc{
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) },
		"half of it": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			_, _ = w.Write([]byte("{}"))
		},
		"gone away":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"another page": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) },
	} {
		bad := httptest.NewServer(answer)
		t.Cleanup(bad.Close)
		c, err := api.NewClient(api.ClientConfig{Addresses: []string{bad.URL, good.URL}})
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.DeleteLink(t.Context(), "us-eu")
		if code(err) != api.CodeAmbiguous || !strings.Contains(err.Error(), bad.URL) ||
			!strings.HasSuffix(err.Error(), ": the request was sent, and may still be carried out; look with `sluice operation ls` before asking again") {
			t.Errorf("%s: %+v %v", name, a, err)
		}
		if _, err := c.Links(t.Context()); err == nil || code(err) != "" || strings.Contains(err.Error(), "may still") {
			t.Errorf("%s: reading: %v", name, err)
		}
	}
	if f.View().LinkNamed("us-eu").Deleting {
		t.Error("another node was told to delete the link")
	}
}

func TestClientEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() }))
	t.Cleanup(slow.Close)
	c, err := api.NewClient(api.ClientConfig{Addresses: []string{slow.URL, slow.URL}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Links(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestAPIOverTLS: certificate and token, and what a caller reads who lacks one.
func TestAPIOverTLS(t *testing.T) {
	dir := t.TempDir()
	for _, err := range []error{pki.CreateCA(dir), pki.CreateNodeCert(dir, "n1", []string{"127.0.0.1"})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f := apitest.New(t)
	cfg := api.DefaultConfig()
	cfg.Listen, cfg.Cert, cfg.Key = "127.0.0.1:0", filepath.Join(dir, "n1.pem"), filepath.Join(dir, "n1.key")
	cfg.TokenFile = writeFile(t, "token", "0123456789abcdef\n")
	address := serve(t, cfg, f, f)
	ask := func(ca, token string) error {
		c, err := api.NewClient(api.ClientConfig{Addresses: []string{"https://" + address}, CAFile: ca, TokenFile: token})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Links(t.Context())
		return err
	}
	ca := filepath.Join(dir, "ca.pem")
	if err := ask(ca, cfg.TokenFile); err != nil {
		t.Error(err)
	}
	if err := ask(ca, ""); code(err) != api.CodeUnauthorized || !strings.Contains(err.Error(), "--token-file") {
		t.Errorf("no token: %v", err)
	}
	if err := ask("", cfg.TokenFile); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
}

// TestCertificateIsReadAnew: new connections are shown what the files hold by
// then, those that stand go on, and a broken pair changes nothing.
func TestCertificateIsReadAnew(t *testing.T) {
	dir := t.TempDir()
	for _, err := range []error{pki.CreateCA(dir), pki.CreateNodeCert(dir, "n1", []string{"127.0.0.1"})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f := apitest.New(t)
	cfg := api.DefaultConfig()
	cfg.Listen, cfg.Cert, cfg.Key = "127.0.0.1:0", filepath.Join(dir, "n1.pem"), filepath.Join(dir, "n1.key")
	address := serve(t, cfg, f, f)
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		t.Fatal(err)
	}
	trust := &tls.Config{RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	standing := &http.Client{Transport: &http.Transport{TLSClientConfig: trust, MaxConnsPerHost: 1}}
	defer standing.CloseIdleConnections()
	ask := func(c *http.Client) string {
		t.Helper()
		resp, err := c.Get("https://" + address + "/livez")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.ReadAll(resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.String()
	}
	anew := func() string {
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}
		defer c.CloseIdleConnections()
		return ask(c)
	}
	first := ask(standing)
	if _, err := pki.RenewNodeCert(dir, "n1"); err != nil {
		t.Fatal(err)
	}
	second := anew()
	if second == first {
		t.Error("a new connection was shown the former certificate")
	}
	if ask(standing) != first {
		t.Error("the connection that stood was closed")
	}
	if err := os.WriteFile(cfg.Key, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if anew() != second {
		t.Error("something else is shown than the last good one")
	}
	if _, err := pki.RenewNodeCert(dir, "n1"); err != nil {
		t.Fatal(err)
	}
	if anew() == second {
		t.Error("what was mended is not shown")
	}
}

package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/cli"
	"sluice/test/certs"
)

// good is a node.yaml in which nothing is wrong, with its files (see site).
const good = `name: n1
dataDir: data
peer:
  listen: 0.0.0.0:7400
  advertise: n1.example:7400
  tls:
    cert: n1.pem
    key: n1.key
    ca: ca.pem
http:
  listen: 127.0.0.1:8080
join: [n2.example:7400, n3.example:7400]
`

// site is the folder of a node.yaml.
type site struct {
	t         *testing.T
	dir, text string
	authority *certs.Authority
}

func newSite(t *testing.T) *site {
	s := &site{t: t, dir: t.TempDir(), text: good}
	s.authority = certs.New(t, filepath.Join(s.dir, "pki"), "Sluice CA")
	s.issue(certs.Node{})
	return s
}

// issue makes n1's certificate and puts it in place.
func (s *site) issue(n certs.Node) {
	n.Name = "n1"
	if n.Hosts == nil {
		n.Hosts = []string{"n1.example"}
	}
	s.authority.Issue(n)
	for _, f := range []string{"n1.pem", "n1.key", "ca.pem"} {
		s.write(f, s.read("pki/"+f), 0o600)
	}
}

func (s *site) edit(from, to string) {
	s.t.Helper()
	if !strings.Contains(s.text, from) {
		s.t.Fatalf("%q is not there", from)
	}
	s.text = strings.Replace(s.text, from, to, 1)
}

func (s *site) read(name string) string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

func (s *site) write(name, text string, mode os.FileMode) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		s.t.Fatal(err)
	}
}

func (s *site) config() string {
	s.write("node.yaml", s.text, 0o600)
	return filepath.Join(s.dir, "node.yaml")
}

// validate runs the verb and returns what a person reads, without the folder.
func (s *site) validate() (code int, said string) {
	var out bytes.Buffer
	env := cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }}
	code = cli.Run(s.t.Context(), []string{"server", "validate", "-c", s.config()}, env, local())
	return code, strings.NewReplacer(s.dir+"/", "", s.dir, "HERE").Replace(out.String())
}

// starts says why a node would not start; nothing is started.
func (s *site) starts() error {
	_, err := ready(s.config(), cli.ServerOptions{})
	return err
}

func day(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

// faulty are node.yamls with a fault each, by the name of the golden file of
// what `server validate` says. Those that run all the same are marked.
func faulty() []struct {
	name string
	runs bool
	make func(*site)
} {
	folder := func(s *site, path string) { s.text += "secrets: {folders: [" + path + "]}\n" }
	return []struct {
		name string
		runs bool
		make func(*site)
	}{
		{"expired", false, func(s *site) { s.issue(certs.Node{From: day(2020, 1, 1), To: day(2021, 2, 3)}) }},
		{"not-yet-valid", false, func(s *site) { s.issue(certs.Node{From: day(2080, 1, 1)}) }},
		{"key-open", true, func(s *site) { s.write("n1.key", s.read("n1.key"), 0o644) }},
		{"key-of-another", false, func(s *site) {
			s.authority.Issue(certs.Node{Name: "n2", Hosts: []string{"n2.example"}})
			s.write("n1.key", s.read("pki/n2.key"), 0o600)
		}},
		{"key-broken", false, func(s *site) { s.write("n1.key", "nothing\n", 0o600) }},
		{"certificate-missing", false, func(s *site) { s.edit("n1.pem", "n9.pem") }},
		{"certificate-broken", false, func(s *site) { s.write("n1.pem", "nothing\n", 0o600) }},
		{"authority-missing", false, func(s *site) { s.edit("ca.pem", "authority.pem") }},
		{"authority-empty", false, func(s *site) { s.write("ca.pem", "nothing\n", 0o600) }},
		{"authority-of-another", false, func(s *site) {
			certs.New(s.t, filepath.Join(s.dir, "other"), "Other CA")
			s.write("ca.pem", s.read("other/ca.pem"), 0o600)
		}},
		{"host-of-another", false, func(s *site) { s.issue(certs.Node{Hosts: []string{"n2.example", "10.0.0.2"}}) }},
		{"names-no-node", false, func(s *site) { s.issue(certs.Node{Node: certs.NoNode}) }},
		{"names-another-node", false, func(s *site) { s.issue(certs.Node{Node: "n2"}) }},
		{"no-client-usage", false, func(s *site) { s.issue(certs.Node{Uses: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}) }},
		{"data-dir-is-a-file", false, func(s *site) { s.write("data", "", 0o600) }},
		{"data-dir-below-a-file", false, func(s *site) { s.write("file", "", 0o600); s.edit("dataDir: data", "dataDir: file/data") }},
		{"itself-in-join", true, func(s *site) { s.edit("n2.example", "n1.example") }},
		{"only-itself-in-join", false, func(s *site) { s.edit("n2.example:7400, n3", "n1") }},
		{"no-join", false, func(s *site) { s.edit("join: [n2.example:7400, n3.example:7400]\n", "") }},
		{"secrets-with-key", false, func(s *site) {
			s.write("secrets/n1.key", s.read("n1.key"), 0o600)
			s.edit("n1.key", "secrets/n1.key")
		}},
		{"secrets-with-copies", false, func(s *site) {
			s.write("secrets/below/copy", s.read("n1.key"), 0o600)
			s.write("secrets/ca.key", s.read("pki/ca.key"), 0o600)
		}},
		{"secrets-with-everything", false, func(s *site) {
			s.write("token", "0123456789abcdef\n", 0o600)
			s.edit("8080\n", "8080\n  tokenFile: token\n")
			folder(s, ".")
		}},
		{"secrets-behind-a-link", false, func(s *site) {
			if err := os.Symlink(".", filepath.Join(s.dir, "alias")); err != nil {
				s.t.Fatal(err)
			}
			s.edit("dataDir: data", "dataDir: box/data")
			folder(s, "alias/box")
		}},
		{"token-missing", false, func(s *site) { s.edit("8080\n", "8080\n  tokenFile: none\n") }},
		{"http-certificate-expired", true, func(s *site) {
			s.authority.Issue(certs.Node{Name: "http", To: day(2021, 2, 3)})
			s.edit("8080\n", "8080\n  tls: {cert: pki/http.pem, key: pki/http.key}\n")
		}},
		{"http-certificate-of-a-client", true, func(s *site) {
			s.authority.Issue(certs.Node{Name: "http", Uses: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
			s.edit("8080\n", "8080\n  tls: {cert: pki/http.pem, key: pki/http.key}\n")
		}},
		{"authority-expired", false, func(s *site) {
			s.authority = certs.Lasting(s.t, filepath.Join(s.dir, "pki"), "Sluice CA", day(2021, 2, 3))
			s.issue(certs.Node{})
		}},
		{"all-at-once", false, func(s *site) {
			s.issue(certs.Node{To: day(2021, 2, 3), Hosts: []string{"n2.example"}})
			s.write("n1.key", s.read("n1.key"), 0o644)
			s.write("data", "", 0o600)
			s.edit("[n2.example:7400", "[n2.example, n1.example:7400")
			s.text += "profile: man\nlog: loud\nmemory: 1MiB\n"
		}},
		{"more-than-are-shown", false, func(s *site) { s.edit("n2.example:7400", strings.Repeat("n2.example, ", 22)+"n2.example:7400") }},
	}
}

// TestValidateFinds compares what a person reads with golden files, and holds
// the node's own start to it.
func TestValidateFinds(t *testing.T) {
	for _, c := range faulty() {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			c.make(s)
			code, said := s.validate()
			if code != 1 {
				t.Errorf("exit code %d", code)
			}
			golden := filepath.Join("testdata", "validate", c.name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(said), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(want) != said {
				t.Errorf("got\n%s\nwant\n%s", said, want)
			}
			if err := s.starts(); (err == nil) != c.runs {
				t.Errorf("the node starts: %v", err)
			}
			if _, err := os.Stat(filepath.Join(s.dir, "data", "node.json")); err == nil {
				t.Error("looking wrote into the data dir")
			}
		})
	}
}

// TestValidateLetsPass: what is right, and what only a person has to know.
func TestValidateLetsPass(t *testing.T) {
	soon := time.Now().Add(10*24*time.Hour + time.Hour)
	for _, c := range []struct {
		name, says string
		make       func(*site)
	}{
		{"nothing", "", func(*site) {}},
		{"the first of a cluster", "", func(s *site) { s.edit("[n2.example:7400, n3.example:7400]", "[]") }},
		{"a member without a list", "", func(s *site) {
			s.edit("join: [n2.example:7400, n3.example:7400]\n", "")
			s.write("data/node.json", `{"serverId":"a","clusterId":"c"}`, 0o600)
		}},
		{"loopback alone", "--insecure", func(s *site) {
			s.text = "name: n1\ndataDir: data\npeer: {listen: \"127.0.0.1:7400\"}\n"
		}},
		{"a certificate that ends soon", fmt.Sprintf("node.yaml:7:11: peer.tls.cert: the certificate n1.pem ends at %s, in 10 days: renew it (`sluice cert renew`)", soon.UTC().Format(time.RFC3339)),
			func(s *site) { s.issue(certs.Node{To: soon}) }},
		{"an authority that ends before the certificate", fmt.Sprintf("peer.tls.cert: the certificate n1.pem is accepted until %s only, in 10 days: the authority \"Sluice CA\" above it ends then", soon.UTC().Format(time.RFC3339)),
			func(s *site) {
				s.authority = certs.Lasting(s.t, filepath.Join(s.dir, "pki"), "Sluice CA", soon)
				s.issue(certs.Node{})
			}},
		{"an old authority beside the new one", "node.yaml:9:9: peer.tls.ca: the authority \"Old CA\" in ca.pem has expired at 2021-02-03T00:00:00Z",
			func(s *site) {
				certs.Lasting(s.t, filepath.Join(s.dir, "old"), "Old CA", day(2021, 2, 3))
				s.write("ca.pem", s.read("old/ca.pem")+s.read("ca.pem"), 0o600)
			}},
		{"an API elsewhere", "http.tls.cert: pki/http.pem is for 127.0.0.1 and not for api.example, where clients are told to ask",
			func(s *site) {
				s.authority.Issue(certs.Node{Name: "http", Hosts: []string{"127.0.0.1"}})
				s.edit("8080\n", "8080\n  advertise: api.example:8080\n  tls: {cert: pki/http.pem, key: pki/http.key}\n")
			}},
		{"a key that its group reads", "node.yaml:8:10: peer.tls.key: the group of the private key n1.key can read it too (mode 0640)",
			func(s *site) { s.write("n1.key", s.read("n1.key"), 0o640) }},
		{"secrets of Kafka clusters", "", func(s *site) {
			s.authority.Issue(certs.Node{Name: "kafka"})
			s.write("secrets/kafka.key", s.read("pki/kafka.key"), 0o600)
			s.write("secrets/kafka-ca.pem", s.read("ca.pem"), 0o600)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			c.make(s)
			code, said := s.validate()
			warned := strings.Contains(said, "warning")
			if code != 0 || !strings.Contains(said, c.says) || warned != (c.says != "") || !strings.Contains(said, "no fault") {
				t.Errorf("exit code %d\n%s", code, said)
			}
		})
	}
}

// TestDataDirOfAnother: files that the node's user may not write are named.
func TestDataDirOfAnother(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	s := newSite(t)
	s.write("data/node.json", `{"serverId":"a","clusterId":"c"}`, 0o400)
	if code, said := s.validate(); code != 1 || !strings.Contains(said, "data/node.json cannot be written by this user") {
		t.Errorf("%d %s", code, said)
	}
	if err := os.Chmod(filepath.Join(s.dir, "data"), 0o500); err != nil {
		t.Fatal(err)
	}
	if code, said := s.validate(); code != 1 || !strings.Contains(said, "node.yaml:2:10: dataDir: the data dir data cannot be written by this user") {
		t.Errorf("%d %s", code, said)
	}
}

// TestServerRefusesWhatValidateDoes: the process ends before it has made
// anything, with all faults at their places.
func TestServerRefusesWhatValidateDoes(t *testing.T) {
	s := newSite(t)
	s.issue(certs.Node{To: day(2021, 2, 3)})
	s.write("n1.key", s.read("n1.key"), 0o644)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := serve(ctx, s.config(), cli.ServerOptions{Stderr: &bytes.Buffer{}})
	if err == nil || !strings.Contains(err.Error(), "node.yaml:7:11: peer.tls.cert: ") || strings.Contains(err.Error(), "peer.tls.key: ") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "data")); err == nil {
		t.Error("it made its data dir")
	}
	for _, verb := range [][]string{{"server"}, {"cluster", "join", "n2.example:7400"}} {
		var out bytes.Buffer
		env := cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }}
		code := cli.Run(ctx, append(verb, "-c", s.config()), env, local())
		if code != 1 || !strings.Contains(out.String(), "n1.pem has expired at 2021-02-03T00:00:00Z: renew it") {
			t.Errorf("%v: %d %s", verb, code, out.String())
		}
	}
}

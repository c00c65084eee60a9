package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/cluster"
	"sluice/pki"
)

// documented is the node.yaml of the documentation, on loopback.
const documented = `name: n1
datacenter: us-east
dataDir: data
peer:  {listen: "0.0.0.0:7400", advertise: n1.example:7400, tls: {cert: n1.pem, key: n1.key, ca: ca.pem}}
http:  {listen: 127.0.0.1:8080}            # other than loopback only with tls and tokenFile
join:  [n2.example:7400, n3.example:7400]
profile: wan                               # or lan
memory: 512MiB
`

// nodeDir has certificates and a node.yaml of that text.
func nodeDir(t *testing.T, text string) (path string) {
	t.Helper()
	dir := t.TempDir()
	if err := pki.CreateCA(dir); err != nil {
		t.Fatal(err)
	}
	if err := pki.CreateNodeCert(dir, "n1", []string{"n1.example", "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "node.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDocumentedConfiguration(t *testing.T) {
	path := nodeDir(t, documented)
	warnings, err := checkFile(path)
	if err != nil || len(warnings) != 0 {
		t.Fatalf("%v %v", warnings, err)
	}
	f, _, err := readFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cfg, found := f.configs(false)
	if len(found) > 0 {
		t.Fatal(found)
	}
	if cfg.transport.Advertise != "n1.example:7400" || cfg.transport.TLS.Cert != filepath.Join(filepath.Dir(path), "n1.pem") ||
		cfg.cluster.DataDir != filepath.Join(filepath.Dir(path), "data") || cfg.cluster.Profile != cluster.ProfileWAN ||
		cfg.replication.Memory != 512<<20 || cfg.replication.Lease != cluster.ProfileWAN.DeadAfter() || len(cfg.cluster.Join) != 2 {
		t.Errorf("%+v", cfg)
	}
	if _, err := os.Stat(cfg.cluster.DataDir); !os.IsNotExist(err) {
		t.Error("checking made the data dir")
	}
}

// TestConfigurationFaults shows what a person reads after each mistake.
func TestConfigurationFaults(t *testing.T) {
	edit := func(from, to string) string {
		if !strings.Contains(documented, from) {
			t.Fatalf("%q is not there", from)
		}
		return strings.Replace(documented, from, to, 1)
	}
	for name, c := range map[string]struct{ text, want string }{
		"typo":                {edit("profile", "profil"), `node.yaml:7:1: unknown key "profil"; did you mean "profile"?`},
		"typo inside":         {edit("advertise", "advertize"), `:4:33: unknown key "advertize" in peer; did you mean "advertise"?`},
		"profile":             {edit("wan", "man"), `:7:10: profile: "man" is neither lan nor wan`},
		"no client id":        {edit("memory: 512MiB", "memory: 512MiB\nclientId: \"\""), ":9:11: clientId: a client id has 1 to 255 bytes"},
		"memory":              {edit("512MiB", "lots"), `:8:9: memory: "lots" is not a size like 256MiB`},
		"too little memory":   {edit("512MiB", "1MiB"), "at least 16 MiB are needed"},
		"no name":             {edit("name: n1\n", ""), "a node needs a name"},
		"name":                {edit("name: n1", "name: a/b"), `name: "a/b" is not a name`},
		"join":                {edit("n2.example:7400,", "n2.example,"), `:6:9: join[0]: "n2.example" is not host:port`},
		"http outside":        {edit("127.0.0.1:8080", "0.0.0.0:8080"), ":5:17: http.listen: \"0.0.0.0:8080\" is reachable from outside: that needs tls and tokenFile"},
		"token file":          {edit("{listen: 127.0.0.1:8080}", "{listen: 127.0.0.1:8080, tokenFile: none}"), "http.tokenFile: reading token file"},
		"certificate":         {edit("cert: n1.pem", "cert: n9.pem"), "n9.pem cannot be read: no such file"},
		"no TLS":              {edit(", tls: {cert: n1.pem, key: n1.key, ca: ca.pem}", ""), "peer.advertise: \"n1.example:7400\": plaintext between nodes is allowed on loopback only"},
		"nothing to dial":     {edit("advertise: n1.example:7400, ", ""), "peer"},
		"log":                 {documented + "log: loud\n", `:9:6: log: "loud" is none of debug, info, warn and error`},
		"an object in it":     {documented + "---\napiVersion: sluice/v1\nkind: Link\n", "holds 2 documents; a node's configuration is one"},
		"empty":               {"", "is empty; a node needs"},
		"data dir is missing": {edit("dataDir: data\n", ""), "a node needs a data dir"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := checkFile(nodeDir(t, c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestConfigurationWarnings(t *testing.T) {
	text := strings.NewReplacer(", n3.example:7400", "", `"0.0.0.0:7400"`, "127.0.0.1:7400", "advertise: n1.example:7400, tls: {cert: n1.pem, key: n1.key, ca: ca.pem}", "dialFrom: 127.0.0.1").Replace(documented)
	warnings, err := checkFile(nodeDir(t, text))
	if err != nil || len(warnings) != 2 || !strings.Contains(warnings[0], "--insecure") || !strings.Contains(warnings[1], "run three") {
		t.Errorf("%q %v", warnings, err)
	}
}

// TestPrintConfigRoundTrip: what is printed is a configuration that says the
// same, with and without the origins beside it.
func TestPrintConfigRoundTrip(t *testing.T) {
	path := nodeDir(t, documented)
	var plain, origin strings.Builder
	if err := printFile(&plain, path, false); err != nil {
		t.Fatal(err)
	}
	if err := printFile(&origin, path, true); err != nil {
		t.Fatal(err)
	}
	want, _, err := readFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{plain.String(), origin.String()} {
		again := filepath.Join(filepath.Dir(path), "again.yaml")
		if err := os.WriteFile(again, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, _, err := readFile(again)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if len(got.Join) != len(want.Join) || got.Peer != want.Peer || got.HTTP != want.HTTP || got.Memory != want.Memory || got.DataDir != want.DataDir {
			t.Errorf("%+v\n%s", got, text)
		}
	}
	if !strings.Contains(origin.String(), "# default") || !strings.Contains(origin.String(), "node.yaml:8:9") {
		t.Error(origin.String())
	}
}

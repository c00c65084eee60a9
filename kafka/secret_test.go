package kafka

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sluice/fsm"
)

// TestSecrets: what may be read is, byte for byte; anything else is refused by
// a reason that never tells what stands there.
func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	folder, outside := filepath.Join(dir, "secrets"), filepath.Join(dir, "node.key")
	for path, text := range map[string]string{
		folder + "/pw": " s3cret \r\n", folder + "/below/pw": "deep", folder + "/bare": "x", outside: "hunter2", dir + "/secrets2/pw": "hunter2",
		folder + "/large": strings.Repeat("hunter2", maxSecret/7+1), folder + "/unreadable": "hunter2",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		folder + "/inside": "below/pw", folder + "/out": "../node.key", folder + "/absolute": outside, folder + "/folder": "..", dir + "/alias": "secrets",
	} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(folder+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KAFKA_TEST_SECRET", "fromenv")
	t.Setenv("KAFKA_TEST_EMPTY", "")
	t.Setenv("OTHER_SECRET", "hunter2")
	s := Secrets{Folders: []string{dir + "/none", folder, dir + "/alias"}, Env: []string{"KAFKA_TEST_"}}
	file := func(path string) string { return "${file:" + path + "}" }
	for _, c := range []struct {
		ref, want, err string
		refused        bool
	}{
		{ref: "plain", want: "plain"},
		{ref: ""},
		{ref: "$plain}", want: "$plain}"},
		{ref: file(folder + "/pw"), want: " s3cret "},
		{ref: file(folder + "/bare"), want: "x"},
		{ref: file(folder + "/below/../pw"), want: " s3cret "},
		{ref: file(folder + "/inside"), want: "deep"},
		{ref: file(dir + "/alias/pw"), want: " s3cret "},
		{ref: "${env:KAFKA_TEST_SECRET}", want: "fromenv"},
		{ref: "${env:KAFKA_TEST_EMPTY}"},
		{ref: "${env:KAFKA_TEST_UNSET}", err: "secret ${env:KAFKA_TEST_UNSET}: this environment variable is not set on this node"},
		{ref: "${env:OTHER_SECRET}", err: "not allowed on this node, which reads environment variables only that begin with KAFKA_TEST_ (secrets.env in node.yaml)", refused: true},
		{ref: "${env:hunter2}", err: "not allowed on this node", refused: true},
		{ref: "${env:PATH}", err: "not allowed on this node", refused: true},
		{ref: file(folder + "/absent"), err: "absent}: file does not exist on this node"},
		{ref: file(outside), err: "node.key}: not allowed on this node, which reads secrets only below " + dir + "/none, " + folder, refused: true},
		{ref: file(folder + "/../node.key"), err: "not allowed", refused: true},
		{ref: file(dir + "/secrets2/pw"), err: "not allowed", refused: true},
		{ref: file(folder), err: "not allowed", refused: true},
		{ref: file("secrets/pw"), err: "not allowed", refused: true},
		{ref: file("/etc/passwd"), err: "not allowed", refused: true},
		{ref: file("/proc/self/environ"), err: "not allowed", refused: true},
		{ref: file(folder + "/out"), err: "not allowed: a symbolic link leads out", refused: true},
		{ref: file(folder + "/absolute"), err: "not allowed: a symbolic link leads out", refused: true},
		{ref: file(folder + "/folder/node.key"), err: "not allowed: a symbolic link leads out", refused: true},
		{ref: file(folder + "/below"), err: "not a regular file"},
		{ref: file(folder + "/pipe"), err: "not a regular file"},
		{ref: file(folder + "/large"), err: "larger than 1024 KiB"},
		{ref: "${file:}", err: "neither"},
		{ref: "${env:X", err: "neither"},
		{ref: "${hunter2}", err: "neither"},
		{ref: "${vault:hunter2}", err: "unknown kind"},
	} {
		got, err := s.Read(c.ref)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v", c.ref, got, err)
		}
		var e *SecretError
		if err != nil && (!errors.As(err, &e) || e.Refused != c.refused || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: refused %v, or the secret stands in it: %v", c.ref, !c.refused, err)
		}
	}
	if _, err := s.Read(file(folder + "/absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := (Secrets{}).Read(file(folder + "/pw")); err == nil || !strings.Contains(err.Error(), "only below (none)") {
		t.Error(err)
	}
	if err := (Secrets{Folders: []string{"secrets"}, Env: []string{""}}).Validate(); err == nil ||
		!strings.Contains(err.Error(), `folder "secrets" is not a whole path`) || !strings.Contains(err.Error(), "an empty prefix") {
		t.Error(err)
	}
}

// TestSecretsOfAKafkaCluster: one that a node must not read goes to nobody, by
// whatever key it is named, and the log tells which are used and refused.
func TestSecretsOfAKafkaCluster(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"secrets/pw", "node.key"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	allowed, forbidden := "${file:"+dir+"/secrets/pw}", "${file:"+dir+"/node.key}"
	cfg := DefaultConfig()
	cfg.Secrets.Folders = []string{filepath.Join(dir, "secrets")}
	var log bytes.Buffer
	p, err := NewPool(cfg, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	spec := func(password string, tls *fsm.TLS) fsm.KafkaCluster {
		return fsm.KafkaCluster{Name: "us", Bootstrap: []string{"evil:1"}, TLS: tls, SASL: &fsm.SASL{Mechanism: "PLAIN", Username: "u", Password: password}}
	}
	for name, s := range map[string]fsm.KafkaCluster{
		"password": spec(forbidden, nil), "ca": spec(allowed, &fsm.TLS{CA: forbidden}), "cert": spec(allowed, &fsm.TLS{Cert: forbidden, Key: allowed}),
		"key": spec(allowed, &fsm.TLS{Cert: allowed, Key: forbidden}),
	} {
		var e *SecretError
		if _, err := p.Client(t.Context(), s); !errors.As(err, &e) || !e.Refused || e.Reference != forbidden {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 2 {
		if _, err := p.Client(t.Context(), spec(allowed, nil)); err != nil {
			t.Fatal(err)
		}
		p.Forget("us")
	}
	for text, times := range map[string]int{
		`level=WARN msg="a secret is refused: this node does not read it from there (secrets in node.yaml)" kafka=us reference=` + forbidden + ` bootstrap=[evil:1]`: 1,
		`level=INFO msg="a secret is used" kafka=us reference=` + allowed + ` bootstrap=[evil:1]`:                                                                    1,
	} {
		if n := strings.Count(log.String(), text); n != times {
			t.Errorf("%d times %q\n%s", n, text, &log)
		}
	}
}

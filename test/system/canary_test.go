package system

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/api"
	"sluice/manifest"
	"sluice/test/canary"
	"sluice/test/claim"
	"sluice/test/kafkalab"
	"sluice/test/load"
)

// aviary is a Sluice cluster in which every secret is a canary.
type aviary struct {
	*Nodes
	t        *testing.T
	flock    canary.Flock
	src, dst *kafkalab.Cluster
	outside  string // a folder from which the nodes take no secrets
	cores    string // working folder of the nodes: core files would lie there
	password string // of the source, in a file
}

// The secrets of the nodes' environment and the file of the source's password.
const (
	variable = "SLUICE_SECRET_EU"
	plain    = "us.password"
)

// TestCanary: what is secret is given in each place where it can be, rightly and
// by mistake, and used: none of it stands in what nodes keep, tell or leave.
func TestCanary(t *testing.T) {
	t.Parallel()
	claim.NeedsLong(t)
	kafkalab.Require(t)
	a := newAviary(t)
	orders := load.Config{Topics: []load.Topic{{Name: "orders", Partitions: 6}}, Records: 2000, Seed: 1}
	Fill(t, a.src, orders)
	a.mistakes()
	a.wrongPassword()
	a.joins()
	a.List()[0].Kill()
	a.List()[0].Start()
	a.Ready()
	a.Copying(a.List()[1], 7)
	Fill(t, a.src, orders)
	Same(t, a.src, a.dst, "orders")
	a.aborted(a.List()[2])
	a.uses()
	a.told()
	a.kept()
	a.listed()
	a.allowed(a.List()[2])
	t.Logf("%d canaries: %s", len(a.flock.Places()), strings.Join(a.flock.Places(), "; "))
}

// newAviary starts everything and waits until the links copy.
func newAviary(t *testing.T) *aviary {
	t.Helper()
	a := &aviary{t: t, outside: t.TempDir(), cores: t.TempDir()}
	a.password = a.flock.New("SASL password in a file")
	scram := a.flock.New("SASL password in a variable")
	a.Nodes = Start(t, Options{Nodes: 3, Token: a.flock.New("token of the API"), Process: func(cmd *exec.Cmd) {
		// As verbose as it gets, and with all that makes a process leave a core file.
		args := append([]string{"sh", "-c", `ulimit -S -c "$(ulimit -H -c)"; exec "$0" "$@" --verbose`}, cmd.Args...)
		cmd.Path, cmd.Args, cmd.Dir = "/bin/sh", args, a.cores
		cmd.Env = append(cmd.Env, variable+"="+scram, "GOTRACEBACK=crash")
	}})
	us, eu := kafkalab.SASLPlain().WithTLS(), kafkalab.SCRAM().WithTLS()
	a.src, a.dst = kafkalab.StartPair(t,
		kafkalab.Config{Password: a.password, Listeners: []kafkalab.Listener{us, kafkalab.MutualTLS(), kafkalab.Plaintext()}},
		kafkalab.Config{Password: scram, Listeners: []kafkalab.Listener{eu, kafkalab.Plaintext()}})
	for name, partitions := range map[string]int32{"orders": 6, "audit": 1} {
		if err := a.src.CreateTopic(t.Context(), kafkalab.Topic{Name: name, Partitions: partitions}); err != nil {
			t.Fatal(err)
		}
	}
	a.keys()
	a.Secret(plain, []byte(a.password+"\n"))
	a.Ready()
	a.Apply(a.declared())
	a.Copying(a.List()[0], 7)
	return a
}

// keys makes canaries of the private keys.
func (a *aviary) keys() {
	a.t.Helper()
	_, client := a.src.ClientCertFiles()
	files := map[string]string{"key of the client certificate": client, "key of the nodes' authority": filepath.Join(a.dir, "ca.key")}
	for _, n := range a.List() {
		files["key of node "+n.Name] = filepath.Join(a.dir, n.Name+".key")
	}
	for place, file := range files {
		if err := a.flock.Add(place, a.read(file)); err != nil {
			a.t.Fatal(err)
		}
	}
}

func (a *aviary) read(file string) []byte {
	a.t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		a.t.Fatal(err)
	}
	return b
}

// declared are the objects: logins by PLAIN, SCRAM and a client certificate,
// secrets in files and in variables.
func (a *aviary) declared() string {
	a.t.Helper()
	cert, key := a.src.ClientCertFiles()
	us, eu := a.Secret("us-ca.pem", a.read(a.src.CAFile())), a.Secret("eu-ca.pem", a.read(a.dst.CAFile()))
	a.Secret("client.pem", a.read(cert))
	a.Secret("client.key", a.read(key))
	return strings.NewReplacer("USCA", us, "EUCA", eu, "DIR", filepath.Dir(us), "USER", kafkalab.User,
		"US", quoted(a.src.Bootstrap()), "MTLS", quoted(a.src.BootstrapFor(kafkalab.MutualTLS())), "EU", quoted(a.dst.Bootstrap()),
		"VARIABLE", variable).Replace(`apiVersion: sluice/v1
kind: KafkaCluster
metadata: {name: us}
spec:
  bootstrap: [US]
  tls: {ca: "${file:USCA}"}
  sasl: {mechanism: PLAIN, username: USER, password: "${file:DIR/` + plain + `}"}
---
apiVersion: sluice/v1
kind: KafkaCluster
metadata: {name: mtls}
spec:
  bootstrap: [MTLS]
  tls: {ca: "${file:USCA}", cert: "${file:DIR/client.pem}", key: "${file:DIR/client.key}"}
---
apiVersion: sluice/v1
kind: KafkaCluster
metadata: {name: eu}
spec:
  bootstrap: [EU]
  tls: {ca: "${file:EUCA}"}
  sasl: {mechanism: SCRAM-SHA-512, username: USER, password: "${env:VARIABLE}"}
---
apiVersion: sluice/v1
kind: Link
metadata: {name: us-eu}
spec: {source: us, target: eu, topics: {include: [orders]}}
---
apiVersion: sluice/v1
kind: Link
metadata: {name: mtls-eu}
spec: {source: mtls, target: eu, topics: {include: [audit]}, rename: "m.{topic}"}
`)
}

// sluice runs the command line, at n1 unless the environment says otherwise. No
// canary may stand in its answer, but where it is there to show one.
func (a *aviary) sluice(env []string, args ...string) (string, error) {
	a.t.Helper()
	cmd := exec.Command(a.List()[0].Binary, args...)
	cmd.Dir = a.outside
	cmd.Env = append(os.Environ(), append([]string{
		"SLUICE_ADDRESS=https://" + a.List()[0].HTTP, "SLUICE_TOKEN_FILE=" + a.tokenFile(), "SLUICE_CA_FILE=" + a.caFile(),
	}, env...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// clean fails the test where a canary stands in a text.
func (a *aviary) clean(what string, b []byte) {
	a.t.Helper()
	for _, found := range a.flock.In(b) {
		a.t.Errorf("%s holds a canary: %s", what, found)
	}
}

// file writes a file for the command line.
func (a *aviary) file(name, text string) string {
	a.t.Helper()
	path := filepath.Join(a.outside, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// joins makes tokens: one is used, by n4, and one is not.
func (a *aviary) joins() {
	a.t.Helper()
	unused, err := a.List()[0].Client().Admission().CreateToken(a.t.Context(), api.TokenRequest{Node: "n9"})
	if err != nil {
		a.t.Fatal(err)
	}
	joined := a.Join()
	for place, secret := range map[string]string{"token to join with": unused.Secret, "token that was used": joined.token} {
		if err := a.flock.Add(place, []byte(secret)); err != nil {
			a.t.Fatal(err)
		}
	}
	a.Ready()
}

// uses asks and changes what can be.
func (a *aviary) uses() {
	a.t.Helper()
	c := a.List()[0].Client()
	if _, err := c.StartVerify(a.t.Context(), api.VerifyRequest{Link: "us-eu"}); err != nil {
		a.t.Error(err)
	}
	if _, err := c.DeleteLink(a.t.Context(), "mtls-eu"); err != nil {
		a.t.Error(err)
	}
	dry := api.ApplyRequest{DryRun: true, Sources: []manifest.Source{{Name: "again.yaml", Text: a.declared()}}}
	if _, err := c.Apply(a.t.Context(), dry); err != nil {
		a.t.Error(err)
	}
	saved := filepath.Join(a.outside, "saved")
	for _, args := range [][]string{
		{"export", "all"}, {"get", "KafkaCluster", "-o", "yaml"}, {"get", "KafkaCluster", "-o", "json"}, {"get", "links"}, {"status"}, {"events", "--limit", "1000"},
		{"link", "describe", "us-eu"}, {"diff", "-f", a.file("again.yaml", a.declared())}, {"cluster", "members"}, {"cluster", "token", "ls"},
		{"operation", "ls"}, {"cluster", "snapshot", "save", saved}, {"cluster", "snapshot", "inspect", saved}, {"version"},
	} {
		out, err := a.sluice(nil, args...)
		if _, ran := errors.AsType[*exec.ExitError](err); err != nil && (!ran || args[0] != "diff") || out == "" {
			a.t.Errorf("sluice %v: %v: %s", args, err, out)
		}
		a.clean(fmt.Sprintf("sluice %v", args), []byte(out))
	}
	a.clean("the saved snapshot", a.read(saved))
	for _, e := range a.events() {
		a.clean("an event", []byte(fmt.Sprintf("%+v", e)))
	}
}

func (a *aviary) events() []api.Event {
	a.t.Helper()
	e, err := a.List()[0].Client().Events(a.t.Context(), "", time.Time{}, 1000)
	if err != nil || len(e.Items) == 0 {
		a.t.Fatalf("no events: %v", err)
	}
	return e.Items
}

// kept looks through what the nodes have written: Raft's logs and snapshots, and
// their own logs.
func (a *aviary) kept() {
	a.t.Helper()
	files := 0
	for _, n := range a.List() {
		log := a.read(n.log)
		if !strings.Contains(string(log), "level=DEBUG") {
			a.t.Errorf("the log of %s is not verbose", n.Name)
		}
		a.clean("the log of "+n.Name, log)
		err := filepath.WalkDir(filepath.Join(a.dir, n.Name), func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			files++
			a.clean(path, a.read(path))
			return nil
		})
		if err != nil {
			a.t.Error(err)
		}
	}
	if files < 2*len(a.List()) {
		a.t.Errorf("%d files of %d nodes", files, len(a.List()))
	}
}

// listed looks through the command lines of all processes, which every user of
// the machine sees.
func (a *aviary) listed() {
	a.t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(lines) == 0 {
		a.t.Fatalf("no process is listed: %v", err)
	}
	nodes := 0
	for _, f := range lines {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		if strings.Contains(string(b), a.dir) {
			nodes++
		}
		a.clean(f, b)
	}
	if nodes < len(a.List()) {
		a.t.Errorf("%d of %d nodes are listed", nodes, len(a.List()))
	}
}

// aborted kills a node in the way that makes a process leave a core file.
func (a *aviary) aborted(n *Node) {
	a.t.Helper()
	if a.abort(n) {
		a.t.Error("a node that was aborted has left a core")
	}
	if left := a.left(); len(left) > 0 {
		a.t.Errorf("a node that was aborted has left %q", left)
	}
	n.Start()
	a.Ready()
	a.Copying(a.List()[0], 7)
}

// abort ends a process with SIGABRT; true: the kernel has written a core.
func (a *aviary) abort(n *Node) bool {
	a.t.Helper()
	<-n.signal(syscall.SIGABRT)
	status := n.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() || status.Signal() != syscall.SIGABRT {
		a.t.Errorf("%s ended with %v", n.Name, n.cmd.ProcessState)
	}
	return status.CoreDump()
}

// left are the core files in the working folder of the nodes.
func (a *aviary) left() []string {
	files, _ := filepath.Glob(filepath.Join(a.cores, "*"))
	return files
}

// allowed shows that the same end leaves a core, with secrets in it, where
// node.yaml allows it: else there would have been none to look for.
func (a *aviary) allowed(n *Node) {
	a.t.Helper()
	n.Kill()
	if err := os.WriteFile(n.yaml, append(a.read(n.yaml), "coreDumps: true\n"...), 0o600); err != nil {
		a.t.Fatal(err)
	}
	n.Start()
	until(a.t, n.Name+" is back", func() error {
		if n.Status() == nil {
			return fmt.Errorf("it does not answer")
		}
		return nil
	})
	if !a.abort(n) {
		a.t.Error("coreDumps: true, and an aborted node has left no core")
	}
	for _, f := range a.left() { // elsewhere, where /proc/sys/kernel/core_pattern says so
		if len(a.flock.In(a.read(f))) == 0 {
			a.t.Error("a core holds no secret: nothing is shown by there being none")
		}
		if err := os.Remove(f); err != nil {
			a.t.Error(err)
		}
	}
}

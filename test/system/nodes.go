// Package system runs real sluice processes on real Kafka clusters, kills
// them, and counts what came of it.
package system

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sluice/api"
	"sluice/pki"
	"sluice/test/faults"
	"sluice/test/port"
)

// Nodes is a Sluice cluster of processes. What it starts ends with the test.
type Nodes struct {
	t       testing.TB
	dir     string
	options Options
	list    []*Node
}

// Node is one process, or where one was.
type Node struct {
	Name   string
	Peer   string // listens for other nodes here
	HTTP   string
	Binary string // the program; another one counts from the next start on
	n      *Nodes
	yaml   string
	log    string

	advertise, dialFrom string
	token               string // to join with; empty: none

	mu  sync.Mutex
	cmd *exec.Cmd
	end chan struct{} // closed when the process has ended
}

// Options of a cluster of nodes.
type Options struct {
	Nodes  int
	Binary string       // the program, built from these sources when empty
	Memory string       // of each node, 64MiB when empty
	Apart  bool         // brokers see each node by a client id of its own (clientOf)
	Mesh   *faults.Mesh // stands between the nodes where it is not nil

	Token   string          // the API is over TLS and asks for it, where it is not empty
	Process func(*exec.Cmd) // changes how a process is started, where it is not nil
}

// Start writes certificates and configurations and starts all nodes.
func Start(t testing.TB, o Options) *Nodes {
	t.Helper()
	if o.Binary == "" {
		o.Binary = Build(t, "")
	}
	n := &Nodes{t: t, dir: t.TempDir(), options: o}
	if err := pki.CreateCA(n.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(n.tokenFile(), []byte("ops "+o.Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range o.Nodes {
		n.add()
	}
	for _, node := range n.list {
		node.configure()
	}
	t.Cleanup(n.end)
	for _, node := range n.list {
		node.Start()
	}
	return n
}

// tokenFile and caFile are what a client of the API needs, where it asks for a
// token.
func (n *Nodes) tokenFile() string { return filepath.Join(n.dir, "api.token") }
func (n *Nodes) caFile() string    { return filepath.Join(n.dir, pki.CACertFile) }

// Secret writes a file that objects may refer to, and returns its path.
func (n *Nodes) Secret(name string, content []byte) string {
	n.t.Helper()
	path := filepath.Join(n.dir, "secrets", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		n.t.Fatal(err)
	}
	return path
}

// Join starts a further node, which no other's configuration lists, with a
// token.
func (n *Nodes) Join() *Node {
	n.t.Helper()
	node := n.add()
	var err error
	for _, other := range n.list {
		var made *api.NewToken
		if made, err = other.Client().Admission().CreateToken(n.t.Context(), api.TokenRequest{Node: node.Name, Datacenter: "here"}); err == nil {
			node.token = made.Secret
			break
		}
	}
	if err != nil {
		n.t.Fatal(err)
	}
	node.configure()
	node.Start()
	return node
}

// add makes a node's place: ports, certificate, and a proxy in a mesh.
func (n *Nodes) add() *Node {
	n.t.Helper()
	name := fmt.Sprintf("n%d", len(n.list)+1)
	node := &Node{Name: name, Peer: FreePort(n.t), HTTP: FreePort(n.t), Binary: n.options.Binary, n: n,
		yaml: filepath.Join(n.dir, name+".yaml"), log: filepath.Join(n.dir, name+".log")}
	node.advertise = node.Peer
	if mesh := n.options.Mesh; mesh != nil {
		var err error
		node.dialFrom = fmt.Sprintf("127.0.0.%d", 10+len(n.list))
		if node.advertise, err = mesh.Add(name, node.dialFrom, node.Peer); err != nil {
			n.t.Fatal(err)
		}
	}
	if err := pki.CreateNodeCert(n.dir, name, []string{"127.0.0.1"}); err != nil {
		n.t.Fatal(err)
	}
	n.list = append(n.list, node)
	return node
}

// configure writes node.yaml.
func (n *Node) configure() {
	n.n.t.Helper()
	var join []string
	for _, o := range n.n.list {
		if o != n {
			join = append(join, fmt.Sprintf("%q", o.advertise))
		}
	}
	memory := n.n.options.Memory
	if memory == "" {
		memory = "64MiB"
	}
	closed := ""
	if n.n.options.Token != "" {
		closed = fmt.Sprintf(", tls: {cert: %[1]s.pem, key: %[1]s.key}, tokenFile: %[2]q", n.Name, n.n.tokenFile())
	}
	text := fmt.Sprintf(`name: %[1]s
datacenter: here
dataDir: %[1]s
peer: {listen: %[2]q, advertise: %[3]q, dialFrom: %[4]q, tls: {cert: %[1]s.pem, key: %[1]s.key, ca: ca.pem}}
http: {listen: %[5]q%[8]s}
join: [%[6]s]
profile: lan
memory: %[7]s
`, n.Name, n.Peer, n.advertise, n.dialFrom, n.HTTP, strings.Join(join, ", "), memory, closed)
	if n.n.options.Apart {
		text += fmt.Sprintf("clientId: %q\n", clientOf(n))
	}
	if err := os.WriteFile(n.yaml, []byte(text), 0o600); err != nil {
		n.n.t.Fatal(err)
	}
}

// clientOf is the client id of a node that stands apart.
func clientOf(n *Node) string { return "sluice-" + n.Name }

// FreePort is an address of this machine that nobody else gets until the test
// has ended.
func FreePort(t testing.TB) string {
	t.Helper()
	p, err := port.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Release)
	return p.Addr()
}

// List returns the nodes, n1 first.
func (n *Nodes) List() []*Node { return n.list }

// Node returns the node of a name.
func (n *Nodes) Node(name string) *Node {
	for _, node := range n.list {
		if node.Name == name {
			return node
		}
	}
	n.t.Fatalf("no node %q", name)
	return nil
}

// end kills every process, and shows the logs of a failed test.
func (n *Nodes) end() {
	for _, node := range n.list {
		node.Kill()
		if n.t.Failed() {
			b, _ := os.ReadFile(node.log)
			if over := len(b) - 16<<10; over > 0 {
				b = b[over:]
			}
			n.t.Logf("--- end of the log of %s\n%s", node.Name, b)
		}
	}
}

// Start starts the process.
func (n *Node) Start() {
	n.n.t.Helper()
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.n.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(n.Binary, "server", "-c", n.yaml)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = os.Environ()
	if n.token != "" {
		cmd.Env = append(cmd.Env, "SLUICE_JOIN_TOKEN="+n.token)
	}
	if change := n.n.options.Process; change != nil {
		change(cmd)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		n.n.t.Fatal(err)
	}
	end := make(chan struct{})
	go func() { _ = cmd.Wait(); close(end) }()
	n.mu.Lock()
	n.cmd, n.end = cmd, end
	n.mu.Unlock()
}

// PID of the process.
func (n *Node) PID() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cmd.Process.Pid
}

func (n *Node) signal(s syscall.Signal) chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		done := make(chan struct{})
		close(done)
		return done
	}
	_ = n.cmd.Process.Signal(s)
	return n.end
}

// Kill ends the process with SIGKILL and waits.
func (n *Node) Kill() { <-n.signal(syscall.SIGKILL) }

// Terminate ends it with SIGTERM and waits.
func (n *Node) Terminate() { <-n.signal(syscall.SIGTERM) }

// Pause stops it with SIGSTOP.
func (n *Node) Pause() { n.signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (n *Node) Resume() { n.signal(syscall.SIGCONT) }

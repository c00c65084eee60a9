// Package system runs real sluice processes on real Kafka clusters, kills
// them, and counts what came of it.
package system

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sluice/test/faults"
	"sluice/transport"
)

// Nodes is a Sluice cluster of processes. What it starts ends with the test.
type Nodes struct {
	t    testing.TB
	dir  string
	bin  string
	list []*Node
}

// Node is one process, or where one was.
type Node struct {
	Name string
	Peer string // listens for other nodes here
	HTTP string
	n    *Nodes
	yaml string
	log  string

	mu  sync.Mutex
	cmd *exec.Cmd
	end chan struct{} // closed when the process has ended
}

// Options of a cluster of nodes.
type Options struct {
	Nodes  int
	Memory string       // of each node, 64MiB when empty
	Mesh   *faults.Mesh // stands between the nodes where it is not nil
}

// build makes the binary in a folder that ends with the test.
func build(t testing.TB) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "sluice")
	if out, err := exec.Command("go", "build", "-o", bin, "sluice/cmd/sluice").CombinedOutput(); err != nil {
		t.Fatalf("building sluice: %v\n%s", err, out)
	}
	return bin
}

// Start writes certificates and configurations and starts all nodes.
func Start(t testing.TB, o Options) *Nodes {
	t.Helper()
	n := &Nodes{t: t, dir: t.TempDir(), bin: build(t)}
	if err := transport.CreateCA(n.dir); err != nil {
		t.Fatal(err)
	}
	for i := range o.Nodes {
		name := fmt.Sprintf("n%d", i+1)
		n.list = append(n.list, &Node{Name: name, Peer: freePort(t), HTTP: freePort(t), n: n,
			yaml: filepath.Join(n.dir, name+".yaml"), log: filepath.Join(n.dir, name+".log")})
		if err := transport.CreateNodeCert(n.dir, name, []string{"127.0.0.1"}); err != nil {
			t.Fatal(err)
		}
	}
	n.configure(o)
	t.Cleanup(n.end)
	for _, node := range n.list {
		node.Start()
	}
	return n
}

// configure writes every node's node.yaml.
func (n *Nodes) configure(o Options) {
	adverts, from := make([]string, len(n.list)), make([]string, len(n.list))
	for i, node := range n.list {
		adverts[i] = node.Peer
		if o.Mesh != nil {
			var err error
			from[i] = fmt.Sprintf("127.0.0.%d", 10+i)
			if adverts[i], err = o.Mesh.Add(node.Name, from[i], node.Peer); err != nil {
				n.t.Fatal(err)
			}
		}
	}
	memory := o.Memory
	if memory == "" {
		memory = "64MiB"
	}
	for i, node := range n.list {
		var join []string
		for j, a := range adverts {
			if j != i {
				join = append(join, fmt.Sprintf("%q", a))
			}
		}
		lines := []string{
			"name: " + node.Name,
			"datacenter: here",
			"dataDir: " + filepath.Join(n.dir, node.Name),
			fmt.Sprintf("peer: {listen: %q, advertise: %q, dialFrom: %q, tls: {cert: %[4]s.pem, key: %[4]s.key, ca: ca.pem}}",
				node.Peer, adverts[i], from[i], node.Name),
			fmt.Sprintf("http: {listen: %q}", node.HTTP),
			"join: [" + strings.Join(join, ", ") + "]",
			"profile: lan",
			"memory: " + memory,
		}
		if err := os.WriteFile(node.yaml, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
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
	cmd := exec.Command(n.n.bin, "server", "-c", n.yaml)
	cmd.Stdout, cmd.Stderr = log, log
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

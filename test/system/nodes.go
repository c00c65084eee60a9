// Package system runs real sluice processes on real Kafka clusters, kills
// them, and counts what came of it.
package system

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/api"
	"sluice/manifest"
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
	Nodes     int
	Memory    string                                  // of each node, 64MiB when empty
	Advertise func(name, peer string) (advert string) // a proxy's address instead of the node's own
	Listen    func(i int) (host string)               // 127.0.0.1 when nil
	Extra     func(name string) (lines []string)      // further lines of node.yaml
	Env       []string
}

// build makes the binary once a test process.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sluice-bin-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "sluice")
	out, err := exec.Command("go", "build", "-o", bin, "sluice/cmd/sluice").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building sluice: %w\n%s", err, out)
	}
	return bin, nil
})

// Start writes certificates and configurations and starts all nodes.
func Start(t testing.TB, o Options) *Nodes {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	n := &Nodes{t: t, dir: t.TempDir(), bin: bin}
	if err := transport.CreateCA(n.dir); err != nil {
		t.Fatal(err)
	}
	for i := range o.Nodes {
		host := "127.0.0.1"
		if o.Listen != nil {
			host = o.Listen(i)
		}
		name := fmt.Sprintf("n%d", i+1)
		n.list = append(n.list, &Node{Name: name, Peer: freePort(t, host), HTTP: freePort(t, "127.0.0.1"), n: n,
			yaml: filepath.Join(n.dir, name+".yaml"), log: filepath.Join(n.dir, name+".log")})
		if err := transport.CreateNodeCert(n.dir, name, []string{host, "127.0.0.1", "localhost"}); err != nil {
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
	adverts := make([]string, len(n.list))
	for i, node := range n.list {
		adverts[i] = node.Peer
		if o.Advertise != nil {
			adverts[i] = o.Advertise(node.Name, node.Peer)
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
			fmt.Sprintf("peer: {listen: %q, advertise: %q, tls: {cert: %s/%s.pem, key: %s/%s.key, ca: %s/ca.pem}}",
				node.Peer, adverts[i], n.dir, node.Name, n.dir, node.Name, n.dir),
			fmt.Sprintf("http: {listen: %q}", node.HTTP),
			"join: [" + strings.Join(join, ", ") + "]",
			"profile: lan",
			"memory: " + memory,
		}
		if o.Extra != nil {
			lines = append(lines, o.Extra(node.Name)...)
		}
		if err := os.WriteFile(node.yaml, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
}

func freePort(t testing.TB, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
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

// Client speaks to the node's API.
func (n *Node) Client() *api.Client {
	c, err := api.NewClient(api.ClientConfig{Addresses: []string{"http://" + n.HTTP}})
	if err != nil {
		n.n.t.Fatal(err)
	}
	return c
}

// Status asks the node; nil when it does not answer.
func (n *Node) Status() *api.Status {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	s, err := n.Client().Status(ctx, 10_000, 100)
	if err != nil {
		return nil
	}
	return s
}

// Until polls a condition.
func Until(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(d)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", d, what)
		}
		<-tick.C
	}
}

// Ready waits until every node knows a leader and all members, and they vote.
func (n *Nodes) Ready() {
	n.t.Helper()
	Until(n.t, 30*time.Second, "all nodes know a leader and each other", func() bool {
		for _, node := range n.list {
			s := node.Status()
			if s == nil || s.Leader == "" || len(s.Nodes) != len(n.list) {
				return false
			}
			if slices.ContainsFunc(s.Nodes, func(m api.Node) bool { return m.Role == "non-voter" }) {
				return false
			}
		}
		return true
	})
}

// Leader returns the node that leads.
func (n *Nodes) Leader() *Node {
	for _, node := range n.list {
		if s := node.Status(); s != nil && s.Leader != "" {
			return n.Node(s.Leader)
		}
	}
	n.t.Fatal("no leader")
	return nil
}

// Apply applies objects through the first node that takes them.
func (n *Nodes) Apply(yaml string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var err error
	for _, node := range n.list {
		if _, err = node.Client().Apply(ctx, api.ApplyRequest{Sources: []manifest.Source{{Name: "test.yaml", Text: yaml}}}); err == nil {
			return
		}
	}
	n.t.Fatal(err)
}

// Copying waits until every one of so many streams copies and has no lag to
// speak of.
func (n *Nodes) Copying(node *Node, streams int, within time.Duration) {
	n.t.Helper()
	Until(n.t, within, fmt.Sprintf("%d streams copy", streams), func() bool {
		s := node.Status()
		if s == nil || s.Totals.Streams != streams {
			return false
		}
		good := 0
		for _, task := range s.Tasks {
			if task.Kind == "copy" && (task.State == "copying" || task.State == "idle") {
				good++
			}
		}
		return good == streams
	})
}

// Owners maps each copy task's "topic/partition" to its owner's name.
func (n *Nodes) Owners(node *Node) map[string]string {
	out := map[string]string{}
	if s := node.Status(); s != nil {
		for _, task := range s.Tasks {
			if task.Kind == "copy" {
				out[fmt.Sprintf("%s/%d", task.Topic, task.Partition)] = task.Owner
			}
		}
	}
	return out
}

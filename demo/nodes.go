package demo

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"sluice/api"
	"sluice/pki"
)

// process is one node.
type process struct {
	name   string
	http   string
	log    string
	client *api.Client
	cmd    *exec.Cmd
	end    chan struct{} // closed when it has ended
	killed bool
}

// startNodes makes certificates and configurations for three nodes under dir
// and starts them. Those that were started are returned with the error too.
func startNodes(dir string, cfg Config) ([]*process, error) {
	if err := pki.CreateCA(dir); err != nil {
		return nil, err
	}
	var peers []string
	for range 3 {
		addr, err := free(0)
		if err != nil {
			return nil, err
		}
		peers = append(peers, addr)
	}
	var nodes []*process
	for i, peer := range peers {
		n, err := newProcess(dir, cfg, i, peer, peers)
		if err == nil {
			err = n.start(cfg.Binary, filepath.Join(dir, n.name+".yaml"))
		}
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// free finds a free port on loopback: the wanted one, or any.
func free(wanted int) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(wanted)))
	if err != nil && wanted != 0 {
		return free(0)
	}
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

func newProcess(dir string, cfg Config, i int, peer string, peers []string) (*process, error) {
	wanted := 0
	if cfg.HTTP > 0 && !cfg.Check {
		wanted = cfg.HTTP + i
	}
	http, err := free(wanted)
	if err != nil {
		return nil, err
	}
	n := &process{name: fmt.Sprintf("n%d", i+1), http: http, end: make(chan struct{})}
	n.log = filepath.Join(dir, n.name+".log")
	if n.client, err = api.NewClient(api.ClientConfig{Addresses: []string{"http://" + http}}); err != nil {
		return nil, err
	}
	if err := pki.CreateNodeCert(dir, n.name, []string{"127.0.0.1"}); err != nil {
		return nil, err
	}
	var join []string
	for _, p := range peers {
		if p != peer {
			join = append(join, strconv.Quote(p))
		}
	}
	text := fmt.Sprintf(`name: %[1]s
datacenter: west
dataDir: %[1]s
peer: {listen: %[2]q, tls: {cert: %[1]s.pem, key: %[1]s.key, ca: ca.pem}}
http: {listen: %[3]q}
join: [%[4]s]
memory: 64MiB
`, n.name, peer, http, strings.Join(join, ", "))
	if err := os.WriteFile(filepath.Join(dir, n.name+".yaml"), []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("writing a node's configuration: %w", err)
	}
	return n, nil
}

func (n *process) start(binary, config string) error {
	log, err := os.Create(n.log)
	if err != nil {
		return fmt.Errorf("creating a node's log: %w", err)
	}
	n.cmd = exec.Command(binary, "server", "-c", config)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	n.cmd.SysProcAttr = childAttr()
	err = n.cmd.Start()
	if err = errors.Join(err, log.Close()); err != nil {
		return fmt.Errorf("starting node %s: %w", n.name, err)
	}
	go func() {
		_ = n.cmd.Wait() // that it ended is all that counts
		close(n.end)
	}()
	return nil
}

func (n *process) pid() int { return n.cmd.Process.Pid }

func (n *process) ended() bool {
	select {
	case <-n.end:
		return true
	default:
		return false
	}
}

// kill ends the process with SIGKILL and waits.
func (n *process) kill() {
	n.killed = true
	if n.cmd.Process != nil {
		_ = n.cmd.Process.Signal(syscall.SIGKILL) // it may have ended already
		<-n.end
	}
}

// logTail is the end of the node's log.
func (n *process) logTail() string {
	b, err := os.ReadFile(n.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4096):])
}

package kafkalab

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
)

// launch starts a node's process.
func (c *Cluster) launch(n *node) error {
	args := append([]string{}, c.cfg.JVMFlags...)
	if fileExists(c.in.archive()) {
		args = append(args, "-XX:SharedArchiveFile="+c.in.archive())
	}
	args = append(args, c.in.javaArgs(c.cfg.HeapMB, c.cfg.LogLevel)...)
	args = append(args, "kafka.Kafka", filepath.Join(n.dir, "server.properties"))
	p, err := startProcess(fmt.Sprintf("Kafka node %d", n.id), n.dir, filepath.Join(n.dir, "log"), args)
	if err != nil {
		return err
	}
	n.proc = p
	return nil
}

// process returns the last process of broker i.
func (c *Cluster) process(i int) (*process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i < 0 || i >= c.cfg.Brokers {
		return nil, fmt.Errorf("no broker %d of %d", i, c.cfg.Brokers)
	}
	return c.nodes[i].proc, nil
}

// KillBroker ends broker i with SIGKILL and returns when it is gone.
func (c *Cluster) KillBroker(i int) error {
	p, err := c.process(i)
	if err != nil {
		return err
	}
	return p.kill()
}

// PauseBroker stops broker i with SIGSTOP: its connections stay, nothing answers.
func (c *Cluster) PauseBroker(i int) error { return c.signal(i, syscall.SIGSTOP) }

// ResumeBroker lets a paused broker go on.
func (c *Cluster) ResumeBroker(i int) error { return c.signal(i, syscall.SIGCONT) }

func (c *Cluster) signal(i int, sig syscall.Signal) error {
	p, err := c.process(i)
	if err != nil {
		return err
	}
	return p.signal(sig)
}

// StopBroker shuts broker i down as an operator would (SIGTERM: leaders move first) and returns
// when it is gone. When ctx ends first the broker is killed and an error returned.
func (c *Cluster) StopBroker(ctx context.Context, i int) error {
	p, err := c.process(i)
	if err != nil {
		return err
	}
	return p.stop(ctx)
}

// StartBroker starts broker i again on its data and ports and waits until it is ready. A broker
// that still runs is an error.
func (c *Cluster) StartBroker(ctx context.Context, i int) error {
	p, err := c.process(i)
	if err != nil {
		return err
	}
	if p.running() {
		return fmt.Errorf("broker %d still runs", i)
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return fmt.Errorf("starting broker %d: the cluster is closed", i)
	}
	err = c.launch(c.nodes[i])
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.WaitReady(ctx)
}

// RestartBroker stops broker i gracefully, starts it again and waits until it is ready.
func (c *Cluster) RestartBroker(ctx context.Context, i int) error {
	if err := c.StopBroker(ctx, i); err != nil {
		return err
	}
	return c.StartBroker(ctx, i)
}

// BrokerPID returns the process id of broker i, of its last start.
func (c *Cluster) BrokerPID(i int) (int, error) {
	p, err := c.process(i)
	if err != nil {
		return 0, err
	}
	return p.pid(), nil
}

// BrokerUsage returns what broker i has used since its last start. It must run.
func (c *Cluster) BrokerUsage(i int) (ProcessUsage, error) {
	pid, err := c.BrokerPID(i)
	if err != nil {
		return ProcessUsage{}, err
	}
	return Usage(pid)
}

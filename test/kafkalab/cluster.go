package kafkalab

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"sluice/test/port"
	"sluice/test/scratch"
)

// Cluster is a running Kafka cluster. All methods may be called concurrently.
type Cluster struct {
	cfg   Config
	in    *install
	dir   string
	files *scratch.Folder // at dir
	id    string
	certs *certs // nil without TLS

	mu     sync.Mutex
	nodes  []*node // brokers by number; the separate controller, if any, is last
	closed bool
}

// node is one Kafka process of a cluster: broker, controller or both.
type node struct {
	id         int
	broker     bool
	controller bool
	dir        string
	ports      map[string]port.Port // by listener name
	advertised map[string]string    // by name of client listener
	proc       *process             // the last one started
}

// Open starts a cluster and returns when it is ready: every broker registered, listening, and the
// users of SCRAM listeners made. The caller closes it. What is left by killed test processes is
// removed first.
func Open(ctx context.Context, cfg Config) (*Cluster, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	in, err := openInstall(ctx, cfg.Version)
	if err != nil {
		return nil, err
	}
	return open(ctx, cfg, in)
}

func open(ctx context.Context, cfg Config, in *install) (*Cluster, error) {
	cfg = cfg.withDefaults()
	c := &Cluster{cfg: cfg, in: in, id: newUUID()}
	if err := c.start(ctx); err != nil {
		err = fmt.Errorf("%w\n%s", err, c.LogTails(15))
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	var err error
	if c.files, err = scratch.Make(c.cfg.Dir, dirPrefix); err != nil {
		return err
	}
	c.dir = c.files.Path
	if c.cfg.anyListener(func(l Listener) bool { return l.TLS }) {
		if c.certs, err = makeCerts(c.dir); err != nil {
			return err
		}
	}
	for i := range c.cfg.Brokers {
		c.nodes = append(c.nodes, &node{id: i, broker: true, controller: slices.Contains(c.cfg.voters(), i)})
	}
	if c.cfg.SeparateController {
		c.nodes = append(c.nodes, &node{id: controllerID, controller: true})
	}
	for _, n := range c.nodes {
		if err := c.reserve(n); err != nil {
			return err
		}
	}
	for _, n := range c.nodes {
		if err := c.format(n); err != nil {
			return fmt.Errorf("formatting node %d: %w", n.id, err)
		}
	}
	if err := c.launchAll(ctx); err != nil {
		return err
	}
	return c.createUsers(ctx)
}

// launchAll starts every node when it is the cluster's turn.
func (c *Cluster) launchAll(ctx context.Context) error {
	end, err := turn(ctx)
	if err != nil {
		return err
	}
	defer end()
	for _, n := range c.nodes {
		if err := c.launch(n); err != nil {
			return err
		}
	}
	return c.WaitReady(ctx)
}

// dirPrefix begins the names of clusters' folders.
const dirPrefix = "sluice-kafkalab-cluster-"

// reserve gives a node its ports and asks for what it advertises.
func (c *Cluster) reserve(n *node) error {
	var names []string
	if n.broker {
		names = append(names, internalListener)
		for _, l := range c.cfg.Listeners {
			names = append(names, l.Name)
		}
	}
	if n.controller {
		names = append(names, controllerListener)
	}
	n.ports, n.advertised = map[string]port.Port{}, map[string]string{}
	for _, name := range names {
		p, err := port.Reserve()
		if err != nil {
			return err
		}
		n.ports[name] = p
		if name == internalListener || name == controllerListener {
			continue
		}
		n.advertised[name] = p.Addr()
		if c.cfg.AdvertisedVia != nil {
			if via := c.cfg.AdvertisedVia(n.id, p.Addr()); via != "" {
				n.advertised[name] = via
			}
		}
	}
	return nil
}

// ID returns the cluster id.
func (c *Cluster) ID() string { return c.id }

// Dir returns the cluster's folder; node i has its properties, log and data in Dir()/i.
func (c *Cluster) Dir() string { return c.dir }

// Version returns the version of Kafka.
func (c *Cluster) Version() string { return c.cfg.Version }

// Brokers returns the number of brokers.
func (c *Cluster) Brokers() int { return c.cfg.Brokers }

// Bootstrap returns the advertised addresses of the first client listener, one per broker.
func (c *Cluster) Bootstrap() []string { return c.BootstrapFor(c.cfg.Listeners[0]) }

// BootstrapFor returns the advertised addresses of one client listener, one per broker.
func (c *Cluster) BootstrapFor(l Listener) []string {
	return c.addrs(func(n *node) string { return n.advertised[l.Name] })
}

// Real returns the real addresses of the first client listener, one per broker: behind any proxy.
func (c *Cluster) Real() []string {
	return c.addrs(func(n *node) string { return n.ports[c.cfg.Listeners[0].Name].Addr() })
}

// Direct returns the addresses of the brokers' own listener: always plaintext, never through a
// proxy. For checks and administration by the test itself.
func (c *Cluster) Direct() []string {
	return c.addrs(func(n *node) string { return n.ports[internalListener].Addr() })
}

func (c *Cluster) addrs(f func(*node) string) []string {
	var out []string
	for _, n := range c.nodes {
		if n.broker {
			out = append(out, f(n))
		}
	}
	return out
}

// Close kills all processes and removes the cluster's folder and reservations. Closing twice is fine.
func (c *Cluster) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	var errs []error
	for _, n := range c.nodes {
		if n.proc != nil {
			errs = append(errs, n.proc.kill())
		}
		for _, p := range n.ports {
			p.Release()
		}
	}
	if c.files != nil {
		errs = append(errs, c.files.Remove())
	}
	return errors.Join(errs...)
}

// LogTails returns the last n lines of each node's log.
func (c *Cluster) LogTails(n int) string {
	var out strings.Builder
	for _, nd := range c.nodes {
		b, err := os.ReadFile(filepath.Join(c.dir, fmt.Sprint(nd.id), "log"))
		if err == nil {
			fmt.Fprintf(&out, "--- log of node %d\n%s\n", nd.id, tail(b, n))
		}
	}
	return out.String()
}

// newUUID returns a random id in Kafka's form: 16 bytes in URL-safe base64 without padding. Kafka
// refuses ids that begin with a dash.
func newUUID() string {
	for {
		var b [16]byte
		rand.Read(b[:])
		if s := base64.RawURLEncoding.EncodeToString(b[:]); s[0] != '-' {
			return s
		}
	}
}

package kafkalab

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	internalListener   = "INTERNAL" // between brokers, and for the lab itself
	controllerListener = "CONTROLLER"
	controllerID       = 100 // node id of a separate controller
)

// format writes a node's folder: server.properties, and storage as Kafka's formatter leaves it.
func (c *Cluster) format(n *node) error {
	n.dir = filepath.Join(c.dir, fmt.Sprint(n.id))
	data := filepath.Join(n.dir, "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	var text strings.Builder
	props := c.properties(n)
	for _, k := range slices.Sorted(maps.Keys(props)) {
		// Backslashes and line ends of values are escaped as java.util.Properties wants it.
		v := strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(props[k])
		fmt.Fprintf(&text, "%s=%s\n", k, v)
	}
	if err := os.WriteFile(filepath.Join(n.dir, "server.properties"), []byte(text.String()), 0o644); err != nil {
		return err
	}
	meta := fmt.Sprintf("version=1\ncluster.id=%s\nnode.id=%d\ndirectory.id=%s\n", c.id, n.id, newUUID())
	if err := os.WriteFile(filepath.Join(data, "meta.properties"), []byte(meta), 0o644); err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(c.in.dir, "bootstrap.checkpoint"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(data, "bootstrap.checkpoint"), b, 0o644)
}

// properties returns a node's server.properties.
func (c *Cluster) properties(n *node) map[string]string {
	rf := fmt.Sprint(min(c.cfg.Brokers, 3))
	p := map[string]string{
		"node.id":                                  fmt.Sprint(n.id),
		"log.dirs":                                 filepath.Join(n.dir, "data"),
		"controller.listener.names":                controllerListener,
		"controller.quorum.voters":                 c.quorum(),
		"inter.broker.listener.name":               internalListener,
		"group.initial.rebalance.delay.ms":         "0",
		"offsets.topic.num.partitions":             "3",
		"offsets.topic.replication.factor":         rf,
		"transaction.state.log.num.partitions":     "3",
		"transaction.state.log.replication.factor": rf,
		"transaction.state.log.min.isr":            "1",
		// The default, 128 MiB, is half of the default heap.
		"log.cleaner.dedupe.buffer.size": "16777216",
		// Pre-touching index files of 10 MiB per partition costs start-up and disk.
		"log.index.size.max.bytes": "1048576",
		// A killed broker cannot register again before its session has ended (9 s by default), and a
		// started one is unfenced by a heartbeat (every 2 s by default).
		"broker.session.timeout.ms":            "6000",
		"broker.heartbeat.interval.ms":         "500",
		"auto.create.topics.enable":            "false",
		"controlled.shutdown.retry.backoff.ms": "500",
	}
	if c.cfg.Version != V3 {
		p["share.coordinator.state.topic.replication.factor"] = rf
		p["share.coordinator.state.topic.min.isr"] = "1"
	}
	if rack := c.cfg.rack(n.id); n.broker && rack != "" {
		p["broker.rack"] = rack
	}
	c.listenerProperties(n, p)
	maps.Copy(p, c.cfg.Overrides)
	if n.broker {
		maps.Copy(p, c.cfg.PerBroker[n.id])
	}
	return p
}

// quorum returns controller.quorum.voters.
func (c *Cluster) quorum() string {
	var out []string
	for _, n := range c.nodes {
		if n.controller {
			out = append(out, fmt.Sprintf("%d@%s", n.id, n.ports[controllerListener].Addr()))
		}
	}
	return strings.Join(out, ",")
}

// listenerProperties adds roles, listeners and their security.
func (c *Cluster) listenerProperties(n *node, p map[string]string) {
	protocols := []string{internalListener + ":PLAINTEXT", controllerListener + ":PLAINTEXT"}
	var roles, listeners, advertised []string
	if n.broker {
		roles = append(roles, "broker")
		listeners = append(listeners, internalListener+"://"+n.ports[internalListener].Addr())
		advertised = slices.Clone(listeners)
		for _, l := range c.cfg.Listeners {
			listeners = append(listeners, l.Name+"://"+n.ports[l.Name].Addr())
			advertised = append(advertised, l.Name+"://"+n.advertised[l.Name])
			protocols = append(protocols, l.Name+":"+l.protocol())
			c.securityProperties(l, p)
		}
		p["advertised.listeners"] = strings.Join(advertised, ",")
	}
	if n.controller {
		roles = append(roles, "controller")
		listeners = append(listeners, controllerListener+"://"+n.ports[controllerListener].Addr())
	}
	if !n.broker {
		delete(p, "inter.broker.listener.name")
	}
	p["process.roles"] = strings.Join(roles, ",")
	p["listeners"] = strings.Join(listeners, ",")
	p["listener.security.protocol.map"] = strings.Join(protocols, ",")
}

// securityProperties adds what one client listener needs.
func (c *Cluster) securityProperties(l Listener, p map[string]string) {
	prefix := "listener.name." + strings.ToLower(l.Name) + "."
	if l.TLS {
		p[prefix+"ssl.keystore.type"] = "PEM"
		p[prefix+"ssl.keystore.location"] = c.certs.serverFile
		p[prefix+"ssl.truststore.type"] = "PEM"
		p[prefix+"ssl.truststore.location"] = c.certs.caFile
		if l.mTLS {
			p[prefix+"ssl.client.auth"] = "required"
		}
	}
	switch l.SASL {
	case "":
	case "PLAIN":
		p[prefix+"sasl.enabled.mechanisms"] = "PLAIN"
		p[prefix+"plain.sasl.jaas.config"] = fmt.Sprintf(
			`org.apache.kafka.common.security.plain.PlainLoginModule required user_%s="%s";`, User, c.cfg.Password)
	default:
		p[prefix+"sasl.enabled.mechanisms"] = l.SASL
		p[prefix+strings.ToLower(l.SASL)+".sasl.jaas.config"] =
			`org.apache.kafka.common.security.scram.ScramLoginModule required;`
	}
}

package kafkalab

import (
	"fmt"
	"maps"
	"slices"
)

// User and Password are the login of every SASL listener, where Config names no
// other password.
const (
	User     = "sluice"
	Password = "sluice-secret"
)

// Config says what cluster to start. The zero value is one plaintext broker of version V4.
type Config struct {
	Version   string            // V4 (default) or V3
	Brokers   int               // 1 by default; a broker's number is its node id, counted from 0
	Racks     []string          // rack of each broker; fewer than brokers: used in turn
	Listeners []Listener        // client listeners, [Plaintext] by default; the first is Bootstrap's
	Overrides map[string]string // server.properties of every broker and of the controller
	PerBroker map[int]map[string]string

	// SeparateController runs the controller in a process of its own, so that every broker can die
	// and elections go on. Without it brokers 0, 1 and 2 are the quorum where there are three or
	// more, and broker 0 alone where there are fewer.
	SeparateController bool

	Password string   // of User, Password by default
	HeapMB   int      // -Xmx of each broker, 256 by default
	JVMFlags []string // instead of the flags for a quick start (C1 only, serial collector)
	LogLevel string   // of the brokers' logs: WARN by default
	Dir      string   // parent of the cluster's directory; os.TempDir() by default

	// AdvertisedVia returns the address that a broker advertises for a client listener instead of
	// its real one ("" keeps it): a proxy's. It is asked before the broker starts, once per listener.
	// Brokers talk to each other on a listener of their own, which is always direct.
	AdvertisedVia func(broker int, realAddr string) (addr string)
}

// Listener is a kind of client listener. Comparable: use the ones declared here.
type Listener struct {
	Name string // upper case letters and digits, unique in a cluster
	TLS  bool   // server certificate for 127.0.0.1 by the cluster's own CA
	SASL string // "", PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	mTLS bool
}

// Plaintext is a listener without TLS and login.
func Plaintext() Listener { return Listener{Name: "CLIENT"} }

// TLS is a listener with TLS and without login.
func TLS() Listener { return Listener{Name: "TLS", TLS: true} }

// MutualTLS is a listener with TLS that asks for a client certificate by the cluster's CA.
func MutualTLS() Listener { return Listener{Name: "MTLS", TLS: true, mTLS: true} }

// SASLPlain is a listener without TLS that wants PLAIN.
func SASLPlain() Listener { return Listener{Name: "SASLPLAIN", SASL: "PLAIN"} }

// SCRAM is a listener without TLS that wants SCRAM-SHA-512.
func SCRAM() Listener { return Listener{Name: "SCRAM512", SASL: "SCRAM-SHA-512"} }

// SCRAM256 is a listener without TLS that wants SCRAM-SHA-256.
func SCRAM256() Listener { return Listener{Name: "SCRAM256", SASL: "SCRAM-SHA-256"} }

// WithTLS returns the same listener over TLS.
func (l Listener) WithTLS() Listener {
	l.Name, l.TLS = "TLS"+l.Name, true
	return l
}

// protocol returns the listener's security protocol in Kafka's words.
func (l Listener) protocol() string {
	switch {
	case l.SASL != "" && l.TLS:
		return "SASL_SSL"
	case l.SASL != "":
		return "SASL_PLAINTEXT"
	case l.TLS:
		return "SSL"
	}
	return "PLAINTEXT"
}

// withDefaults fills the zero fields in; the caller's maps and slices are not kept.
func (c Config) withDefaults() Config {
	if c.Version == "" {
		c.Version = V4
	}
	if c.Brokers == 0 {
		c.Brokers = 1
	}
	if len(c.Listeners) == 0 {
		c.Listeners = []Listener{Plaintext()}
	}
	if c.Password == "" {
		c.Password = Password
	}
	if c.HeapMB == 0 {
		c.HeapMB = 256
	}
	if c.JVMFlags == nil {
		c.JVMFlags = []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}
	}
	if c.LogLevel == "" {
		c.LogLevel = "WARN"
	}
	c.Overrides = maps.Clone(c.Overrides)
	c.Listeners = slices.Clone(c.Listeners)
	return c
}

// validate reports the first thing in c that cannot be started.
func (c Config) validate() error {
	if c.Version != V3 && c.Version != V4 {
		return fmt.Errorf("version %q: want %s or %s", c.Version, V4, V3)
	}
	if c.Brokers < 1 {
		return fmt.Errorf("brokers %d: want 1 or more", c.Brokers)
	}
	seen := map[string]bool{internalListener: true, controllerListener: true}
	for _, l := range c.Listeners {
		if l.Name == "" || seen[l.Name] {
			return fmt.Errorf("listener name %q: want unique names", l.Name)
		}
		seen[l.Name] = true
	}
	for id := range c.PerBroker {
		if id < 0 || id >= c.Brokers {
			return fmt.Errorf("overrides for broker %d of %d", id, c.Brokers)
		}
	}
	return nil
}

// voters returns the node ids of the controller quorum.
func (c Config) voters() []int {
	switch {
	case c.SeparateController:
		return []int{controllerID}
	case c.Brokers >= 3:
		return []int{0, 1, 2}
	}
	return []int{0}
}

// rack returns the rack of a broker, "" for none.
func (c Config) rack(id int) string {
	if len(c.Racks) == 0 {
		return ""
	}
	return c.Racks[id%len(c.Racks)]
}

// anyListener reports whether a listener for which f holds is configured.
func (c Config) anyListener(f func(Listener) bool) bool {
	return slices.ContainsFunc(c.Listeners, f)
}

package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"sluice/gate"
	"sluice/pki"
)

// Config says where a node listens, how others reach it and how both sides
// prove who they are.
type Config struct {
	Listen           string        // host:port to bind
	Advertise        string        // host:port that other nodes dial; empty: Listen
	DialFrom         string        // local IP to dial from; empty: the kernel chooses
	TLS              pki.Files     // required unless Insecure; read again for each connection, those that stand keep theirs
	Insecure         bool          // plaintext; refused unless every address is loopback
	HandshakeTimeout time.Duration // TLS and hello together, both sides
	Strangers        gate.Config   // inbound connections that have not proven to be a node's
	Network          Network       // nil functions: the kernel's TCP
}

// Network replaces the kernel's TCP, so that whole nodes run over a virtual
// network. A dial to a port where nobody listens must fail with an error that
// is syscall.ECONNREFUSED.
type Network struct {
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// DefaultConfig returns the values that Validate leaves as they are.
func DefaultConfig() Config {
	return Config{HandshakeTimeout: 5 * time.Second, Strangers: gate.DefaultConfig()}
}

// Validate fills defaults and reports every mistake at once.
func (c *Config) Validate() error {
	if c.Advertise == "" {
		c.Advertise = c.Listen
	}
	d := DefaultConfig()
	if c.HandshakeTimeout == 0 {
		c.HandshakeTimeout = d.HandshakeTimeout
	}
	if c.Strangers == (gate.Config{}) {
		c.Strangers = d.Strangers
	}
	errs := []error{c.validateAddress("listen", c.Listen)}
	if c.Advertise != c.Listen { // said once
		errs = append(errs, c.validateAddress("advertise", c.Advertise))
	}
	if c.DialFrom != "" && net.ParseIP(c.DialFrom) == nil {
		errs = append(errs, fmt.Errorf("dialFrom %q is not an IP address", c.DialFrom))
	}
	if host, _, err := net.SplitHostPort(c.Advertise); err == nil && (host == "" || isUnspecified(host)) {
		errs = append(errs, fmt.Errorf("advertise %q: other nodes need an address that they can dial", c.Advertise))
	}
	if !c.Insecure && (c.TLS.Cert == "" || c.TLS.Key == "" || c.TLS.CA == "") {
		errs = append(errs, errors.New("tls needs cert, key and ca (create them with `sluice cert`), or use --insecure on loopback"))
	}
	return errors.Join(errs...)
}

// validateAddress checks host:port, and in insecure mode that the host is
// loopback.
func (c *Config) validateAddress(what, address string) error {
	if address == "" {
		return fmt.Errorf("%s is missing; write host:port", what)
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("%s %q is not host:port", what, address)
	}
	if c.Insecure && !isLoopback(address) {
		return fmt.Errorf("%s %q: %w", what, address, ErrInsecure)
	}
	return nil
}

// isLoopback reports whether host:port names this machine by itself; names
// other than localhost are not resolved, because an answer may change.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

func isUnspecified(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsUnspecified()
}

// withDefaults returns the kernel's TCP where a function is nil.
func (n Network) withDefaults(dialFrom string) Network {
	if n.Listen == nil {
		var lc net.ListenConfig
		n.Listen = lc.Listen
	}
	if n.Dial == nil {
		d := &net.Dialer{}
		if dialFrom != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(dialFrom)}
		}
		n.Dial = d.DialContext
	}
	return n
}

// AdvertisedHost is the host at which others dial this node, as its
// certificate must name it; empty: not known.
func (c *Config) AdvertisedHost() string {
	host, _, err := net.SplitHostPort(c.Advertise)
	if err != nil || isUnspecified(host) {
		return ""
	}
	return host
}

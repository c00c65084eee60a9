package api

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/time/rate"

	"sluice/gate"
	"sluice/pki"
)

// Config says where the API listens and who may use it.
type Config struct {
	Listen    string        // host:port
	Cert, Key string        // PEM files; empty: plain HTTP
	TokenFile string        // holds the bearer tokens of which every request must show one; empty: none
	Advertise string        // host:port that others are told; empty: Listen
	Timeout   time.Duration // for one request, unless it waits on purpose
}

// MaxWait is how long a node with the default configuration takes at most to
// answer a request: an apply looks at Kafka clusters, then changes the facts.
const MaxWait = 60 * time.Second

// DefaultConfig listens on loopback.
func DefaultConfig() Config { return Config{Listen: "127.0.0.1:8080", Timeout: MaxWait / 2} }

// Validate reports every mistake at once. Beyond loopback TLS and a token are
// required: whoever reaches the API can pause and delete links.
func (c Config) Validate() error {
	var errs []error
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		errs = append(errs, fmt.Errorf("listen %q is not host:port", c.Listen))
	} else if !loopback(host) && (c.Cert == "" || c.TokenFile == "") {
		errs = append(errs, fmt.Errorf("listen %q is reachable from outside: that needs tls and tokenFile, or choose 127.0.0.1", c.Listen))
	}
	if (c.Cert == "") != (c.Key == "") {
		errs = append(errs, errors.New("tls: cert and key go together"))
	}
	if c.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("timeout %s is not positive", c.Timeout))
	}
	return errors.Join(errs...)
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// token is one that a request may show.
type token struct {
	name   string // for the events of what is done with it
	secret []byte
}

// tokens reads the token file: one token a line, its name before it where there
// are several. Without a file every request is let in.
func (c Config) tokens() ([]token, error) {
	if c.TokenFile == "" {
		return nil, nil
	}
	b, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("reading token file: %w; give the path of a file that holds the token, not the token itself", unnamed(err))
	}
	var out []token
	for line := range bytes.Lines(b) {
		words := bytes.Fields(line)
		switch {
		case len(words) == 0 || words[0][0] == '#':
			continue
		case len(words) > 2:
			return nil, fmt.Errorf("reading token file: %s holds a line of %d words; a line is a token, or a name and a token", c.TokenFile, len(words))
		case len(words[len(words)-1]) < leastToken:
			return nil, fmt.Errorf("reading token file: %s holds a token of less than %d characters; a line is a token, or a name and a token", c.TokenFile, leastToken)
		case len(words) == 2 && len(words[0]) >= leastToken: // names are shown
			return nil, fmt.Errorf("reading token file: %s holds a name of %d characters or more: is it the token, which stands behind the name?", c.TokenFile, leastToken)
		}
		t := token{"token", words[len(words)-1]}
		if len(words) == 2 {
			t.name = string(words[0])
		}
		out = append(out, t)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("reading token file: %s holds no token", c.TokenFile)
	}
	return out, nil
}

// leastToken is how many characters a token has at least; its name has fewer.
const leastToken = 16

// unnamed takes the path out of the error of a file of tokens: it may be a token
// that was written where its file is named.
func unnamed(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// CheckTokens reads the token file, if there is one, as New does.
func (c Config) CheckTokens() error {
	_, err := c.tokens()
	return err
}

// Open binds the port, so that a wrong address fails before anything starts.
// Connections over which no request has come yet that may be made here are
// bounded. Each gets the certificate that the pair's files hold by then; nil:
// plain HTTP.
func (c Config) Open(pair *pki.Store, log *slog.Logger) (net.Listener, error) {
	tcp, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening for HTTP: %w", err)
	}
	said := rate.Sometimes{Interval: time.Minute}
	l := &gate.Listener{Listener: tcp, Gate: gate.New(gate.DefaultConfig()), Crowded: func(from net.Addr) {
		said.Do(func() {
			log.Warn("HTTP connections are closed over which nobody has asked for anything: they are too many, or come too fast", "last from", from.String())
		})
	}}
	if pair == nil {
		return l, nil
	}
	return tls.NewListener(l, &tls.Config{
		GetCertificate: pair.GetCertificate, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		SessionTicketsDisabled: true, // a resumed session would outlive a changed certificate
	}), nil
}

// AdvertisedHost is the host at which clients are told to ask, as the
// certificate should name it; empty: none is told.
func (c Config) AdvertisedHost() string {
	host, _, err := net.SplitHostPort(c.Advertise)
	if err != nil {
		return ""
	}
	return host
}

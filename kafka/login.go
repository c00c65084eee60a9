package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"sluice/fsm"
)

// tlsConfig reads the keys and certificates that spec refers to; nil for
// plaintext. It is called for every connection, so that a renewed file counts
// from the next one on.
func (s Secrets) tlsConfig(spec *fsm.TLS) (*tls.Config, error) {
	if spec == nil {
		return nil, nil
	}
	cfg := &tls.Config{ServerName: spec.ServerName, MinVersion: tls.VersionTLS12}
	if spec.CA != "" {
		ca, err := s.Read(spec.CA)
		if err != nil {
			return nil, fmt.Errorf("reading CA: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, errors.New("reading CA: no PEM certificate in it")
		}
	}
	if spec.Cert == "" && spec.Key == "" {
		return cfg, nil
	}
	cert, err := s.Read(spec.Cert)
	if err != nil {
		return nil, fmt.Errorf("reading client certificate: %w", err)
	}
	key, err := s.Read(spec.Key)
	if err != nil {
		return nil, fmt.Errorf("reading client key: %w", err)
	}
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		return nil, fmt.Errorf("reading client certificate and key: %w", err)
	}
	cfg.Certificates = []tls.Certificate{pair}
	return cfg, nil
}

// readable reports why the password of a Kafka cluster cannot be read.
func (s Secrets) readable(k *fsm.KafkaCluster) error {
	if k.SASL == nil {
		return nil
	}
	if _, err := s.Read(k.SASL.Password); err != nil {
		return fmt.Errorf("reading SASL password: %w", err)
	}
	return nil
}

// mechanism returns the SASL mechanism of spec, nil for none. The password is
// resolved anew for every login.
func (s Secrets) mechanism(spec *fsm.SASL) (sasl.Mechanism, error) {
	if spec == nil {
		return nil, nil
	}
	password := func() (string, error) {
		p, err := s.Read(spec.Password)
		if err != nil {
			return "", fmt.Errorf("reading SASL password: %w", err)
		}
		return p, nil
	}
	scramAuth := func(context.Context) (scram.Auth, error) {
		p, err := password()
		return scram.Auth{User: spec.Username, Pass: p}, err
	}
	switch spec.Mechanism {
	case "PLAIN":
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			p, err := password()
			return plain.Auth{User: spec.Username, Pass: p}, err
		}), nil
	case "SCRAM-SHA-256":
		return scram.Sha256(scramAuth), nil
	case "SCRAM-SHA-512":
		return scram.Sha512(scramAuth), nil
	}
	return nil, fmt.Errorf("SASL mechanism %q is not PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", spec.Mechanism)
}

// askFunc sends a request on the connection that logs in and waits for the
// answer.
type askFunc func(kmsg.Request) (kmsg.Response, error)

// loginFunc logs in and returns how long that holds, 0 for ever.
type loginFunc func(ctx context.Context, ask askFunc) (time.Duration, error)

// newLogin returns how to log in to the broker at host with mech, nil for no
// login.
func newLogin(mech sasl.Mechanism, host string) loginFunc {
	if mech == nil {
		return nil
	}
	return func(ctx context.Context, ask askFunc) (time.Duration, error) {
		if err := chooseMechanism(mech, ask); err != nil {
			return 0, fmt.Errorf("%w: choosing mechanism %s: %w", errLogin, mech.Name(), err)
		}
		lifetime, err := authenticate(ctx, mech, host, ask)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errLogin, err)
		}
		return lifetime, nil
	}
}

// chooseMechanism runs SaslHandshake (KIP-43).
func chooseMechanism(mech sasl.Mechanism, ask askFunc) error {
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.Mechanism = mech.Name()
	resp, err := ask(req)
	if err != nil {
		return err
	}
	answer := resp.(*kmsg.SASLHandshakeResponse)
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		return fmt.Errorf("%w: the broker has %q", err, answer.SupportedMechanisms)
	}
	return nil
}

// authenticate runs SaslAuthenticate (KIP-152) until the mechanism is
// content, and returns the session's lifetime (KIP-368).
func authenticate(ctx context.Context, mech sasl.Mechanism, host string, ask askFunc) (lifetime time.Duration, err error) {
	session, send, err := mech.Authenticate(ctx, host)
	if err != nil {
		return 0, err
	}
	for done := false; !done; {
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.SASLAuthBytes = send
		resp, err := ask(req)
		if err != nil {
			return 0, err
		}
		answer := resp.(*kmsg.SASLAuthenticateResponse)
		if err := withMessage(answer.ErrorCode, answer.ErrorMessage); err != nil {
			return 0, err
		}
		if done, send, err = session.Challenge(answer.SASLAuthBytes); err != nil {
			return 0, err
		}
		lifetime = time.Duration(answer.SessionLifetimeMillis) * time.Millisecond
	}
	return lifetime, nil
}

// dialFunc opens a connection, as net.Dialer.DialContext does.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// secured returns dial with TLS on top, where the Kafka cluster has it. A
// password that cannot be read is said before anything is dialled: brokers
// would only tell that the login did not go on.
func (s Secrets) secured(dial dialFunc, k *fsm.KafkaCluster) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if err := s.readable(k); err != nil {
			return nil, err
		}
		if k.TLS == nil {
			nc, err := dial(ctx, network, addr)
			if err != nil {
				return nil, &addressError{addr, err}
			}
			return nc, nil
		}
		cfg, err := s.tlsConfig(k.TLS)
		if err != nil {
			return nil, err
		}
		if cfg.ServerName == "" {
			if cfg.ServerName, _, err = net.SplitHostPort(addr); err != nil {
				return nil, fmt.Errorf("dialling %s: %w", addr, err)
			}
		}
		nc, err := dial(ctx, network, addr)
		if err != nil {
			return nil, &addressError{addr, err}
		}
		tc := tls.Client(nc, cfg)
		if err := tc.HandshakeContext(ctx); err != nil {
			nc.Close()
			return nil, &addressError{addr, fmt.Errorf("%w: %w", errTLS, err)}
		}
		return tc, nil
	}
}

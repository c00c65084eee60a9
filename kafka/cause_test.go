package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"

	"sluice/fsm"
)

// TestCauses: each kind of error has its words, with the address where the
// error knows it.
func TestCauses(t *testing.T) {
	at := func(err error) error {
		return fmt.Errorf("dialling broker 1: %w", &addressError{"kafka-1:9092", err})
	}
	dial := func(err error) error { return at(&net.OpError{Op: "dial", Net: "tcp", Err: err}) }
	inTLS := func(err error) error { return at(fmt.Errorf("%w: %w", errTLS, err)) }
	login := func(err error) error { return at(fmt.Errorf("%w: %w", errLogin, err)) }
	for _, tc := range []struct {
		err      error
		what, do string
	}{
		{dial(&net.DNSError{Name: "kafka-1", IsNotFound: true}), "the name kafka-1 is not known", "/etc/hosts"},
		{&net.DNSError{Name: "kafka-1", IsTimeout: true}, "no name server answers for kafka-1", "DNS"},
		{dial(syscall.ECONNREFUSED), "kafka-1:9092 refuses connections", "start the broker"},
		{&net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 9092}, Err: syscall.ECONNREFUSED}, "10.0.0.1:9092 refuses connections", ""},
		{syscall.ECONNREFUSED, "the broker refuses connections", ""},
		{dial(syscall.EHOSTUNREACH), "there is no route to kafka-1:9092", "firewalls"},
		{dial(syscall.ENETUNREACH), "there is no route to kafka-1:9092", "firewalls"},
		{dial(os.ErrDeadlineExceeded), "kafka-1:9092 does not answer", "firewall"},
		{dial(syscall.ETIMEDOUT), "kafka-1:9092 does not answer", "firewall"},
		{at(context.DeadlineExceeded), "kafka-1:9092 does not answer", ""},
		{at(fmt.Errorf("%w: %w", ErrTimeout, errSilent)), "kafka-1:9092 accepts connections and does not answer", "hang"},
		{inTLS(x509.UnknownAuthorityError{}), "the certificate of kafka-1:9092 is from an authority that is not trusted", "spec.tls.ca"},
		{inTLS(x509.CertificateInvalidError{Reason: x509.Expired}), "the certificate of kafka-1:9092 has expired or is not valid yet", "renew"},
		{inTLS(x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}), "the certificate of kafka-1:9092 is not one for a server", ""},
		{inTLS(x509.HostnameError{Certificate: &x509.Certificate{}}), "the certificate of kafka-1:9092 is for other names", "serverName"},
		{inTLS(tls.RecordHeaderError{}), "kafka-1:9092 does not speak TLS", "take spec.tls out"},
		{inTLS(context.DeadlineExceeded), "kafka-1:9092 accepts connections and does not answer the TLS handshake", "does the broker hang?"},
		{inTLS(io.EOF), "kafka-1:9092 ends the connection in the TLS handshake", "client certificate"},
		{inTLS(&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}), "kafka-1:9092 refuses the TLS handshake", "client certificate"},
		{at(fmt.Errorf("%w: %w", ErrProtocol, errTLSWanted)), "kafka-1:9092 speaks TLS, and none is configured", "set spec.tls"},
		{login(kerr.UnsupportedSaslMechanism), "kafka-1:9092 does not offer this SASL mechanism", "spec.sasl.mechanism"},
		{login(kerr.SaslAuthenticationFailed), "kafka-1:9092 refuses the user or the password", "spec.sasl.password"},
		{login(kerr.IllegalSaslState), "kafka-1:9092 takes no SASL login", "take spec.sasl out"},
		{login(io.ErrUnexpectedEOF), "kafka-1:9092 ends the connection during the SASL login", "user and password"},
		{at(kerr.IllegalSaslState), "kafka-1:9092 wants a SASL login, and none is configured", "set spec.sasl"},
		{at(fmt.Errorf("%w: %w", errAfterVersions, io.EOF)), "kafka-1:9092 ends the connection at the first request", "spec.sasl"},
		{Needs(kerr.TopicAuthorizationFailed, "WRITE", "orders"), "a right is missing", "the right that is named"},
		{kerr.ClusterAuthorizationFailed, "a right on the Kafka cluster is missing", ""},
		{at(fmt.Errorf("%w: %q instead of %q", ErrClusterIDMismatch, "a", "b")), "another Kafka cluster answers at kafka-1:9092", "delete"},
		{at(ErrProtocol), "kafka-1:9092 is not a Kafka broker", "port"},
		{at(io.ErrUnexpectedEOF), "kafka-1:9092 ends the connection before it answers", "spec.tls"},
		{fmt.Errorf("%w: %w", ErrPerhapsSent, io.EOF), "the broker has ended the connection", "restart"},
		{&SecretError{"${file:/s/p}", false, errors.New("file does not exist on this node")}, "secret ${file:/s/p}: file does not exist on this node", "put it there"},
		{&SecretError{"${file:/s/p}", true, errors.New("not allowed")}, "secret ${file:/s/p}: not allowed", "node.yaml"},
		{kerr.NotLeaderForPartition, "", ""},
		{errors.New("anything"), "", ""},
		{
			fmt.Errorf("asking: %w", unanswered{dial(syscall.ECONNREFUSED), &addressError{"kafka-2:9092", syscall.ECONNREFUSED}}),
			"kafka-1:9092 refuses connections; kafka-2:9092 refuses connections", "start the broker",
		},
	} {
		c := CauseOf(tc.err)
		if !strings.HasPrefix(c.What, tc.what) || tc.what == "" && c.What != "" || !strings.Contains(c.Do, tc.do) || (c.What == "") != (c.Do == "") {
			t.Errorf("%v: %+v, want %q and %q", tc.err, c, tc.what, tc.do)
		}
		if text := Explain(tc.err); !strings.HasPrefix(text, c.What) || !strings.Contains(text, tc.err.Error()) || strings.Contains(text, "%!") {
			t.Errorf("%q", text)
		}
	}
}

// serving listens, and lets serve answer each connection.
func serving(t *testing.T, l net.Listener, serve func(net.Conn)) string {
	t.Helper()
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { nc.Close() })
			go serve(nc)
		}
	}()
	return l.Addr().String()
}

func listening(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestCausesOfRealListeners: what the network, TLS and Kafka really say is
// recognised.
func TestCausesOfRealListeners(t *testing.T) {
	ca, cert := testCertificate(t)
	_, other := testCertificate(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	trusted := &fsm.TLS{CA: "${file:" + file + "}"}
	gone := listening(t)
	gone.Close()
	_, noLogin := testCluster(t, kfake.NumBrokers(1))
	_, withLogin := testCluster(t, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "u", "s3cret"))
	_, withTLS := testCluster(t, kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}}))
	_, foreign := testCluster(t, kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{other}}))
	hangs := serving(t, listening(t), func(net.Conn) {})
	closes := serving(t, listening(t), func(nc net.Conn) { _, _ = nc.Read(make([]byte, 1)); nc.Close() })
	web := serving(t, listening(t), func(nc net.Conn) {
		_, _ = nc.Read(make([]byte, 100))
		_, _ = io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\n\r\n")
	})
	sasl := func(mechanism, password string) *fsm.SASL {
		return &fsm.SASL{Mechanism: mechanism, Username: "u", Password: password}
	}
	for _, tc := range []struct {
		name, addr string
		tls        *fsm.TLS
		sasl       *fsm.SASL
		what       string
	}{
		{"nobody listens", gone.Addr().String(), nil, nil, "%s refuses connections"},
		{"no such name", "no-such-host.invalid:9092", nil, nil, "no-such-host.invalid"},
		{"it hangs", hangs, nil, nil, "%s accepts connections and does not answer"},
		{"it closes", closes, nil, nil, "%s ends the connection before it answers"},
		{"a web server", web, nil, nil, "%s is not a Kafka broker"},
		{"TLS to a plain port", noLogin.Bootstrap[0], trusted, nil, "%s accepts connections and does not answer the TLS handshake"},
		{"TLS to a web server", web, trusted, nil, "%s does not speak TLS"},
		{"plain text to TLS", withTLS.Bootstrap[0], nil, nil, "%s ends the connection before it answers"},
		{"another authority", foreign.Bootstrap[0], trusted, nil, "the certificate of %s is from an authority that is not trusted"},
		{"another host name", withTLS.Bootstrap[0], &fsm.TLS{CA: trusted.CA, ServerName: "elsewhere"}, nil, "the certificate of %s is for other names"},
		{"a wrong password", withLogin.Bootstrap[0], nil, sasl("SCRAM-SHA-256", "wrong"), "%s ends the connection during the SASL login"},
		{"a wrong mechanism", withLogin.Bootstrap[0], nil, sasl("PLAIN", "s3cret"), "%s ends the connection during the SASL login"},
		{"no login", withLogin.Bootstrap[0], nil, nil, "the broker ends the connection at the first request: it probably wants a SASL login"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, err := testPool(t).Client(testContext(t), fsm.KafkaCluster{Name: "k", Bootstrap: []string{tc.addr}, TLS: tc.tls, SASL: tc.sasl})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(testContext(t), 8*time.Second)
			defer cancel()
			_, err = c.Metadata(ctx)
			if err == nil {
				t.Fatal("it answers")
			}
			want := strings.ReplaceAll(tc.what, "%s", tc.addr)
			if got := CauseOf(err); !strings.Contains(got.What, want) || got.Do == "" {
				t.Errorf("%+v of %v", got, err)
			}
		})
	}
}

// TestMissingSecretIsNamed, with its file and what to do, before anything is
// dialled, and also when it is gone later.
func TestMissingSecretIsNamed(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", "s3cret"))
	file := filepath.Join(t.TempDir(), "password")
	spec.SASL = &fsm.SASL{Mechanism: "PLAIN", Username: "u", Password: "${file:" + file + "}"}
	names := func(err error) {
		t.Helper()
		if err == nil {
			t.Fatal("no error")
		}
		if text := Explain(err); !strings.HasPrefix(text, "secret ${file:"+file+"}: file does not exist on this node: put it there") || strings.Contains(text, "ILLEGAL_SASL_STATE") {
			t.Errorf("%q", text)
		}
	}
	p := testPool(t)
	_, err := p.Client(testContext(t), spec)
	names(err)
	if err := os.WriteFile(file, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := p.Client(testContext(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	_, err = c.Metadata(testContext(t))
	names(err)
}

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
	"slices"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Cause is why a Kafka cluster could not be asked, for an operator who reads
// nothing else. Both are empty for errors that are not about reaching it.
type Cause struct {
	What string // "10.0.0.1:9092 refuses connections"
	Do   string
}

// Explain words an error with its cause first: "cause: what to do (error)".
// Errors without a known cause stay as they are.
func Explain(err error) string {
	c := CauseOf(err)
	if c.What == "" {
		return err.Error()
	}
	return fmt.Sprintf("%s: %s (%v)", c.What, c.Do, err)
}

// Explained is the error with the words of Explain, for those who show it and
// know nothing of Kafka; nil stays nil.
func Explained(err error) error {
	if err == nil {
		return nil
	}
	return explained{err}
}

type explained struct{ error }

func (e explained) Error() string { return Explain(e.error) }
func (e explained) Unwrap() error { return e.error }

// CauseOf finds the cause of an error of reaching a Kafka cluster. Of several
// addresses it names each one's.
func CauseOf(err error) Cause {
	if all, ok := errors.AsType[unanswered](err); ok {
		return all.cause()
	}
	at := addressOf(err)
	for _, row := range causes {
		if row.is(err) {
			what := row.what
			if strings.Contains(what, "%s") {
				what = fmt.Sprintf(what, at)
			}
			return Cause{what, row.do}
		}
	}
	if secret, ok := errors.AsType[*SecretError](err); ok {
		return secret.cause()
	}
	return Cause{}
}

// addressOf is what an error is about: the name that is not found, else the
// address as it was given, or by its number where only that is known.
func addressOf(err error) string {
	if name, ok := errors.AsType[*net.DNSError](err); ok && name.Name != "" {
		return name.Name
	}
	if at, ok := errors.AsType[*addressError](err); ok {
		return at.addr
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Addr != nil {
		return op.Addr.String()
	}
	return "the broker"
}

// cause puts the causes of all addresses together, what to do once each.
func (u unanswered) cause() Cause {
	var whats, dos []string
	for _, err := range u {
		c := CauseOf(err)
		if c.What == "" {
			c = Cause{err.Error(), "see to it that Kafka answers there"}
		}
		if !slices.Contains(whats, c.What) {
			whats = append(whats, c.What)
		}
		if !slices.Contains(dos, c.Do) {
			dos = append(dos, c.Do)
		}
	}
	return Cause{strings.Join(whats, "; "), strings.Join(dos, "; ")}
}

// cause tells of a secret how to make it readable.
func (e *SecretError) cause() Cause {
	switch {
	case e.Reference == "":
		return Cause{e.Error(), "correct the reference in the manifest and apply it"}
	case e.Refused:
		return Cause{e.Error(), "put the secret where this node reads secrets, or allow that place in its node.yaml (secrets)"}
	}
	return Cause{e.Error(), "put it there, readable for the user of `sluice server`, on every node; or correct the reference in the manifest"}
}

// causeRow is one cause and how it is recognised; %s is the address.
type causeRow struct {
	is       func(error) bool
	what, do string
}

// Advice that several rows give.
const (
	doAddress = "start the broker there, or correct the address: spec.bootstrap, or what brokers tell of themselves (advertised.listeners)"
	doTLS     = "compare spec.tls and the port with the broker's listeners: is it a TLS port or one without, and does it want a client certificate?"
	doRight   = "give its user the right that is named"
)

// causes are in order: the first that is so counts. What is said during a login
// stands before what the same error means elsewhere.
var causes = []causeRow{
	{is(ErrClusterIDMismatch), "another Kafka cluster answers at %s than before", "correct spec.bootstrap; if the Kafka cluster was made anew, delete its links and itself (`sluice delete`) and apply them again"},

	// Login and rights.
	{is(kerr.UnsupportedSaslMechanism), "%s does not offer this SASL mechanism", "set spec.sasl.mechanism to one that the broker has, or use another of its listeners"},
	{inLogin(kerr.IllegalSaslState), "%s takes no SASL login", "use the port of the broker's SASL listener, or take spec.sasl out of the manifest"},
	{is(kerr.IllegalSaslState), "%s wants a SASL login, and none is configured", "set spec.sasl with mechanism, username and password, or use a listener without SASL"},
	{is(kerr.SaslAuthenticationFailed), "%s refuses the user or the password", "check spec.sasl.username and the secret behind spec.sasl.password; they must be those of this Kafka cluster, for this mechanism"},
	{afterVersions, "%s ends the connection at the first request: it probably wants a SASL login", "set spec.sasl as the broker's listener wants it, or use a listener without SASL; nothing while it restarts"},
	{inLogin(io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET), "%s ends the connection during the SASL login", "check spec.sasl: mechanism, user and password; the broker's log says more"},
	{is(kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed), "a right is missing", doRight},
	{is(kerr.ClusterAuthorizationFailed), "a right on the Kafka cluster is missing", doRight},

	// Certificates.
	{isA[x509.UnknownAuthorityError], "the certificate of %s is from an authority that is not trusted", "set spec.tls.ca to the certificate of the authority that signed the broker's"},
	{expired, "the certificate of %s has expired or is not valid yet", "renew the broker's certificate, or correct this node's clock"},
	{isA[x509.HostnameError], "the certificate of %s is for other names", "use a name in spec.bootstrap that the certificate has, or set spec.tls.serverName to one"},
	{isA[x509.CertificateInvalidError], "the certificate of %s is not one for a server, or its chain is broken", "give the broker another certificate"},
	{isA[tls.RecordHeaderError], "%s does not speak TLS", "use the port of the broker's TLS listener, or take spec.tls out of the manifest"},
	{refusedByTLS, "%s refuses the TLS handshake", "does it want a client certificate that its authority has signed (spec.tls.cert and key), or another TLS version?"},
	{is(errTLSWanted), "%s speaks TLS, and none is configured", "set spec.tls, or use the port of a listener without TLS"},
	{inTLS(io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE), "%s ends the connection in the TLS handshake", doTLS},
	{inTLS(ErrTimeout, os.ErrDeadlineExceeded, context.DeadlineExceeded), "%s accepts connections and does not answer the TLS handshake", "does the broker hang? if not, " + doTLS},

	// Names and ways.
	{unknownName, "the name %s is not known", "correct it in spec.bootstrap or in the brokers' advertised.listeners, or make it known in DNS or /etc/hosts of this node"},
	{isA[*net.DNSError], "no name server answers for %s", "see to this node's DNS (/etc/resolv.conf)"},
	{is(syscall.ECONNREFUSED), "%s refuses connections", doAddress},
	{is(syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN), "there is no route to %s", "see to the network, its routes and firewalls between this node and it; or correct the address"},
	{is(errSilent), "%s accepts connections and does not answer", "does the broker hang? is it a Kafka broker? is it a TLS port that is used without TLS?"},
	{noAnswer, "%s does not answer", "is the machine up, and does a firewall drop what is sent to it? or correct the address"},
	{notKafka, "%s is not a Kafka broker", "correct address and port"},
	{inHandshake, "%s ends the connection before it answers", doTLS},
	{is(syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF), "%s has ended the connection", "nothing while brokers restart, it is tried again; else the broker's log says why"},
}

// is recognises any of some errors.
func is(these ...error) func(error) bool {
	return func(err error) bool {
		return slices.ContainsFunc(these, func(e error) bool { return errors.Is(err, e) })
	}
}

// isA recognises errors of a type.
func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func inLogin(these ...error) func(error) bool {
	return func(err error) bool { return errors.Is(err, errLogin) && is(these...)(err) }
}

func expired(err error) bool {
	e, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && e.Reason == x509.Expired
}

func inTLS(these ...error) func(error) bool {
	return func(err error) bool { return errors.Is(err, errTLS) && is(these...)(err) }
}

// afterVersions recognises what a listener does that wants a login first (kgo
// says so by a type).
func afterVersions(err error) bool {
	return is(errAfterVersions)(err) || isA[*kgo.ErrFirstReadEOF](err)
}

// notKafka recognises what answers in another protocol.
func notKafka(err error) bool { return isA[*addressError](err) && errors.Is(err, ErrProtocol) }

// inHandshake recognises connections that ended before they were of use.
func inHandshake(err error) bool {
	return isA[*addressError](err) && is(io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE)(err)
}

// refusedByTLS recognises alerts of the other side (crypto/tls wraps them so).
func refusedByTLS(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

func unknownName(err error) bool {
	name, ok := errors.AsType[*net.DNSError](err)
	return ok && name.IsNotFound
}

func noAnswer(err error) bool {
	if is(ErrTimeout, os.ErrDeadlineExceeded, context.DeadlineExceeded)(err) {
		return true
	}
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

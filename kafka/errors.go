package kafka

import (
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

var (
	// ErrNotSent says that no byte of the request was written: it may be
	// sent again.
	ErrNotSent = errors.New("request not sent")
	// ErrPerhapsSent says that the request was written, wholly or in part,
	// and that its answer will never be known.
	ErrPerhapsSent = errors.New("request perhaps sent")
	// ErrClosed says that this side closed the connection, client or pool.
	ErrClosed = errors.New("closed")
	// ErrProtocol says that the broker sent what the protocol forbids.
	ErrProtocol = errors.New("protocol violation")
	// ErrClusterIDMismatch says that another Kafka cluster answered than the
	// pinned one.
	ErrClusterIDMismatch = errors.New("cluster id differs from the pinned one")
	// ErrUnsupported says that the broker knows the request in no version
	// that we speak.
	ErrUnsupported = errors.New("request not supported by the broker")
	// ErrUnknownBroker says that the cluster's metadata names no such broker.
	ErrUnknownBroker = errors.New("unknown broker")
	// ErrTimeout says that a broker was silent for longer than it may be.
	ErrTimeout = errors.New("broker silent for too long")
)

// Where an error came from, for its cause.
var (
	errTLS           = errors.New("TLS handshake")
	errLogin         = errors.New("SASL login")
	errTLSWanted     = errors.New("the answer is one of TLS")
	errAfterVersions = errors.New("connection ended after the API versions")
	errSilent        = errors.New("it accepts connections and does not answer")
)

// addressError is the error of what was said with an address.
type addressError struct {
	addr string
	err  error
}

func (e *addressError) Error() string { return e.addr + ": " + e.err.Error() }
func (e *addressError) Unwrap() error { return e.err }

// unanswered are the errors of all addresses.
type unanswered []error

// Error names them in one line.
func (u unanswered) Error() string {
	texts := make([]string, len(u))
	for i, err := range u {
		texts[i] = err.Error()
	}
	return "no bootstrap address answers: " + strings.Join(texts, "; ")
}

// Unwrap gives what each address said.
func (u unanswered) Unwrap() []error { return u }

// Needs names the right on a topic that a refused call wants; other errors
// stay as they are.
func Needs(err error, right, topic string) error {
	if err == nil || !errors.Is(err, kerr.TopicAuthorizationFailed) {
		return err
	}
	return fmt.Errorf("%s on topic %s is needed: %w", right, topic, err)
}

// withMessage returns the *kerr.Error of code with the broker's words, nil for
// success.
func withMessage(code int16, message *string) error {
	if message == nil {
		return kerr.ErrorForCode(code)
	}
	return worded(kerr.ErrorForCode(code), *message)
}

// worded adds a broker's words, if any, to an error.
func worded(err error, message string) error {
	if err == nil || message == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, message)
}

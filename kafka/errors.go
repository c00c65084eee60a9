package kafka

import (
	"errors"
	"fmt"

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

package kafka

import "errors"

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

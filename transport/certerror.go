package transport

import (
	"errors"
	"fmt"
	"net"
	"reflect"
)

// CertificateError says that a connection did not come about because one side
// did not accept the other's certificate.
type CertificateError struct {
	Peer   string // the other side: host:port that was dialled, or the host that dialled
	Ours   bool   // it did not accept this node's
	Reason string // the end of a sentence that begins with the certificate
	err    error
}

func (e *CertificateError) Error() string {
	if e.Ours {
		return fmt.Sprintf("TLS: %s refuses this node's certificate: %s", e.Peer, e.Reason)
	}
	return fmt.Sprintf("TLS: the certificate of %s %s", e.Peer, e.Reason)
}

func (e *CertificateError) Unwrap() error { return e.err }

// Alerts of RFC 8446, 6.2, by which a peer refuses a certificate.
const (
	alertBad         = 42
	alertUnsupported = 43
	alertRevoked     = 44
	alertExpired     = 45
	alertUnknown     = 46
	alertUnknownCA   = 48
	alertRequired    = 116
)

// alertOf is the alert that the other side sent; 0: none. crypto/tls has no
// exported type for one, only its number.
func alertOf(err error) uint8 {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" || op.Err == nil {
		return 0
	}
	if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
		return uint8(v.Uint())
	}
	return 0
}

package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

// Explain says in few words why an address was not reached, for whoever reads
// a status; err is of Dial or of a call.
func Explain(address string, err error) string {
	var cert *CertificateError
	var remote *RemoteError
	var banned *BannedError
	var timeout net.Error
	switch {
	case errors.As(err, &remote):
		return fmt.Sprintf("%s answers: %s", address, remote.Message)
	case errors.As(err, &banned):
		return address + " answers: " + banned.Error()
	case errors.As(err, &cert):
		return cert.Error()
	case IsRefused(err):
		return address + " refuses connections: is `sluice server` running there?"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return address + " does not answer"
	}
	return fmt.Sprintf("%s: %v", address, err)
}

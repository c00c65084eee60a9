package cluster

import (
	"errors"

	"sluice/transport"
)

// ErrNameTaken: another node of the cluster has the name, and it is alive.
var ErrNameTaken = errors.New("another node has the name of this one")

// codeNameTaken is the code of a RemoteError that is ErrNameTaken.
const codeNameTaken = "name-taken"

// verdict is why the leader never takes this node in as it is; nil: it may.
// What it wraps is what the leader meant.
func verdict(err error) error {
	var remote *transport.RemoteError
	if errors.As(err, &remote) && remote.Code == codeNameTaken {
		return refusedFor{ErrNameTaken, remote.Message}
	}
	return nil
}

// refusedFor is a sentinel in another node's words.
type refusedFor struct {
	error
	text string
}

func (e refusedFor) Error() string { return e.text }
func (e refusedFor) Unwrap() error { return e.error }

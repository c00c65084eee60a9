package transport

import (
	"context"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// RaftLayer is the raft.StreamLayer of a node. Addresses may be "host:port" or
// Target's "serverID@host:port"; the latter is refused where another server
// answers, so that a wiped node never votes as its former self.
type RaftLayer struct{ *Listener }

// Raft opens the node to Raft. Closing the layer closes every Raft connection,
// in both directions; raft.NetworkTransport.Close alone leaves them open.
func (t *Transport) Raft() (*RaftLayer, error) {
	l, err := t.Listen(KindRaft)
	if err != nil {
		return nil, err
	}
	return &RaftLayer{l}, nil
}

// Dial implements raft.StreamLayer.
func (r *RaftLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	select {
	case <-r.done:
		return nil, ErrClosed
	default:
	}
	c, err := r.t.Dial(ctx, KindRaft, ParseTarget(string(address)))
	if err != nil {
		return nil, err
	}
	return c, nil
}

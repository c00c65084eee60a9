package transport

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Kind is the first byte of a connection: what the rest of it is. The values
// are no ASCII and no TLS record type, so that a stray client is recognised.
type Kind byte

// The streams of a node's port.
const (
	KindRaft    Kind = 0xB1 // hashicorp/raft's own protocol
	KindPackets Kind = 0xB2 // gossip datagrams, each with a length before it
	KindGossip  Kind = 0xB3 // gossip streams
	KindRPC     Kind = 0xB4 // HTTP/1.1 with JSON bodies
)

// kinds lists every Kind; index = kind - KindRaft.
var kindNames = [...]string{"raft", "packets", "gossip", "rpc"}

func (k Kind) valid() bool { return k >= KindRaft && int(k-KindRaft) < len(kindNames) }

func (k Kind) String() string {
	if !k.valid() {
		return fmt.Sprintf("0x%02x", byte(k))
	}
	return kindNames[k-KindRaft]
}

// ProtocolVersion is the version of the handshake and of what rides on it.
// Nodes of different versions refuse each other.
const ProtocolVersion = 1

// maxHello bounds a hello in bytes.
const maxHello = 4096

// Identity is what a node says of itself at the start of each connection.
type Identity struct {
	ServerID  string `json:"serverId"`            // random, lives and dies with the data dir
	Name      string `json:"name"`                // the operator's name for the node
	ClusterID string `json:"clusterId,omitempty"` // empty before the node belongs to a cluster
	Advertise string `json:"advertise"`           // host:port where the node is reached
}

// hello is the frame that both sides send. To is the ServerID that the dialler
// expects; empty means whoever is there.
type hello struct {
	Version int `json:"version"`
	Identity
	To      string `json:"to,omitempty"`
	Refused string `json:"refused,omitempty"` // reply only: why not, a code of refusals
	Detail  string `json:"detail,omitempty"`  // reply only: the same for a person
	Alive   string `json:"alive,omitempty"`   // reply only: where the dialler's identity is alive, if that is why not
}

// Errors of a connection's start. Those of a refused handshake are returned to
// the dialler and logged by the acceptor.
var (
	ErrClosed          = errors.New("transport is closed")
	ErrInsecure        = errors.New("plaintext between nodes is allowed on loopback only")
	ErrClusterMismatch = errors.New("node belongs to another Sluice cluster")
	ErrVersionMismatch = errors.New("node speaks another protocol version")
	ErrWrongServer     = errors.New("another node lives at this address now")
	ErrNotReady        = errors.New("node does not serve this yet")
	ErrStranger        = errors.New("node is no member of this Sluice cluster, as far as is known here")
	ErrBadHandshake    = errors.New("bad handshake")
)

// codeCertificate is of a handshake that did not get as far as a hello.
const codeCertificate = "certificate"

// refusals maps the code on the wire to the dialler's error.
func refusal(code string) error {
	switch code {
	case "cluster-mismatch":
		return ErrClusterMismatch
	case "version-mismatch":
		return ErrVersionMismatch
	case "wrong-server":
		return ErrWrongServer
	case "not-ready":
		return ErrNotReady
	case "stranger":
		return ErrStranger
	}
	return ErrBadHandshake
}

// refusalCode is the inverse of refusal, for the wire and for counting.
func refusalCode(err error) string {
	if _, ok := errors.AsType[*CertificateError](err); ok {
		return codeCertificate
	}
	if _, ok := errors.AsType[*TwinError](err); ok {
		return codeTwin
	}
	if _, ok := errors.AsType[*BannedError](err); ok {
		return codeBanned
	}
	switch {
	case errors.Is(err, ErrClusterMismatch):
		return "cluster-mismatch"
	case errors.Is(err, ErrVersionMismatch):
		return "version-mismatch"
	case errors.Is(err, ErrWrongServer):
		return "wrong-server"
	case errors.Is(err, ErrNotReady):
		return "not-ready"
	case errors.Is(err, ErrStranger):
		return "stranger"
	}
	return "bad-handshake"
}

// judge decides whether self goes on with a peer that sent theirs on a
// connection of this kind. An empty cluster id fits every other one, except
// for Raft: a node without a cluster has no log to append to.
func judge(kind Kind, self Identity, theirs hello) error {
	switch {
	case theirs.Version != ProtocolVersion:
		return fmt.Errorf("%w: here %d, there %d", ErrVersionMismatch, ProtocolVersion, theirs.Version)
	case theirs.ServerID == "" || theirs.Advertise == "":
		return fmt.Errorf("%w: hello without server id or address", ErrBadHandshake)
	case theirs.To != "" && theirs.To != self.ServerID:
		return fmt.Errorf("%w: node %s (server id %s, not %s)", ErrWrongServer, self.Name, self.ServerID, theirs.To)
	case theirs.ClusterID == self.ClusterID:
		return nil
	case kind == KindRaft || (theirs.ClusterID != "" && self.ClusterID != ""):
		return fmt.Errorf("%w: here %q, there %q (%s at %s)",
			ErrClusterMismatch, self.ClusterID, theirs.ClusterID, theirs.Name, theirs.Advertise)
	}
	return nil
}

// writeHello sends the frame: two bytes of length, JSON. The kind, when not 0,
// goes before it in the same write.
func writeHello(w io.Writer, kind Kind, h hello) error {
	body, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encoding hello: %w", err)
	}
	if len(body) > maxHello {
		return fmt.Errorf("%w: hello of %d bytes", ErrBadHandshake, len(body))
	}
	frame := make([]byte, 0, len(body)+3)
	if kind != 0 {
		frame = append(frame, byte(kind))
	}
	frame = binary.BigEndian.AppendUint16(frame, uint16(len(body)))
	_, err = w.Write(append(frame, body...))
	return err
}

// readHello reads what writeHello wrote, without the kind.
func readHello(r io.Reader) (hello, error) {
	var h hello
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return h, err
	}
	n := binary.BigEndian.Uint16(size[:])
	if n > maxHello {
		return h, fmt.Errorf("%w: hello of %d bytes", ErrBadHandshake, n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return h, err
	}
	if err := json.Unmarshal(body, &h); err != nil {
		return h, fmt.Errorf("%w: %w", ErrBadHandshake, err)
	}
	return h, nil
}

// explainFirstByte says what a stranger probably is.
func explainFirstByte(b byte, insecure bool) string {
	switch {
	case b == 0x16 && insecure:
		return "a TLS client; this node runs with --insecure"
	case b == 'G' || b == 'P' || b == 'H' || b == 'O' || b == 'D':
		return "an HTTP client; this is the peer port, not the HTTP port"
	case b == 0:
		return "perhaps a Kafka client; this is Sluice's peer port"
	}
	return "no Sluice node"
}

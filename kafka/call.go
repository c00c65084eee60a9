package kafka

import (
	"encoding/binary"
	"net"
	"sync/atomic"
	"time"
)

// call is one request from being queued to being answered. Calls are reused,
// with the capacity of their slices.
type call struct {
	key, version int16
	corr         int32
	head         []byte        // the request but for its batches, size first
	cuts         []int         // positions in head; batches[i] goes before cuts[i]
	batches      [][]byte      // the caller's
	wait         time.Duration // that the broker may take by the request itself
	beforeWrite  func() error
	claimed      atomic.Bool // by the writer, or by a Request that gave up
	written      bool        // guarded by Conn.mu
	sent         time.Time   // when writing began

	partitions []partitionKey // of a produce request
	onFetch    func(FetchResponse, error)
	budget     Budget // of a fetch answer; nil: none
	onProduce  func(ProduceResponse, error)
	onBody     func([]byte, error)
}

// partitionKey finds a partition of a produce request in its response.
type partitionKey struct {
	id        [16]byte
	topic     string
	partition int32
}

// maxKeptHead bounds what a reused call keeps, in bytes.
const maxKeptHead = 256 << 10

// reset makes the call ready for its next use.
func (cl *call) reset() {
	clear(cl.batches)
	clear(cl.partitions)
	if cap(cl.head) > maxKeptHead {
		*cl = call{}
		return
	}
	*cl = call{head: cl.head[:0], cuts: cl.cuts[:0], batches: cl.batches[:0], partitions: cl.partitions[:0]}
}

// claim reports whether the caller is the first to claim the call: either the
// writer takes it, or a Request gives it up.
func (cl *call) claim() bool { return cl.claimed.CompareAndSwap(false, true) }

// begin starts the request's bytes.
func (cl *call) begin(key, version int16, clientID string) {
	cl.key, cl.version = key, version
	cl.head = appendRequestHeader(cl.head, key, version, clientID)
}

// addBatch puts a batch behind what head holds so far.
func (cl *call) addBatch(b []byte) {
	cl.cuts = append(cl.cuts, len(cl.head))
	cl.batches = append(cl.batches, b)
}

// size returns the request's size on the wire in bytes, its size field
// included.
func (cl *call) size() int {
	n := len(cl.head)
	for _, b := range cl.batches {
		n += len(b)
	}
	return n
}

// finish writes the size field.
func (cl *call) finish() { binary.BigEndian.PutUint32(cl.head, uint32(cl.size()-4)) }

// setCorrelation writes the correlation id.
func (cl *call) setCorrelation(id int32) {
	cl.corr = id
	binary.BigEndian.PutUint32(cl.head[8:], uint32(id))
}

// pieces appends the request's bytes in order, without copying them.
func (cl *call) pieces(dst [][]byte) [][]byte {
	at := 0
	for i, cut := range cl.cuts {
		dst = append(dst, cl.head[at:cut], cl.batches[i])
		at = cut
	}
	if at < len(cl.head) {
		dst = append(dst, cl.head[at:])
	}
	return dst
}

// fail runs the callback with an error.
func (cl *call) fail(err error) {
	switch {
	case cl.onFetch != nil:
		cl.onFetch(FetchResponse{}, err)
	case cl.onProduce != nil:
		cl.onProduce(ProduceResponse{}, err)
	default:
		cl.onBody(nil, err)
	}
}

// find returns the index of a partition in the request, looking at guess
// first; -1: not there.
func (cl *call) find(key *partitionKey, name []byte, guess int) int {
	n := len(cl.partitions)
	for i := range n {
		at := (guess + i) % n
		p := &cl.partitions[at]
		if p.partition != key.partition {
			continue
		}
		if cl.version >= idProduceVersion && p.id == key.id ||
			cl.version < idProduceVersion && p.topic == string(name) {
			return at
		}
	}
	return -1
}

// fifo is a queue of calls that keeps its memory.
type fifo struct {
	calls []*call
	first int
}

func (f *fifo) len() int { return len(f.calls) - f.first }

func (f *fifo) push(cl *call) {
	if f.first > 0 && len(f.calls) == cap(f.calls) {
		n := copy(f.calls, f.calls[f.first:])
		clear(f.calls[n:])
		f.calls, f.first = f.calls[:n], 0
	}
	f.calls = append(f.calls, cl)
}

// peek returns the oldest call, nil when there is none.
func (f *fifo) peek() *call {
	if f.len() == 0 {
		return nil
	}
	return f.calls[f.first]
}

// pop removes and returns the oldest call, nil when there is none.
func (f *fifo) pop() *call {
	cl := f.peek()
	if cl == nil {
		return nil
	}
	f.calls[f.first] = nil
	f.first++
	if f.first == len(f.calls) {
		f.calls, f.first = f.calls[:0], 0
	}
	return cl
}

// vectorWriter writes calls to a socket: a TCP socket takes the pieces as
// they are (writev); any other, TLS above all, gets them in one piece, for
// each Write may cost a record and a system call there.
type vectorWriter struct {
	nc    net.Conn
	tcp   bool
	parts [][]byte
	vec   net.Buffers
	flat  []byte
}

func newVectorWriter(nc net.Conn) vectorWriter {
	_, tcp := nc.(*net.TCPConn)
	return vectorWriter{nc: nc, tcp: tcp}
}

func (w *vectorWriter) write(cl *call) error {
	w.parts = cl.pieces(w.parts[:0])
	if w.tcp {
		w.vec = w.parts // WriteTo consumes vec and clears what parts points to
		_, err := w.vec.WriteTo(w.nc)
		return err
	}
	w.flat = w.flat[:0]
	for _, p := range w.parts {
		w.flat = append(w.flat, p...)
	}
	clear(w.parts)
	_, err := w.nc.Write(w.flat)
	if cap(w.flat) > maxKeptFlat {
		w.flat = nil
	}
	return err
}

// maxKeptFlat bounds what a vectorWriter keeps, in bytes: a little more than
// a produce request of the usual size.
const maxKeptFlat = 1 << 20

package faults

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// fakeBroker answers every request with its correlation id and a body of size bytes, in order, and
// hands out what it got.
type fakeBroker struct {
	addr string
	size int
	got  chan string // client id and rest of each request
}

func startBroker(t testing.TB, size int) *fakeBroker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &fakeBroker{addr: l.Addr().String(), size: size, got: make(chan string, 1000)}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { b.serve(c) })
		}
	})
	return b
}

func (b *fakeBroker) serve(c net.Conn) {
	defer c.Close()
	var pool framePool
	for {
		f, err := pool.readFrame(c)
		if err != nil {
			return
		}
		req, _ := parseRequest(f.body())
		select {
		case b.got <- string(f.body()[10:min(10+64, len(f.body()))]):
		default: // a benchmark does not look
		}
		out := make([]byte, 8+b.size)
		binary.BigEndian.PutUint32(out, uint32(4+b.size))
		binary.BigEndian.PutUint32(out[4:], uint32(req.CorrelationID))
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// wants waits for the next requests and compares them.
func (b *fakeBroker) wants(t testing.TB, want ...string) {
	t.Helper()
	ctx := testContext(t)
	for _, w := range want {
		select {
		case got := <-b.got:
			if got != w {
				t.Fatalf("broker got %q, want %q", got, w)
			}
		case <-ctx.Done():
			t.Fatalf("broker did not get %q", w)
		}
	}
}

// request encodes a request with a v1 header.
func request(api int16, correlation int32, client, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(10+len(client)+len(body)))
	b = binary.BigEndian.AppendUint16(b, uint16(api))
	b = binary.BigEndian.AppendUint16(b, 3)
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	b = binary.BigEndian.AppendUint16(b, uint16(len(client)))
	return append(append(b, client...), body...)
}

// rig is a proxy in front of a fake broker and one connection through it.
type rig struct {
	*KafkaProxy
	t      testing.TB
	broker *fakeBroker
	addr   string
	conn   net.Conn
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{KafkaProxy: NewKafkaProxy(), t: t, broker: startBroker(t, 4)}
	t.Cleanup(func() {
		if err := r.Err(); err != nil {
			t.Error(err)
		}
		r.Close()
	})
	r.addr = r.Via(0, r.broker.addr)
	r.conn = dial(t, r.addr, "")
	return r
}

// produce sends pipelined produce requests numbered first to last, all naming the topic "t".
func (r *rig) produce(first, last int) {
	r.t.Helper()
	for i := first; i <= last; i++ {
		if _, err := r.conn.Write(request(Produce, int32(i), "n1", fmt.Sprintf("t%d", i))); err != nil {
			r.t.Fatal(err)
		}
	}
}

// answered reads the answers to requests first to last.
func (r *rig) answered(first, last int) {
	r.t.Helper()
	for i := first; i <= last; i++ {
		var head [12]byte
		if _, err := io.ReadFull(r.conn, head[:]); err != nil {
			r.t.Fatalf("answer %d: %v", i, err)
		}
		if got := correlationID(head[4:]); got != int32(i) {
			r.t.Fatalf("answer to %d, want %d", got, i)
		}
	}
}

// reached waits until the broker has got exactly n requests and reports whether it stays so.
func (r *rig) reached(n int) {
	r.t.Helper()
	err := r.Wait(testContext(r.t), func() bool { return r.Counts(Produce).Requests >= n })
	if err != nil {
		r.t.Fatal(err)
	}
	if got := r.Counts(Produce).Requests; got != n {
		r.t.Fatalf("%d requests delivered, want %d", got, n)
	}
}

package faults

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/test/scratch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(scratch.In(m)) }

// echoServer sends back what it reads and ends when its peer does.
func echoServer(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func openWire(t testing.TB, target string) *Wire {
	t.Helper()
	w, err := OpenWire(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func dial(t testing.TB, addr, from string) net.Conn {
	t.Helper()
	d := net.Dialer{}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

func send(t testing.TB, c net.Conn, s string) {
	t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		t.Fatalf("sending %q: %v", s, err)
	}
}

func receive(t testing.TB, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("received %q, %v; want %q", got, err, want)
	}
}

// silent fails when anything arrives within a short while.
func silent(t testing.TB, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	n, err := c.Read(make([]byte, 1))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("not silent: %d bytes, %v", n, err)
	}
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
}

func wantReset(t testing.TB, c net.Conn) {
	t.Helper()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("read: %v, want a reset", err)
	}
}

// wantRefused dials and wants a reset, in the handshake or just after.
func wantRefused(t testing.TB, addr, from string) {
	t.Helper()
	d := net.Dialer{}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err := d.Dial("tcp", addr)
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(30 * time.Second))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("dialling: %v, want a reset", err)
	}
}

func TestWireIsTransparent(t *testing.T) {
	w := openWire(t, echoServer(t))
	c := dial(t, w.Addr(), "")
	sent := make([]byte, 5<<20)
	for i := range sent {
		sent[i] = byte(rand.Uint32())
	}
	go func() {
		c.Write(sent)
		c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes came back of %d, %v", len(got), len(sent), err)
	}
	if n := w.There().Passed(); n != int64(len(sent)) {
		t.Errorf("passed %d", n)
	}
}

func TestWireCut(t *testing.T) {
	for name, tc := range map[string]struct {
		cut  func(*Wire)
		heal Heal
	}{
		"there, delivered": {func(w *Wire) { w.There().Hold() }, Deliver},
		"back, delivered":  {func(w *Wire) { w.Back().Hold() }, Deliver},
		"both, delivered":  {(*Wire).Cut, Deliver},
		"there, reset":     {func(w *Wire) { w.There().Hold() }, Reset},
		"back, reset":      {func(w *Wire) { w.Back().Hold() }, Reset},
		"both, reset":      {(*Wire).Cut, Reset},
	} {
		t.Run(name, func(t *testing.T) {
			w := openWire(t, echoServer(t))
			c := dial(t, w.Addr(), "")
			send(t, c, "before")
			receive(t, c, "before")
			tc.cut(w)
			send(t, c, "while")
			silent(t, c)
			w.Heal(tc.heal)
			if tc.heal == Reset {
				wantReset(t, c)
				c = dial(t, w.Addr(), "")
			} else {
				receive(t, c, "while")
			}
			send(t, c, "after")
			receive(t, c, "after")
		})
	}
}

func TestWireOneWayCutLetsTheOtherWayPass(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := openWire(t, l.Addr().String())
	c := dial(t, w.Addr(), "")
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w.There().Hold()
	send(t, c, "x")
	c.Close() // an end does not cross a cut either
	silent(t, s)
	send(t, s, "y")
	w.Heal(Deliver)
	receive(t, s, "x")
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("the end did not arrive after the healing")
	}
}

func TestWireDelayAndRate(t *testing.T) {
	w := openWire(t, echoServer(t))
	c := dial(t, w.Addr(), "")
	send(t, c, "x")
	receive(t, c, "x")
	const delay = 40 * time.Millisecond
	w.SetDelay(delay)
	start := time.Now()
	for range 10 { // in flight together: one round trip in all
		send(t, c, "0123456789")
	}
	receive(t, c, strings.Repeat("0123456789", 10))
	if took := time.Since(start); took < 2*delay {
		t.Errorf("round trip %v, want at least %v", took, 2*delay)
	}
	w.SetDelay(0)
	w.There().SetRate(1 << 20)
	start = time.Now()
	go c.Write(make([]byte, 256<<10))
	receive(t, c, string(make([]byte, 256<<10)))
	// The first chunk passes at once, the others wait for it to have left.
	if took := time.Since(start); took < 150*time.Millisecond {
		t.Errorf("256 KiB at 1 MiB/s took %v", took)
	}
}

func TestWireRefuse(t *testing.T) {
	w := openWire(t, echoServer(t))
	c := dial(t, w.Addr(), "")
	send(t, c, "x")
	receive(t, c, "x")
	w.Refuse()
	wantReset(t, c)
	wantRefused(t, w.Addr(), "")
	w.Heal(Deliver)
	c = dial(t, w.Addr(), "")
	send(t, c, "x")
	receive(t, c, "x")
}

func TestWireToNobodyResets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	wantRefused(t, openWire(t, l.Addr().String()).Addr(), "")
}

func TestMesh(t *testing.T) {
	m := NewMesh()
	defer m.Close()
	addr := map[string]string{}
	ip := map[string]string{"a": "127.0.0.2", "b": "127.0.0.3", "c": "127.0.0.4"}
	for node, from := range ip {
		var err error
		if addr[node], err = m.Add(node, from, echoServer(t)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Add("a", "", "x"); err == nil {
		t.Error("added twice")
	}
	conns := map[string]net.Conn{}
	for _, pair := range []string{"ab", "ba", "ac", "ca", "bc", "cb"} {
		conns[pair] = dial(t, addr[pair[1:]], ip[pair[:1]])
	}
	check := func(when string, silentPairs ...string) {
		t.Helper()
		for _, c := range conns {
			send(t, c, when)
		}
		for pair, c := range conns {
			if slices.Contains(silentPairs, pair) {
				silent(t, c)
			} else {
				receive(t, c, when)
			}
		}
	}
	drain := func(s string, pairs ...string) {
		t.Helper()
		for _, p := range pairs {
			receive(t, conns[p], s)
		}
	}
	check("whole")
	m.CutOneWay("a", "b") // an echo needs both ways, whoever dialled
	check("one way", "ab", "ba")
	m.Heal("a", "b", Deliver)
	drain("one way", "ab", "ba")
	m.Isolate("c")
	check("isolated", "ac", "ca", "bc", "cb")
	m.HealAll("c", Deliver)
	drain("isolated", "ac", "ca", "bc", "cb")
	m.Cut("a", "b")
	for _, pair := range [][2]string{{"a", "b"}, {"b", "a"}} { // an echo cannot tell which way is cut
		if !m.Flow(pair[0], pair[1]).isHeld() {
			t.Errorf("cut, and %s to %s is open", pair[0], pair[1])
		}
	}
	m.Heal("a", "b", Deliver)
	m.Refuse("a", "b")
	wantReset(t, conns["ab"])
	wantReset(t, conns["ba"])
	wantRefused(t, addr["b"], ip["a"])
	m.Heal("a", "b", Deliver)
	conns["ab"], conns["ba"] = dial(t, addr["b"], ip["a"]), dial(t, addr["a"], ip["b"])
	m.SetDelay("a", "b", time.Millisecond)
	check("healed")
}

func (f *Flow) isHeld() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held
}

// testContext ends with the test or after a time that no healthy run needs.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

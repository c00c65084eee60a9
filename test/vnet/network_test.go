package vnet

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// connect returns both ends of a connection from host 1 to host 2.
func connect(t *testing.T, n *Network) (near, far net.Conn, ln net.Listener) {
	t.Helper()
	ln, err := n.Host("127.0.0.2").Listen(t.Context(), "tcp", "127.0.0.2:7000")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			accepted <- c
		}
	}()
	near, err = n.Host("127.0.0.1").Dial(t.Context(), "tcp", "127.0.0.2:7000")
	if err != nil {
		t.Fatal(err)
	}
	return near, <-accepted, ln
}

func read(t *testing.T, c net.Conn, want string) {
	t.Helper()
	buf := make([]byte, len(want))
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != want {
		t.Fatalf("read %q, %v; want %q", buf, err, want)
	}
}

func TestDelayAndRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		n.Delay("127.0.0.1", "127.0.0.2", 40*time.Millisecond)
		n.Delay("127.0.0.2", "127.0.0.1", 60*time.Millisecond)
		start := time.Now()
		near, far, ln := connect(t, n)
		if d := time.Since(start); d != 100*time.Millisecond {
			t.Fatalf("dial took %v", d)
		}
		start = time.Now()
		_, _ = near.Write([]byte("ab"))
		_, _ = near.Write([]byte("cd"))
		read(t, far, "abcd")
		if d := time.Since(start); d != 40*time.Millisecond {
			t.Fatalf("bytes took %v", d)
		}
		near.Close()
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatalf("after close: %v", err)
		}
		if _, err := far.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Fatalf("write after close: %v", err)
		}
		far.Close()
		ln.Close()
		if n.Open() != 0 {
			t.Fatalf("%d connections left", n.Open())
		}
	})
}

func TestOneWayCutHoldsAndDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		near, far, ln := connect(t, n)
		defer ln.Close()
		n.Cut("127.0.0.1", "127.0.0.2")
		_, _ = near.Write([]byte("held"))
		_, _ = far.Write([]byte("passes"))
		read(t, near, "passes")
		_ = far.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read over a cut wire: %v", err)
		}
		_ = far.SetReadDeadline(time.Time{})
		go func() {
			time.Sleep(time.Minute)
			n.Heal("127.0.0.1", "127.0.0.2")
		}()
		read(t, far, "held")
		n.CutBoth("127.0.0.1", "127.0.0.2")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Host("127.0.0.1").Dial(ctx, "tcp", "127.0.0.2:7000"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("dial over a cut wire: %v", err)
		}
		n.HealBoth("127.0.0.1", "127.0.0.2")
		n.Reset("127.0.0.1", "127.0.0.2")
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("after reset: %v", err)
		}
	})
}

func TestKillRefusesAndResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		near, _, _ := connect(t, n)
		n.Kill("127.0.0.2")
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("read: %v", err)
		}
		if _, err := n.Host("127.0.0.1").Dial(t.Context(), "tcp", "127.0.0.2:7000"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("dial: %v", err)
		}
	})
}

func TestKilledProcessIsMute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		h := n.Host("127.0.0.1")
		ln, err := n.Host("127.0.0.2").Listen(t.Context(), "tcp", "127.0.0.2:7000")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		h.Kill()
		if _, err := h.Dial(t.Context(), "tcp", "127.0.0.2:7000"); !errors.Is(err, syscall.ENETDOWN) {
			t.Errorf("dial: %v", err)
		}
		if _, err := h.Listen(t.Context(), "tcp", "127.0.0.1:7000"); !errors.Is(err, syscall.ENETDOWN) {
			t.Errorf("listen: %v", err)
		}
	})
}

func TestKillBehindCutIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		near, _, _ := connect(t, n)
		n.CutBoth("127.0.0.1", "127.0.0.2")
		n.Kill("127.0.0.2")
		_ = near.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read: %v", err)
		}
	})
}

func TestFullWindowBlocksWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		near, far, ln := connect(t, n)
		defer ln.Close()
		_ = near.SetWriteDeadline(time.Now().Add(time.Second))
		wrote, err := near.Write(make([]byte, 2*window))
		if wrote != window || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("wrote %d, %v", wrote, err)
		}
		_ = near.SetWriteDeadline(time.Time{})
		done := make(chan error, 1)
		go func() { _, err := near.Write([]byte("tail")); done <- err }()
		read(t, far, string(make([]byte, window)))
		read(t, far, "tail")
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

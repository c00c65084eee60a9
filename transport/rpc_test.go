package transport

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"sluice/test/vnet"
)

type ask struct {
	N int `json:"n"`
}

// rpcPair starts a caller and a server with mux; stop ends both.
func rpcPair(t *testing.T, n *vnet.Network, mux http.Handler) (client *Client, server *node, stop func()) {
	t.Helper()
	a, b := startNode(t, n, "127.0.0.1", "a", "c"), startNode(t, n, "127.0.0.2", "b", "c")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.ServeRPC(ctx, mux) }()
	synctest.Wait()
	client = a.Client()
	return client, b, func() {
		client.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
		a.stop()
		b.stop()
		if n.Open() != 0 {
			t.Errorf("%d connections left open", n.Open())
		}
	}
}

var toB = Target{Address: "127.0.0.2:7400", ServerID: "b"}

func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := http.NewServeMux()
		mux.HandleFunc("POST /double", Handle(func(ctx context.Context, in ask) (ask, error) {
			if peer, ok := PeerFrom(ctx); !ok || peer.ServerID != "a" {
				t.Errorf("peer %+v", peer)
			}
			return ask{2 * in.N}, nil
		}))
		mux.HandleFunc("POST /fail", Handle(func(context.Context, ask) (ask, error) {
			return ask{}, &RemoteError{Status: 409, Code: "not-leader", Message: "ask c"}
		}))
		mux.HandleFunc("POST /plain", Handle(func(context.Context, ask) (ask, error) {
			return ask{}, errors.New("disk is full")
		}))
		client, server, stop := rpcPair(t, vnet.New(), mux)
		var out ask
		for range 3 {
			if err := client.Call(t.Context(), toB, "/double", ask{21}, &out); err != nil || out.N != 42 {
				t.Fatalf("%+v, %v", out, err)
			}
		}
		if got := server.stats.accepted(KindRPC).Load(); got != 1 {
			t.Errorf("three calls took %d connections", got)
		}
		var remote *RemoteError
		err := client.Call(t.Context(), toB, "/fail", ask{}, nil)
		if !errors.As(err, &remote) || remote.Code != "not-leader" || remote.Status != 409 || errors.Is(err, ErrNotSent) {
			t.Errorf("fail: %v", err)
		}
		err = client.Call(t.Context(), toB, "/plain", ask{}, nil)
		if !errors.As(err, &remote) || remote.Code != "error" || remote.Message != "disk is full" {
			t.Errorf("plain: %v", err)
		}
		if err = client.Call(t.Context(), toB, "/nowhere", ask{}, nil); !errors.As(err, &remote) || remote.Status != 404 {
			t.Errorf("nowhere: %v", err)
		}
		stop()
	})
}

func TestCallTellsNotSentFromAmbiguous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := vnet.New()
		mux := http.NewServeMux()
		mux.HandleFunc("POST /hang", Handle(func(ctx context.Context, _ ask) (ask, error) {
			<-ctx.Done()
			return ask{}, ctx.Err()
		}))
		client, _, stop := rpcPair(t, n, mux)
		if err := client.Call(t.Context(), Target{Address: toB.Address, ServerID: "old"}, "/hang", ask{}, nil); !errors.Is(err, ErrWrongServer) || !errors.Is(err, ErrNotSent) {
			t.Errorf("former server: %v", err)
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		err := client.Call(ctx, toB, "/hang", ask{}, nil)
		if err == nil || errors.Is(err, ErrNotSent) || time.Since(began) > 3*time.Second {
			t.Errorf("hanging call: %v after %v", err, time.Since(began))
		}
		go func() {
			time.Sleep(time.Second)
			n.Kill("127.0.0.2")
		}()
		if err := client.Call(t.Context(), toB, "/hang", ask{}, nil); err == nil || errors.Is(err, ErrNotSent) {
			t.Errorf("killed under a call: %v", err)
		}
		if err := client.Call(t.Context(), toB, "/hang", ask{}, nil); !errors.Is(err, ErrNotSent) || !IsRefused(err) {
			t.Errorf("dead process: %v", err)
		}
		stop()
	})
}

// TestHandlerEndsAtCallersDeadline: over a cut wire the server never learns
// that the caller has gone, but it was told the deadline.
func TestHandlerEndsAtCallersDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := vnet.New()
		ended := make(chan time.Time, 1)
		mux := http.NewServeMux()
		mux.HandleFunc("POST /hang", Handle(func(ctx context.Context, _ ask) (ask, error) {
			<-ctx.Done()
			ended <- time.Now()
			return ask{}, ctx.Err()
		}))
		client, _, stop := rpcPair(t, n, mux)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		go func() {
			time.Sleep(time.Second)
			n.CutBoth("127.0.0.1", "127.0.0.2")
		}()
		_ = client.Call(ctx, toB, "/hang", ask{}, nil)
		if d := (<-ended).Sub(began); d > 2*time.Second {
			t.Errorf("handler ran for %v", d)
		}
		stop()
	})
}

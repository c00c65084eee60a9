package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Limits of RPC. Bodies are JSON.
const (
	maxBody        = 8 << 20
	rpcIdleClient  = 60 * time.Second // less than the server's: the side that calls closes
	rpcIdleServer  = 90 * time.Second
	maxClientConns = 16 // of one client to one node; further calls wait
	timeoutHeader  = "Sluice-Timeout-Ms"
)

// RemoteError is an error that the other node answered. Code is a word for
// programs, Message for persons.
type RemoteError struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *RemoteError) Error() string { return e.Code + ": " + e.Message }

// ErrNotSent marks a call whose request surely never reached the other node's
// handler. Any other failure of a call is ambiguous.
var ErrNotSent = errors.New("request was not sent")

type peerKey struct{}

// PeerFrom returns who sent the request that ServeRPC is handling.
func PeerFrom(ctx context.Context) (Peer, bool) {
	p, ok := ctx.Value(peerKey{}).(Peer)
	return p, ok
}

// ServeRPC serves handler to other nodes until ctx ends; open requests are
// cut. Each request's context ends at the caller's deadline at the latest.
func (t *Transport) ServeRPC(ctx context.Context, handler http.Handler) error {
	l, err := t.Listen(KindRPC)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           withDeadline(handler),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       rpcIdleServer,
		ErrorLog:          slog.NewLogLogger(t.log.Handler(), slog.LevelWarn),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, c.(*Conn).Peer())
		},
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); ctx.Err() == nil {
		return fmt.Errorf("serving RPC: %w", err)
	}
	return nil
}

// withDeadline ends a request's context when its caller stops waiting.
func withDeadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if ms, err := strconv.ParseInt(r.Header.Get(timeoutHeader), 10, 64); err == nil {
			ctx, cancel := context.WithTimeout(r.Context(), time.Duration(ms)*time.Millisecond)
			defer cancel()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// Client calls other nodes' RPC. Close it when done.
type Client struct{ http *http.Client }

// Client returns a client with its own pool of at most 16 connections to each
// node; calls beyond that wait for one. Calls are to
// Targets; a call to a ServerID fails where another server answers.
func (t *Transport) Client() *Client {
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			to, ok := ctx.Value(targetKey{}).(Target)
			if !ok {
				to = Target{Address: address}
			}
			c, err := t.Dial(ctx, KindRPC, to)
			if err != nil {
				return nil, &dialError{err}
			}
			return c, nil
		},
		DisableCompression:  true,
		MaxConnsPerHost:     maxClientConns,
		MaxIdleConnsPerHost: maxClientConns,
		IdleConnTimeout:     rpcIdleClient,
	}}}
}

// dialError tells a failed dial from a failed request.
type dialError struct{ error }

func (e *dialError) Unwrap() []error { return []error{e.error, ErrNotSent} }

type targetKey struct{}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Call posts in as JSON to path ("/x") of a node and decodes the answer into
// out (nil: ignored). The error is a *RemoteError when the node answered with
// one, wraps ErrNotSent when the request did not leave, and is ambiguous
// otherwise.
func (c *Client) Call(ctx context.Context, to Target, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encoding call %s: %w", path, err)
	}
	// The pool is keyed by host: with the ServerID as key, a connection to the
	// former server of an address is never used for its heir.
	host := to.Address
	if to.ServerID != "" {
		host = to.ServerID
	}
	ctx = context.WithValue(ctx, targetKey{}, to)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+host+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("building call %s: %w", path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if deadline, ok := ctx.Deadline(); ok {
		req.Header.Set(timeoutHeader, strconv.FormatInt(time.Until(deadline).Milliseconds(), 10))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("calling %s of %s: %w", path, to, unwrapURL(err))
	}
	defer resp.Body.Close()
	if err := decodeAnswer(resp, out); err != nil {
		return fmt.Errorf("calling %s of %s: %w", path, to, err)
	}
	return nil
}

func decodeAnswer(resp *http.Response, out any) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		remote := &RemoteError{Status: resp.StatusCode}
		if json.Unmarshal(data, remote) != nil || remote.Code == "" {
			remote.Code, remote.Message = "http", resp.Status
		}
		return remote
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

// unwrapURL drops net/http's "Post \"http://...\":" around an error.
func unwrapURL(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// Handle serves one call: it decodes the body, calls fn and encodes its
// result. An error that is a *RemoteError, perhaps of a node behind this one,
// keeps its code, status and message; any other
// one is answered as code "error", status 500.
func Handle[In, Out any](fn func(ctx context.Context, in In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			answer(w, http.StatusBadRequest, &RemoteError{Code: "bad-request", Message: err.Error()})
			return
		}
		out, err := fn(r.Context(), in)
		if err == nil {
			answer(w, http.StatusOK, out)
			return
		}
		remote := &RemoteError{Status: http.StatusInternalServerError, Code: "error", Message: err.Error()}
		if typed, ok := errors.AsType[*RemoteError](err); ok {
			remote.Code, remote.Message = typed.Code, typed.Message
			if typed.Status != 0 {
				remote.Status = typed.Status
			}
		}
		answer(w, remote.Status, remote)
	}
}

// Refuse answers a call with an error, unread.
func Refuse(w http.ResponseWriter, e *RemoteError) { answer(w, e.Status, e) }

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

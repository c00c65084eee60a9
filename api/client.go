package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"sluice/fsm"
)

// ClientConfig says how to reach the API.
type ClientConfig struct {
	// Addresses are tried in turn until one can be reached: http://host:port,
	// https://host:port or host:port.
	Addresses  []string
	TokenFile  string        // bearer token; empty: none
	CAFile     string        // PEM that the server's certificate is checked with; empty: the system's roots
	Timeout    time.Duration // for one request; 0: the context alone counts
	Consistent bool          // ask the leader before every read
	MinIndex   uint64        // wait for that index before every read
	// Transport carries the requests; nil: one of net/http's, with the CA file.
	Transport http.RoundTripper
}

// Client speaks to a Sluice node. It is safe for concurrent use.
type Client struct {
	cfg   ClientConfig
	urls  []string
	token string
	http  *http.Client
}

// NewClient checks the configuration; it connects to nothing.
func NewClient(cfg ClientConfig) (*Client, error) {
	c := &Client{cfg: cfg, http: &http.Client{Timeout: cfg.Timeout, Transport: cfg.Transport}}
	for _, a := range cfg.Addresses {
		u, err := readAddress(a)
		if err != nil {
			return nil, err
		}
		c.urls = append(c.urls, u.Scheme+"://"+u.Host)
	}
	if len(c.urls) == 0 {
		return nil, errors.New("no address to ask")
	}
	if cfg.TokenFile != "" {
		b, err := os.ReadFile(cfg.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("reading token file: %w; give the path of a file that holds the token, not the token itself", unnamed(err))
		}
		line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
		if words := strings.Fields(line); len(words) > 0 {
			c.token = words[len(words)-1] // its name may stand before it
		}
	}
	if cfg.CAFile != "" && cfg.Transport == nil {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading CA file: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading CA file: no certificate in %s", cfg.CAFile)
		}
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		c.http.Transport = t
	}
	return c, nil
}

// readAddress reads http://host:port, https://host, or host:port.
func readAddress(text string) (*url.URL, error) {
	if strings.Contains(text, "@") { // it is not shown: a password may stand in it
		return nil, errors.New("an address holds no user and no password; the token stands in a file (--token-file)")
	}
	address := text
	if !strings.Contains(address, "://") {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("address %q is not http://host:port, https://host:port or host:port", text)
		}
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("address %q is not http://host:port, https://host:port or host:port", text)
	}
	if n, err := strconv.Atoi(cmp.Or(u.Port(), "80")); err != nil || n < 1 || n > 65535 {
		return nil, fmt.Errorf("address %q: the port is a number from 1 to 65535", text)
	}
	return u, nil
}

// Addresses are the addresses that the client asks, as they will be used.
func (c *Client) Addresses() []string { return c.urls }

// call sends one request and reads the answer into out. The error is a
// *Problem when the node answered with one, and when a change was sent and no
// answer came: look says where to see then whether it was made; empty: the
// request changes nothing.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any, look string) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("encoding request: %w", err)
		}
	}
	if method == http.MethodGet {
		query = c.freshness(query)
	}
	var errs []error
	for _, base := range c.urls {
		sent, err := c.one(ctx, method, base+path, query, body, out)
		if err == nil || sent {
			return outcome(err, look)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// outcome words the error of a request that was sent. A change without an
// answer may have been made, or may still be.
func outcome(err error, look string) error {
	if err == nil || look == "" {
		return err
	}
	p, answered := errors.AsType[*Problem](err)
	if !answered {
		p = problem(0, CodeAmbiguous, "", "%v: the request was sent, and may still be carried out", err)
	}
	if p.Code == CodeAmbiguous {
		p.Next = "look with " + look + " before asking again"
	}
	return p
}

func (c *Client) freshness(q url.Values) url.Values {
	if q == nil {
		q = url.Values{}
	}
	if c.cfg.Consistent {
		q.Set("consistent", "true")
	}
	if c.cfg.MinIndex > 0 {
		q.Set("minIndex", strconv.FormatUint(c.cfg.MinIndex, 10))
	}
	return q
}

// one asks one node. Unless the request was sent, another node may be asked,
// whatever the request.
func (c *Client) one(ctx context.Context, method, address string, query url.Values, body []byte, out any) (sent bool, err error) {
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	// A connection is there only after its handshake.
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent = true }})
	resp, err := send(ctx, c, method, address, body)
	if err != nil {
		return sent, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 256<<20))
	if err != nil {
		return true, fmt.Errorf("reading the answer of %s: %w", address, err)
	}
	if resp.StatusCode >= 400 {
		return true, readProblem(address, resp, b)
	}
	if err := json.Unmarshal(b, out); err != nil {
		return true, fmt.Errorf("reading the answer of %s: %w", address, err)
	}
	return true, nil
}

// send makes a request of its own.
func send(ctx context.Context, c *Client, method, address string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", address, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.http.Do(req) // an error names method and address
}

func readProblem(address string, resp *http.Response, body []byte) error {
	p := new(Problem)
	if err := json.Unmarshal(body, p); err != nil || p.Code == "" {
		return fmt.Errorf("%s answered %s; is it a Sluice node?", address, resp.Status)
	}
	return p
}

// Where the outcome of a change shows.
const lookAtMembers = "`sluice cluster members --address` of another node"

func lookAt(link string) string { return "`sluice link describe " + link + "`" }

// Status asks for the whole picture.
func (c *Client) Status(ctx context.Context, tasks, events int) (*Status, error) {
	q := url.Values{"tasks": {strconv.Itoa(tasks)}, "events": {strconv.Itoa(events)}}
	return get[Status](ctx, c, "/v1/status", q)
}

// Links lists all links.
func (c *Client) Links(ctx context.Context) (*List[Link], error) {
	return get[List[Link]](ctx, c, "/v1/links", nil)
}

// Link asks for one link and its tasks.
func (c *Client) Link(ctx context.Context, name string) (*LinkDetail, error) {
	return get[LinkDetail](ctx, c, "/v1/links/"+url.PathEscape(name), nil)
}

// Pause stops a link; it is done when nobody is left in Ack.Unconfirmed.
func (c *Client) Pause(ctx context.Context, name string) (*Ack, error) {
	return post[Ack](ctx, c, "/v1/links/"+url.PathEscape(name)+"/pause", nil, lookAt(name))
}

// Resume runs a paused link.
func (c *Client) Resume(ctx context.Context, name string) (*Ack, error) {
	return post[Ack](ctx, c, "/v1/links/"+url.PathEscape(name)+"/resume", nil, lookAt(name))
}

// Order gives stopped streams of a link an order: retry, continue, recopy.
func (c *Client) Order(ctx context.Context, name, order string, sel StreamSelector) (*Ack, error) {
	return post[Ack](ctx, c, "/v1/links/"+url.PathEscape(name)+"/"+order, sel, lookAt(name))
}

// DeleteLink deletes a link; it is done when the link is no longer there.
func (c *Client) DeleteLink(ctx context.Context, name string) (*Ack, error) {
	return remove[Ack](ctx, c, "/v1/links/"+url.PathEscape(name), "`sluice operation ls`")
}

// Operations lists the acts of several steps that run and that ended last.
func (c *Client) Operations(ctx context.Context) (*List[Operation], error) {
	return get[List[Operation]](ctx, c, "/v1/operations", nil)
}

// Operation asks how one of them goes, or how it ended.
func (c *Client) Operation(ctx context.Context, id fsm.OperationID) (*OperationDetail, error) {
	return get[OperationDetail](ctx, c, "/v1/operations/"+strconv.FormatUint(uint64(id), 10), nil)
}

// Apply plans objects, and carries the plan out unless r says DryRun.
func (c *Client) Apply(ctx context.Context, r ApplyRequest) (*Plan, error) {
	look := "`sluice diff -f` and the same files"
	if r.DryRun {
		look = ""
	}
	return post[Plan](ctx, c, "/v1/apply", r, look)
}

// Export asks for objects as YAML; empty kind and name: all.
func (c *Client) Export(ctx context.Context, kind, name string) (*Objects, error) {
	q := url.Values{}
	if kind != "" {
		q.Set("kind", kind)
	}
	if name != "" {
		q.Set("name", name)
	}
	return get[Objects](ctx, c, "/v1/objects", q)
}

// KafkaClusters lists the Kafka clusters.
func (c *Client) KafkaClusters(ctx context.Context) (*List[KafkaCluster], error) {
	return get[List[KafkaCluster]](ctx, c, "/v1/kafka", nil)
}

// Events asks for the newest events; an empty link means all, the zero time
// from the beginning.
func (c *Client) Events(ctx context.Context, link string, since time.Time, limit int) (*Events, error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if link != "" {
		q.Set("link", link)
	}
	if !since.IsZero() {
		q.Set("since", since.UTC().Format(time.RFC3339Nano))
	}
	return get[Events](ctx, c, "/v1/events", q)
}

// Members lists the nodes.
func (c *Client) Members(ctx context.Context) (*List[Node], error) {
	return get[List[Node]](ctx, c, "/v1/members", nil)
}

// Leave tells the node asked to leave for good.
func (c *Client) Leave(ctx context.Context) (*Ack, error) {
	return post[Ack](ctx, c, "/v1/leave", nil, lookAtMembers)
}

// RemoveMember takes out a node that is gone for good.
func (c *Client) RemoveMember(ctx context.Context, name string) (*Ack, error) {
	return remove[Ack](ctx, c, "/v1/members/"+url.PathEscape(name), lookAtMembers)
}

// StartVerify starts a comparison on the node asked.
func (c *Client) StartVerify(ctx context.Context, r VerifyRequest) (*Verify, error) {
	return post[Verify](ctx, c, "/v1/verify", r, "")
}

// Verify asks how a comparison goes.
func (c *Client) Verify(ctx context.Context, id string) (*Verify, error) {
	return get[Verify](ctx, c, "/v1/verify/"+url.PathEscape(id), nil)
}

// VerifyJobs lists the comparisons of the node asked.
func (c *Client) VerifyJobs(ctx context.Context) (*List[VerifyJob], error) {
	return get[List[VerifyJob]](ctx, c, "/v1/verify", nil)
}

// CancelVerify stops a comparison.
func (c *Client) CancelVerify(ctx context.Context, id string) (*Verify, error) {
	return remove[Verify](ctx, c, "/v1/verify/"+url.PathEscape(id), "")
}

func get[T any](ctx context.Context, c *Client, path string, q url.Values) (*T, error) {
	out := new(T)
	return out, c.call(ctx, http.MethodGet, path, q, nil, out, "")
}

func post[T any](ctx context.Context, c *Client, path string, in any, look string) (*T, error) {
	out := new(T)
	return out, c.call(ctx, http.MethodPost, path, nil, in, out, look)
}

func remove[T any](ctx context.Context, c *Client, path, look string) (*T, error) {
	out := new(T)
	return out, c.call(ctx, http.MethodDelete, path, nil, nil, out, look)
}

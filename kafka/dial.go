package kafka

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Dial opens a connection of the caller's own to a broker: TCP, TLS, API
// versions, SASL, cluster id. The broker's address is what the last Metadata told, and is
// asked for anew when there is none or it failed last time. Errors:
// ErrUnknownBroker, ErrClusterIDMismatch, ErrClosed, *kerr.Error of a refused
// login, the network's.
func (c *Client) Dial(ctx context.Context, broker int32) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	info, err := c.broker(ctx, broker)
	if err != nil {
		return nil, fmt.Errorf("dialling broker %d: %w", broker, err)
	}
	addr := net.JoinHostPort(info.Host, strconv.Itoa(int(info.Port)))
	nc, err := c.dial(ctx, "tcp", addr)
	if err != nil {
		c.forgetBroker(broker)
		return nil, fmt.Errorf("dialling broker %d: %w", broker, err)
	}
	login := newLogin(c.mech, info.Host)
	var trip time.Duration
	check := func(ask askFunc) error {
		began := time.Now()
		err := c.checkCluster(ask)
		trip = time.Since(began)
		return err
	}
	versions, lifetime, err := shake(ctx, nc, c.cfg.ClientID, login, check)
	if err != nil {
		nc.Close()
		c.forgetBroker(broker)
		return nil, fmt.Errorf("dialling broker %d: %w", broker, &addressError{addr, err})
	}
	return c.adoptConn(nc, connConfig{
		broker: broker, versions: versions, clientID: c.cfg.ClientID, login: login, loginHolds: lifetime,
		roundTrip: trip, requestTimeout: c.cfg.RequestTimeout, maxResponse: c.cfg.MaxResponse,
		buffers: c.cfg.Buffers, total: c.total, onDone: c.dropConn,
	})
}

// checkCluster asks on a new connection which Kafka cluster answers there:
// behind an address may be another one since the last look, and what is sent
// to it would be lost.
func (c *Client) checkCluster(ask askFunc) error {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // not nil: no topics
	resp, err := ask(req)
	if err != nil {
		if is(io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET)(err) {
			err = fmt.Errorf("%w: %w", errAfterVersions, err)
		}
		return fmt.Errorf("asking for the cluster id: %w", err)
	}
	id := resp.(*kmsg.MetadataResponse).ClusterID
	if id == nil {
		return fmt.Errorf("asking for the cluster id: %w: none told", ErrProtocol)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.identify(*id)
}

// adoptConn starts a Conn that close will find.
func (c *Client) adoptConn(nc net.Conn, cfg connConfig) (*Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		nc.Close()
		return nil, fmt.Errorf("dialling broker %d: %w", cfg.broker, ErrClosed)
	}
	conn := newConn(nc, cfg)
	c.conns[conn] = struct{}{}
	c.open.Add(1)
	return conn, nil
}

func (c *Client) dropConn(conn *Conn) {
	c.mu.Lock()
	delete(c.conns, conn)
	c.mu.Unlock()
	c.open.Done()
}

// broker returns where a broker is, asking when it is not known.
func (c *Client) broker(ctx context.Context, id int32) (BrokerInfo, error) {
	for range 2 {
		c.mu.Lock()
		info, ok := c.brokers[id]
		c.mu.Unlock()
		if ok {
			return info, nil
		}
		if _, err := c.Metadata(ctx); err != nil {
			return BrokerInfo{}, err
		}
	}
	return BrokerInfo{}, fmt.Errorf("%w: %d", ErrUnknownBroker, id)
}

func (c *Client) forgetBroker(id int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.brokers, id)
}

// Unanswered asks all bootstrap addresses side by side, for so long, and
// returns why some do not answer, by address.
func (c *Client) Unanswered(ctx context.Context, wait time.Duration) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	answers := c.seeds.ask(ctx, func() {})
	maps.DeleteFunc(answers, func(_ string, err error) bool { return err == nil })
	return answers
}

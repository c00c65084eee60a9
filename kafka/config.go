package kafka

import (
	"context"
	"errors"
	"net"
	"time"
)

// Config of a Pool.
type Config struct {
	ClientID       string        // in every request's header; brokers log it and set quotas by it
	DialTimeout    time.Duration // of TCP, TLS, API versions and SASL together
	RequestTimeout time.Duration // silence beyond what the oldest request may take by itself
	MaxResponse    int           // bytes; a larger response ends a Conn
	Secrets        Secrets       // that objects may refer to
	// DialContext opens TCP connections, those of kgo too; nil means net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// Buffers are what fetch responses are read into; nil means buffers of the
	// Pool's own.
	Buffers *Buffers
}

// DefaultConfig returns a Config that suits most networks.
func DefaultConfig() Config {
	return Config{
		ClientID:       "sluice",
		DialTimeout:    10 * time.Second,
		RequestTimeout: 30 * time.Second,
		MaxResponse:    256 << 20,
		Secrets:        Secrets{Env: []string{"SLUICE_SECRET_"}},
	}
}

// defaultIdle is what Buffers of the Pool's own keep unused, in bytes.
const defaultIdle = 32 << 20

// Validate names everything that is wrong with the Config, but for Secrets, which has its own.
func (c Config) Validate() error {
	var errs []error
	if c.ClientID == "" || len(c.ClientID) > 255 {
		errs = append(errs, errors.New("a client id has 1 to 255 bytes"))
	}
	if c.DialTimeout <= 0 || c.RequestTimeout <= 0 {
		errs = append(errs, errors.New("kafka: timeouts must be positive"))
	}
	if c.MaxResponse < 1<<20 || c.MaxResponse > 1<<30 {
		errs = append(errs, errors.New("kafka: largest response must be 1 MiB to 1 GiB"))
	}
	return errors.Join(errs...)
}

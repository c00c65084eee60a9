package wire

import (
	"context"
	"time"

	"sluice/kafka"
)

// Config of the connections.
type Config struct {
	Lease    time.Duration    // T: an unguarded write needs a confirmation no older
	Lifetime time.Duration    // broker-side timeout of an unguarded request, and so its lifetime
	Timeout  time.Duration    // of a guarded one; a broker may hold pipe.Window of them, one after another
	Request  Span             // bytes of one produce request
	Fetch    Span             // bytes of one fetch answer
	MaxWait  time.Duration    // long poll of an idle fetch
	Now      func() time.Time // the wall clock
}

// Span is how many bytes go at once to or from a broker that is near, and at most
// to or from one that is far.
type Span struct{ Near, Far int }

// DefaultConfig returns the values of profile lan.
func DefaultConfig() Config {
	return Config{
		Lease: 3 * time.Second, Lifetime: 5 * time.Second, Timeout: 10 * time.Second,
		Request: Span{512 << 10, 4 << 20}, Fetch: Span{4 << 20, 16 << 20}, MaxWait: 250 * time.Millisecond, Now: time.Now,
	}
}

// Cluster is a Kafka cluster that connections are made to; *catalog.Cluster is
// one.
type Cluster interface {
	Name() string
	Dial(ctx context.Context, broker int32) (*kafka.Conn, error)
}

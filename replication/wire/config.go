package wire

import (
	"context"
	"time"

	"sluice/kafka"
)

// Config of the connections.
type Config struct {
	Lease      time.Duration    // T: an unguarded write needs a confirmation no older
	Lifetime   time.Duration    // broker-side timeout of an unguarded request, and so its lifetime
	Timeout    time.Duration    // of a guarded one; a broker may hold pipe.Window of them, one after another
	MaxRequest int              // bytes of one produce request
	MaxFetch   int              // bytes of one fetch answer
	MaxWait    time.Duration    // long poll of an idle fetch
	Now        func() time.Time // the wall clock
}

// DefaultConfig returns the values of profile lan.
func DefaultConfig() Config {
	return Config{
		Lease: 3 * time.Second, Lifetime: 5 * time.Second, Timeout: 10 * time.Second,
		MaxRequest: 512 << 10, MaxFetch: 4 << 20, MaxWait: 250 * time.Millisecond, Now: time.Now,
	}
}

// Cluster is a Kafka cluster that connections are made to; *catalog.Cluster is
// one.
type Cluster interface {
	Name() string
	Dial(ctx context.Context, broker int32) (*kafka.Conn, error)
}

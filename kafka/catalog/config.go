package catalog

import "time"

// Config of a Catalog.
type Config struct {
	LookupEvery time.Duration // how often the topics in use are looked up
	Calls       int64         // one-shot calls under way to a broker, at most
	Dials       int64         // connections being made to a broker, at most
}

// DefaultConfig suits most clusters.
func DefaultConfig() Config {
	return Config{LookupEvery: 5 * time.Second, Calls: 32, Dials: 4}
}

package link

import (
	"errors"
	"time"
)

// Config of a Runner.
type Config struct {
	Node         string        // this node's name, for events and claims
	Interval     time.Duration // between two looks at both Kafka clusters
	Timeout      time.Duration // of one round
	ClaimEvery   time.Duration // how often the claims of others are looked for
	CompareEvery time.Duration // how often all copied topics are compared with their sources, or less often where they are many
}

// DefaultConfig returns a Config that finds new topics within 2.5 s.
func DefaultConfig() Config {
	return Config{Interval: 2 * time.Second, Timeout: 60 * time.Second, ClaimEvery: 30 * time.Second, CompareEvery: time.Minute}
}

// Validate names everything that is wrong with the Config.
func (c Config) Validate() error {
	if c.Interval <= 0 || c.Timeout <= 0 || c.ClaimEvery <= 0 || c.CompareEvery <= 0 {
		return errors.New("link: interval, timeout, claim interval and compare interval must be positive")
	}
	return nil
}

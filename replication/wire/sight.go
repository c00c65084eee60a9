package wire

import (
	"fmt"
	"time"

	"sluice/kafka"
	"sluice/replication/pipe"
)

// Sight is what can be seen of a partition now.
type Sight struct {
	pipe.Status
	Told           time.Time     // when its broker last told how far the source reaches, or that nothing has changed; zero: not yet
	Blind          bool          // since then it keeps back what it has, because of a quota
	Silent         time.Duration // that a request to it has been unanswered
	Source, Target Slowed
}

// Slowed is a broker, and how a quota of its slows a partition down.
type Slowed struct {
	Cluster string
	Node    int32     // the broker's id
	Until   time.Time // when the silence that it last asked for ends or ended; zero: it never did
}

// Broker names it: "broker 1 of Kafka cluster us".
func (s Slowed) Broker() string {
	return fmt.Sprintf("broker %d of Kafka cluster %s", s.Node, s.Cluster)
}

// slowed looks at a connection to a broker; nil: there is none.
func slowed(cluster Cluster, broker int32, conn *kafka.Conn) Slowed {
	s := Slowed{Cluster: cluster.Name(), Node: broker}
	if conn != nil {
		s.Until = conn.MutedUntil()
	}
	return s
}

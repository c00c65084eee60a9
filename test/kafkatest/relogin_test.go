package kafkatest

import (
	"testing"
	"time"

	"sluice/kafka"
	"sluice/test/kafkalab"
)

// TestLoginRenewed uses Conns for longer than a login holds: one that is busy
// all the time and one that is idle meanwhile. The broker would close either
// at the first request behind an expired login.
func TestLoginRenewed(t *testing.T) {
	t.Parallel()
	kafkalab.Require(t)
	listeners := []kafkalab.Listener{kafkalab.SASLPlain(), kafkalab.SCRAM()}
	cluster := kafkalab.Start(t, kafkalab.Config{
		Listeners: listeners, Overrides: map[string]string{"connections.max.reauth.ms": "1500"},
	})
	for _, l := range listeners {
		t.Run(l.Name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, specOf(cluster, l))
			topic := newTopic(t, c, "renew-"+l.Name, 1)
			busy, idle := dial(t, c, topic.Partitions[0].Leader), dial(t, c, topic.Partitions[0].Leader)
			check := func(conn *kafka.Conn, offset int64) {
				if a := <-produce(conn, topic, 0, newBatch(1, 10, now())); a.err != nil || a.ErrorCode != 0 || a.BaseOffset != offset {
					t.Fatalf("offset %d: %+v", offset, a)
				}
			}
			offset := int64(0)
			for start := time.Now(); time.Since(start) < 5*time.Second; offset++ {
				check(busy, offset)
			}
			check(idle, offset)
			if s := busy.Stats(); s.Requests < offset+2*3 {
				t.Errorf("%d requests for %d batches: no login was renewed", s.Requests, offset)
			}
		})
	}
}

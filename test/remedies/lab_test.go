// Package remedies makes, on real brokers, everything for which a stream stops
// with a reason or leaves dense: each test checks the reason, its exact range
// and its event, that other streams go on, what retry, continue and recopy do
// afterwards, and in the end both sides record by record.
package remedies

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/test/faults"
	"sluice/test/kafkalab"
	"sluice/test/load"
	"sluice/test/rig"
	"sluice/test/scratch"
)

// timeout of one step; steps take moments, or seconds where a stream waits.
const timeout = time.Minute

func TestMain(m *testing.M) { os.Exit(scratch.Together(m, 20).Run()) }

// TestRemedies shares two clusters of one broker. What stops a broker comes
// last and alone.
func TestRemedies(t *testing.T) {
	l := start(t)
	t.Run("together", func(t *testing.T) {
		for _, c := range cases() {
			t.Run(c.name, func(t *testing.T) { t.Parallel(); c.run(t, l) })
		}
	})
	restarts(t, l)
}

func cases() []testCase {
	return slices.Concat(kindCases(), accessCases(), recreatedCases(), lostCases(), foreignCases(), beginCases(), refusedCases(), translatedCases(), adoptedCases())
}

// testCase is one that may run beside others.
type testCase struct {
	name string
	run  func(*testing.T, *lab)
}

// lab is two clusters, the target behind a proxy.
type lab struct {
	src, dst *kafkalab.Cluster
	proxy    *faults.KafkaProxy
}

func start(t *testing.T) *lab {
	t.Helper()
	kafkalab.Require(t)
	l := &lab{proxy: faults.NewKafkaProxy()}
	t.Cleanup(l.proxy.Close)
	config := func(via func(int, string) string, listeners ...kafkalab.Listener) kafkalab.Config {
		return kafkalab.Config{AdvertisedVia: via, Listeners: listeners, Overrides: map[string]string{
			"log.cleaner.backoff.ms":           "100",
			"broker.session.timeout.ms":        "2000", // a killed broker comes back once it is over
			"authorizer.class.name":            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
			"allow.everyone.if.no.acl.found":   "true",
			"group.initial.rebalance.delay.ms": "0",
		}}
	}
	l.src, l.dst = kafkalab.StartPair(t, config(nil, kafkalab.Plaintext(), kafkalab.SASLPlain()), config(l.proxy.Via))
	return l
}

var names atomic.Int32 // counts topics

// name is one that no other test uses.
func (l *lab) name() string { return fmt.Sprintf("t%d", names.Add(1)) }

// opts reach a cluster past the proxy.
func opts(c *kafkalab.Cluster) []kgo.Opt { return []kgo.Opt{kgo.SeedBrokers(c.Direct()...)} }

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func create(t *testing.T, c *kafkalab.Cluster, topic string, partitions int32, configs map[string]string) {
	t.Helper()
	err := c.CreateTopic(within(t, time.Minute), kafkalab.Topic{Name: topic, Partitions: partitions, Configs: configs})
	if err != nil {
		t.Fatal(err)
	}
}

// drop deletes a topic and waits until the broker does not know it any more.
func drop(t *testing.T, c *kafkalab.Cluster, topic string) {
	t.Helper()
	if err := c.DeleteTopics(within(t, time.Minute), topic); err != nil {
		t.Fatal(err)
	}
	admin(t, c, func(adm *kadm.Client) error {
		rig.Until(t, timeout, "the topic is gone", func() bool {
			md, err := adm.Metadata(context.Background(), topic)
			return err == nil && md.Topics[topic].Err != nil
		})
		return nil
	})
}

func admin(t *testing.T, c *kafkalab.Cluster, f func(*kadm.Client) error) {
	t.Helper()
	if err := c.Admin(f); err != nil {
		t.Fatal(err)
	}
}

// trim deletes the records before an offset.
func trim(t *testing.T, c *kafkalab.Cluster, topic string, before int64) {
	t.Helper()
	if err := load.DeleteRecords(within(t, time.Minute), opts(c), topic, 0, before); err != nil {
		t.Fatal(err)
	}
}

// configure sets one setting of a topic, "" takes it back to the default, and
// waits until the broker goes by it. A size limit, which is far above what
// records of these tests need, comes with every setting: it takes effect in the
// same instant, and can be asked for.
func configure(t *testing.T, c *kafkalab.Cluster, topic, key, value string) {
	t.Helper()
	settings := map[string]string{"max.message.bytes": "4000", key: value}
	op := kadm.SetConfig
	if value == "" {
		op = kadm.DeleteConfig
	}
	var alter []kadm.AlterConfig
	for name, v := range settings {
		alter = append(alter, kadm.AlterConfig{Op: op, Name: name, Value: &v})
	}
	admin(t, c, func(adm *kadm.Client) error {
		rs, err := adm.AlterTopicConfigs(context.Background(), alter, topic)
		for _, r := range rs {
			err = errors.Join(err, r.Err)
		}
		return err
	})
	limited(t, c, topic, value != "")
}

// limited waits until the broker goes by the topic's size limit, or no more.
// It asks with a batch of 8 KB whose CRC is wrong: a broker looks at the size
// first, and appends it in no case.
func limited(t *testing.T, c *kafkalab.Cluster, topic string, want bool) {
	t.Helper()
	cl, err := c.DirectClient()
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	batch := load.Batch([]*kgo.Record{{Value: make([]byte, 8000)}})
	batch[17] ^= 1
	rig.Until(t, timeout, "the broker goes by its new size limit", func() bool {
		_, err := load.Append(within(t, timeout), cl, topic, map[int32][]byte{0: batch})
		if err == nil {
			t.Fatal("a batch with a wrong CRC was appended")
		}
		return errors.Is(err, kerr.MessageTooLarge) == want
	})
}

// chosen waits until a fault has acted n times.
func chosen(t *testing.T, f *faults.Fault, n int) {
	t.Helper()
	if err := f.WaitChosen(within(t, timeout), n); err != nil {
		t.Fatal(err)
	}
}

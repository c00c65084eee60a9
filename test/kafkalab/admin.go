package kafkalab

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"sluice/test/wait"
)

// Topic says what CreateTopic makes.
type Topic struct {
	Name       string
	Partitions int32 // 1 if 0
	Replicas   int16 // brokers, at most 3, if 0
	Configs    map[string]string
	// Assignment places the replicas by hand: for each partition its brokers, the preferred leader
	// first. Partitions and Replicas are then not read.
	Assignment [][]int32
}

// ClientOpts returns the options of a client on one client listener: addresses, TLS and login.
func (c *Cluster) ClientOpts(l Listener) ([]kgo.Opt, error) {
	// A broker on its way down takes a connection and closes it.
	opts := []kgo.Opt{kgo.SeedBrokers(c.BootstrapFor(l)...), kgo.AlwaysRetryEOF()}
	if l.TLS {
		conf, err := c.TLSConfig()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(conf))
	}
	login := scram.Auth{User: User, Pass: c.cfg.Password}
	switch l.SASL {
	case "PLAIN":
		opts = append(opts, kgo.SASL(plain.Auth{User: User, Pass: c.cfg.Password}.AsMechanism()))
	case "SCRAM-SHA-256":
		opts = append(opts, kgo.SASL(login.AsSha256Mechanism()))
	case "SCRAM-SHA-512":
		opts = append(opts, kgo.SASL(login.AsSha512Mechanism()))
	}
	return opts, nil
}

// DirectClient returns a client on the brokers' own listener, past any proxy and login. The caller
// closes it.
func (c *Cluster) DirectClient(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.Direct()...), kgo.AlwaysRetryEOF()}, opts...)...)
}

// Admin runs f with an administration client on the brokers' own listener.
func (c *Cluster) Admin(f func(*kadm.Client) error) error {
	return c.request(func(cl *kgo.Client) error { return f(kadm.NewClient(cl)) })
}

// CreateTopic creates a topic and waits until every partition has its leader and all replicas in sync.
func (c *Cluster) CreateTopic(ctx context.Context, t Topic) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 30_000
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = t.Name, max(t.Partitions, 1), t.Replicas
	if t.Replicas == 0 {
		rt.ReplicationFactor = int16(min(c.cfg.Brokers, 3))
	}
	for k, v := range t.Configs {
		conf := kmsg.NewCreateTopicsRequestTopicConfig()
		conf.Name, conf.Value = k, new(v)
		rt.Configs = append(rt.Configs, conf)
	}
	if t.Assignment != nil {
		rt.NumPartitions, rt.ReplicationFactor = -1, -1
	}
	for p, replicas := range t.Assignment {
		a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		a.Partition, a.Replicas = int32(p), replicas
		rt.ReplicaAssignment = append(rt.ReplicaAssignment, a)
	}
	req.Topics = append(req.Topics, rt)
	create := func(ctx context.Context) error {
		return c.request(func(cl *kgo.Client) error {
			resp, err := req.RequestWith(ctx, cl)
			if err != nil {
				return err
			}
			return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
		})
	}
	err := poll(ctx, func(ctx context.Context) error {
		err := create(ctx)
		// A broker that a busy machine kept from its heartbeats does not count for a moment.
		if err != nil && !(errors.Is(err, kerr.InvalidReplicationFactor) && int(rt.ReplicationFactor) <= c.cfg.Brokers) {
			err = wait.Final(err)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("creating topic %s: %w", t.Name, err)
	}
	return c.WaitInSync(ctx, t.Name)
}

// DeleteTopics deletes topics; the brokers remove the data some time later.
func (c *Cluster) DeleteTopics(ctx context.Context, names ...string) error {
	return c.Admin(func(adm *kadm.Client) error {
		resp, err := adm.DeleteTopics(ctx, names...)
		if err == nil {
			err = resp.Error()
		}
		if err != nil {
			return fmt.Errorf("deleting topics: %w", err)
		}
		return nil
	})
}

// ElectUnclean has the controller elect any living replica as leader of one partition, also one
// that lacks acknowledged records. It asks again until the leader is a broker that runs: a leader
// that was killed counts as living, so that no election is needed, until its session has timed out.
func (c *Cluster) ElectUnclean(ctx context.Context, topic string, partition int32) error {
	req := kmsg.NewPtrElectLeadersRequest()
	req.ElectionType, req.TimeoutMillis = 1, 30_000
	rt := kmsg.NewElectLeadersRequestTopic()
	rt.Topic, rt.Partitions = topic, []int32{partition}
	req.Topics = append(req.Topics, rt)
	return poll(ctx, func(ctx context.Context) error {
		err := c.request(func(cl *kgo.Client) error {
			resp, err := req.RequestWith(ctx, cl)
			if err != nil {
				return err
			}
			return electionErr(resp)
		})
		if err != nil {
			return fmt.Errorf("electing a leader of %s/%d: %w", topic, partition, err)
		}
		parts, err := c.Partitions(ctx, topic)
		if err != nil {
			return err
		}
		for _, n := range c.runningBrokers() {
			if int(partition) < len(parts) && parts[partition].Leader == n.id {
				return nil
			}
		}
		return fmt.Errorf("%s/%d has no living leader yet", topic, partition)
	})
}

// electionErr returns the first error of an answer; that there was nothing to elect is none.
func electionErr(resp *kmsg.ElectLeadersResponse) error {
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil && !errors.Is(err, kerr.ElectionNotNeeded) {
				return err
			}
		}
	}
	return nil
}

// createUsers makes User known to the SCRAM listeners and waits until a login works everywhere.
func (c *Cluster) createUsers(ctx context.Context) error {
	isScram := func(l Listener) bool { return strings.HasPrefix(l.SASL, "SCRAM-") }
	if !c.cfg.anyListener(isScram) {
		return nil
	}
	err := c.Admin(func(adm *kadm.Client) error {
		up := []kadm.UpsertSCRAM{
			{User: User, Password: c.cfg.Password, Mechanism: kadm.ScramSha256, Iterations: 4096},
			{User: User, Password: c.cfg.Password, Mechanism: kadm.ScramSha512, Iterations: 4096},
		}
		for _, u := range up {
			resp, err := adm.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{u})
			if err == nil {
				err = resp.Error()
			}
			if err != nil {
				return fmt.Errorf("making users: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, n := range c.runningBrokers() {
		for _, l := range c.cfg.Listeners {
			if isScram(l) {
				if err := c.waitLogin(ctx, n, l); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// waitLogin waits until one broker knows User: users reach the brokers by the metadata log.
func (c *Cluster) waitLogin(ctx context.Context, n *node, l Listener) error {
	opts, err := c.ClientOpts(l)
	if err != nil {
		return err
	}
	return poll(ctx, func(ctx context.Context) error {
		cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(n.ports[l.Name].Addr()),
			kgo.RequestRetries(0), kgo.RetryTimeout(time.Second))...)
		if err != nil {
			return err
		}
		defer cl.Close()
		if err := cl.Ping(ctx); err != nil {
			return fmt.Errorf("logging in at broker %d: %w", n.id, err)
		}
		return nil
	})
}

// request runs f with a client on the brokers' own listener.
func (c *Cluster) request(f func(*kgo.Client) error) error {
	cl, err := c.DirectClient()
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	defer cl.Close()
	return f(cl)
}

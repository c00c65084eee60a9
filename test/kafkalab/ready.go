package kafkalab

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/test/wait"
)

// WaitReady waits until every broker that runs (and is not paused) is ready: it answers a metadata
// request on a fresh connection, knows a controller, counts every running broker and itself among
// the living, and listens on all of its listeners. That no
// broker runs (any more) is an error at once. No client is asked: its metadata may be a cache that
// was filled before a broker died.
func (c *Cluster) WaitReady(ctx context.Context) error {
	return poll(ctx, func(ctx context.Context) error {
		up := c.runningBrokers()
		if len(up) == 0 {
			return wait.Final(fmt.Errorf("no broker runs"))
		}
		for _, n := range up {
			if err := n.ready(ctx, up); err != nil {
				return fmt.Errorf("broker %d: %w", n.id, err)
			}
		}
		return nil
	})
}

// runningBrokers returns the brokers whose processes run and are not paused.
func (c *Cluster) runningBrokers() []*node {
	c.mu.Lock()
	defer c.mu.Unlock()
	var up []*node
	for _, n := range c.nodes {
		if n.broker && n.proc != nil && n.proc.running() && !n.proc.isPaused() {
			up = append(up, n)
		}
	}
	return up
}

// ready reports what is missing until n is ready.
func (n *node) ready(ctx context.Context, up []*node) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for name, p := range n.ports {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp4", p.Addr())
		if err != nil {
			return fmt.Errorf("listener %s: %w", name, err)
		}
		conn.Close()
	}
	meta, err := askMetadata(ctx, n.ports[internalListener].Addr())
	if err != nil {
		return err
	}
	if meta.ControllerID < 0 {
		return fmt.Errorf("no controller")
	}
	alive := map[int32]bool{}
	for _, b := range meta.Brokers {
		alive[b.NodeID] = true
	}
	for _, u := range up {
		if !alive[int32(u.id)] {
			return fmt.Errorf("broker %d is not registered or fenced", u.id)
		}
	}
	return nil
}

// Partition is the state of one partition as a broker knows it.
type Partition struct {
	Leader      int // broker, -1 for none
	LeaderEpoch int32
	Replicas    []int
	ISR         []int // replicas in sync
}

// Partitions returns the state of a topic's partitions by number, asked from the first broker that
// runs, on a fresh connection.
func (c *Cluster) Partitions(ctx context.Context, topic string) ([]Partition, error) {
	up := c.runningBrokers()
	if len(up) == 0 {
		return nil, fmt.Errorf("no broker runs")
	}
	return up[0].partitions(ctx, topic)
}

func (n *node) partitions(ctx context.Context, topic string) ([]Partition, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	meta, err := askMetadata(ctx, n.ports[internalListener].Addr(), topic)
	if err != nil {
		return nil, err
	}
	t := meta.Topics[0]
	if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
		return nil, fmt.Errorf("topic %s at broker %d: %w", topic, n.id, err)
	}
	out := make([]Partition, len(t.Partitions))
	for _, p := range t.Partitions {
		if int(p.Partition) >= len(out) {
			return nil, fmt.Errorf("topic %s at broker %d: partition %d of %d", topic, n.id, p.Partition, len(out))
		}
		out[p.Partition] = Partition{Leader: int(p.Leader), LeaderEpoch: p.LeaderEpoch,
			Replicas: ints(p.Replicas), ISR: ints(p.ISR)}
	}
	return out, nil
}

func ints(in []int32) []int {
	out := make([]int, len(in))
	for i, v := range in {
		out[i] = int(v)
	}
	return out
}

// WaitInSync waits until every running broker knows a leader for each partition of the topic and all
// of its replicas in sync, and until the leaders lead: metadata names them some milliseconds before
// they answer for the partition.
func (c *Cluster) WaitInSync(ctx context.Context, topic string) error {
	err := c.WaitPartitions(ctx, topic, func(p Partition) bool {
		return p.Leader >= 0 && len(p.ISR) == len(p.Replicas)
	})
	if err != nil {
		return err
	}
	return poll(ctx, func(ctx context.Context) error { return c.leading(ctx, topic) })
}

// leading asks each leader for an offset of its partitions of the topic, which only a leader knows.
func (c *Cluster) leading(ctx context.Context, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	parts, err := c.Partitions(ctx, topic)
	if err != nil {
		return err
	}
	for _, n := range c.runningBrokers() {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for i, p := range parts {
			if p.Leader == n.id {
				rp := kmsg.NewListOffsetsRequestTopicPartition()
				rp.Partition, rp.Timestamp = int32(i), -2 // the log start
				t.Partitions = append(t.Partitions, rp)
			}
		}
		if len(t.Partitions) == 0 {
			continue
		}
		req := kmsg.NewPtrListOffsetsRequest()
		req.Version, req.ReplicaID = 2, -1
		req.Topics = append(req.Topics, t)
		resp := kmsg.NewPtrListOffsetsResponse()
		if err := ask(ctx, n.ports[internalListener].Addr(), req, resp); err != nil {
			return fmt.Errorf("asking broker %d for offsets: %w", n.id, err)
		}
		for _, p := range resp.Topics[0].Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("%s/%d at its leader %d: %w", topic, p.Partition, n.id, err)
			}
		}
	}
	return nil
}

// WaitPartitions waits until ok holds for every partition of the topic in the eyes of every running broker.
func (c *Cluster) WaitPartitions(ctx context.Context, topic string, ok func(Partition) bool) error {
	return poll(ctx, func(ctx context.Context) error {
		for _, n := range c.runningBrokers() {
			parts, err := n.partitions(ctx, topic)
			if err != nil {
				return err
			}
			for i, p := range parts {
				if !ok(p) {
					return fmt.Errorf("%s/%d at broker %d: %+v", topic, i, n.id, p)
				}
			}
		}
		return nil
	})
}

// askMetadata asks one broker for its view of the cluster and of the topics named.
func askMetadata(ctx context.Context, addr string, topics ...string) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 7
	req.Topics = []kmsg.MetadataRequestTopic{} // nil would ask for all
	for _, name := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = new(name)
		req.Topics = append(req.Topics, t)
	}
	resp := kmsg.NewPtrMetadataResponse()
	if err := ask(ctx, addr, req, resp); err != nil {
		return nil, fmt.Errorf("asking for metadata: %w", err)
	}
	if len(resp.Topics) < len(topics) {
		return nil, fmt.Errorf("asking for metadata: %d topics of %d", len(resp.Topics), len(topics))
	}
	return resp, nil
}

// ask sends one request to one broker on a connection of its own and reads the answer. The request's
// version must be one without tagged fields: the response header is then the correlation id alone.
func ask(ctx context.Context, addr string, req kmsg.Request, resp kmsg.Response) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp4", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	format := kmsg.NewRequestFormatter(kmsg.FormatterClientID("kafkalab"))
	if _, err := conn.Write(format.AppendRequest(nil, req, 1)); err != nil {
		return err
	}
	var head [8]byte // length, correlation id
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	size := int(binary.BigEndian.Uint32(head[:])) - 4
	if size < 0 || size > 8<<20 {
		return fmt.Errorf("an answer of %d bytes", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(conn, body); err != nil {
		return err
	}
	resp.SetVersion(req.GetVersion())
	return resp.ReadFrom(body)
}

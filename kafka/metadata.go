package kafka

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Metadata is what one broker knew about the Kafka cluster when it was asked.
type Metadata struct {
	ClusterID  string
	Controller int32 // -1: unknown
	Brokers    []BrokerInfo
	Topics     []TopicMetadata
}

// TopicMetadata is one topic.
type TopicMetadata struct {
	Name       string
	ID         [16]byte // zero: the brokers have no topic ids
	Internal   bool
	Err        error               // a *kerr.Error, or nil
	Partitions []PartitionMetadata // by number
}

// PartitionMetadata is one partition.
type PartitionMetadata struct {
	Partition   int32
	Leader      int32 // -1: none
	LeaderEpoch int32 // -1: unknown
	Replicas    []int32
	ISR         []int32
	Offline     []int32
	Err         error // a *kerr.Error, or nil
}

// Metadata asks a broker, never a cache, for these topics; without topics it
// tells of brokers only. ErrClusterIDMismatch, with the answer, when another
// cluster id is pinned.
func (c *Client) Metadata(ctx context.Context, topics ...string) (Metadata, error) {
	a, err := c.Look(ctx, nil, topics...)
	if a == nil {
		return Metadata{}, err
	}
	return a.Metadata, err
}

// Check asks for the Kafka cluster's id and returns it; ErrClusterIDMismatch,
// with the id, when another one is pinned.
func (c *Client) Check(ctx context.Context) (clusterID string, err error) {
	m, err := c.Metadata(ctx)
	return m.ClusterID, err
}

// Supports reports whether every broker that answers speaks version of the
// API key. It asks the brokers once per Client.
func (c *Client) Supports(ctx context.Context, key, version int16) (bool, error) {
	c.mu.Lock()
	versions := c.versions
	c.mu.Unlock()
	if versions == nil {
		var err error
		if versions, err = c.askVersions(ctx); err != nil {
			return false, fmt.Errorf("asking for API versions: %w", err)
		}
		c.mu.Lock()
		c.versions = versions
		c.mu.Unlock()
	}
	return versions.supports(key, version), nil
}

// askVersions returns what all brokers that answer speak.
func (c *Client) askVersions(ctx context.Context) (apiVersions, error) {
	m, err := c.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	var versions apiVersions
	var errs []error
	for _, b := range m.Brokers {
		speaks, err := c.brokerVersions(ctx, b.ID)
		if err != nil {
			errs = append(errs, fmt.Errorf("broker %d: %w", b.ID, err))
			continue
		}
		versions = versions.and(speaks)
	}
	if versions == nil {
		return nil, errors.Join(errs...)
	}
	return versions, nil
}

func (c *Client) metadata(ctx context.Context, req *kmsg.MetadataRequest) (Metadata, error) {
	resp, err := sought(ctx, c.seeds, func() (*kmsg.MetadataResponse, error) { return req.RequestWith(ctx, bound{c.kgo}) })
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return Metadata{}, fmt.Errorf("asking for metadata: %w", err)
	}
	m := newMetadata(resp)
	return m, c.learn(&m, true)
}

// learn keeps the brokers of an answer, unless another Kafka cluster gave it.
// seen: kgo has read it too. Where it has not and brokers have changed, the next
// lookup of topics goes through kgo; asking again at once might meet a broker
// that hangs.
func (c *Client) learn(m *Metadata, seen bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.identify(m.ClusterID); err != nil {
		return err
	}
	c.told = seen || c.told && c.brokers.are(m.Brokers)
	c.brokers = make(brokers, len(m.Brokers))
	for _, b := range m.Brokers {
		c.brokers[b.ID] = b
	}
	return nil
}

// Answer is Metadata that is shared by all that look: nobody may change it.
type Answer struct {
	Metadata
	body []byte // as it came; nil: kgo has read it
}

// Look is Metadata for who asks for the same topics often: where the answer is
// the same as last (nil: none), it returns last itself and has decoded nothing.
func (c *Client) Look(ctx context.Context, last *Answer, topics ...string) (*Answer, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = make([]kmsg.MetadataRequestTopic, len(topics)) // empty, not nil: no topics
	for i := range topics {
		req.Topics[i] = kmsg.NewMetadataRequestTopic()
		req.Topics[i].Topic = &topics[i]
	}
	c.mu.Lock()
	told := c.told
	c.mu.Unlock()
	if len(topics) == 0 || !told {
		m, err := c.metadata(ctx, req)
		return &Answer{Metadata: m}, err
	}
	return look(ctx, c, last, req)
}

// LookAll is Look at every topic that we are allowed to see.
func (c *Client) LookAll(ctx context.Context, last *Answer) (*Answer, error) {
	now, err := look(ctx, c, last, kmsg.NewPtrMetadataRequest())
	if err == nil && last != nil && !slices.Equal(last.Brokers, now.Brokers) {
		_, err = c.Metadata(ctx) // kgo has not seen this answer
	}
	return now, err
}

// look asks past kgo.
func look(ctx context.Context, c *Client, last *Answer, req *kmsg.MetadataRequest) (*Answer, error) {
	answer, err := c.pass(ctx, req)
	if err == nil && last != nil && bytes.Equal(last.body, answer.body) {
		return last, c.learn(&last.Metadata, false)
	}
	if err == nil {
		err = answer.decode()
	}
	if err != nil {
		return nil, fmt.Errorf("asking for metadata: %w", err)
	}
	if answer.ErrorCode != 0 { // what it asks of a client, kgo knows
		m, err := c.metadata(ctx, req)
		return &Answer{Metadata: m}, err
	}
	now := &Answer{Metadata: newMetadata(answer.MetadataResponse), body: answer.body}
	return now, c.learn(&now.Metadata, false)
}

// pass has kgo pass a request for metadata on as it is.
func (c *Client) pass(ctx context.Context, req *kmsg.MetadataRequest) (*undecoded, error) {
	resp, err := sought(ctx, c.seeds, func() (kmsg.Response, error) { return bound{c.kgo}.Request(ctx, wholeMetadata{req}) })
	if err != nil {
		return nil, err
	}
	return resp.(*undecoded), nil
}

// wholeMetadata is a metadata request that kgo passes on as it is: it would
// decode the answer and copy all of it into a cache that nobody here asks.
type wholeMetadata struct{ *kmsg.MetadataRequest }

// ResponseKind implements kmsg.Request.
func (r wholeMetadata) ResponseKind() kmsg.Response {
	return &undecoded{MetadataResponse: r.MetadataRequest.ResponseKind().(*kmsg.MetadataResponse)}
}

// undecoded is an answer of which only the throttle time is read, for kgo to
// obey.
type undecoded struct {
	*kmsg.MetadataResponse
	body []byte
}

// ReadFrom implements kmsg.Response.
func (u *undecoded) ReadFrom(body []byte) error {
	if u.body = body; u.Version >= 3 && len(body) >= 4 {
		u.ThrottleMillis = int32(binary.BigEndian.Uint32(body))
	}
	return nil
}

// decode reads the rest.
func (u *undecoded) decode() error {
	if err := u.MetadataResponse.ReadFrom(u.body); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return nil
}

// UnsafeReadFrom is ReadFrom.
func (u *undecoded) UnsafeReadFrom(body []byte) error { return u.ReadFrom(body) }

func newMetadata(resp *kmsg.MetadataResponse) Metadata {
	m := Metadata{
		Controller: resp.ControllerID,
		Brokers:    make([]BrokerInfo, len(resp.Brokers)),
		Topics:     make([]TopicMetadata, len(resp.Topics)),
	}
	if resp.ClusterID != nil {
		m.ClusterID = *resp.ClusterID
	}
	for i, b := range resp.Brokers {
		m.Brokers[i] = BrokerInfo{ID: b.NodeID, Host: b.Host, Port: b.Port}
		if b.Rack != nil {
			m.Brokers[i].Rack = *b.Rack
		}
	}
	for i := range resp.Topics {
		m.Topics[i] = newTopicMetadata(&resp.Topics[i])
	}
	return m
}

func newTopicMetadata(t *kmsg.MetadataResponseTopic) TopicMetadata {
	out := TopicMetadata{
		ID: t.TopicID, Internal: t.IsInternal, Err: kerr.ErrorForCode(t.ErrorCode),
		Partitions: make([]PartitionMetadata, len(t.Partitions)),
	}
	if t.Topic != nil {
		out.Name = *t.Topic
	}
	for i, p := range t.Partitions {
		out.Partitions[i] = PartitionMetadata{
			Partition: p.Partition, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch,
			Replicas: p.Replicas, ISR: p.ISR, Offline: p.OfflineReplicas,
			Err: kerr.ErrorForCode(p.ErrorCode),
		}
	}
	slices.SortFunc(out.Partitions, func(a, b PartitionMetadata) int { return cmp.Compare(a.Partition, b.Partition) })
	return out
}

package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// adminTimeout is what brokers may take for an administrative request.
const adminTimeout = 15 * time.Second

// CreateTopic says what topic to make.
type CreateTopic struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16 // -1: the broker's default
	Configs           map[string]string
}

// CreateTopic makes a topic and returns its id, zero where brokers have none.
// An existing topic is kerr.TopicAlreadyExists.
func (c *Client) CreateTopic(ctx context.Context, topic CreateTopic) ([16]byte, error) {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic.Name, topic.Partitions, topic.ReplicationFactor
	for name, value := range topic.Configs {
		entry := kmsg.NewCreateTopicsRequestTopicConfig()
		entry.Name, entry.Value = name, &value
		t.Configs = append(t.Configs, entry)
	}
	slices.SortFunc(t.Configs, func(a, b kmsg.CreateTopicsRequestTopicConfig) int { return strings.Compare(a.Name, b.Name) })
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(adminTimeout.Milliseconds())
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, c.kgo)
	if err == nil {
		err = oneTopic(resp.Topics, func(t kmsg.CreateTopicsResponseTopic) error { return withMessage(t.ErrorCode, t.ErrorMessage) })
	}
	if err != nil {
		return [16]byte{}, fmt.Errorf("creating topic %s: %w", topic.Name, err)
	}
	return resp.Topics[0].TopicID, nil
}

// oneTopic is the error of the one topic that was asked about.
func oneTopic[T any](topics []T, told func(T) error) error {
	if len(topics) != 1 {
		return fmt.Errorf("%w: %d topics answered", ErrProtocol, len(topics))
	}
	return told(topics[0])
}

// CreatePartitions raises a topic's number of partitions to total;
// kerr.InvalidPartitions when it has as many or more.
func (c *Client) CreatePartitions(ctx context.Context, topic string, total int32) error {
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = topic, total
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = int32(adminTimeout.Milliseconds())
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, c.kgo)
	if err == nil {
		err = oneTopic(resp.Topics, func(t kmsg.CreatePartitionsResponseTopic) error { return withMessage(t.ErrorCode, t.ErrorMessage) })
	}
	if err != nil {
		return fmt.Errorf("raising %s to %d partitions: %w", topic, total, err)
	}
	return nil
}

// ConfigEntry is one setting in effect.
type ConfigEntry struct {
	Name      string
	Value     string // empty when Sensitive
	Default   bool   // not set on this very topic or broker
	Sensitive bool
}

// TopicConfigs returns the settings of a topic in effect, by name.
func (c *Client) TopicConfigs(ctx context.Context, topic string) ([]ConfigEntry, error) {
	entries, err := c.configs(ctx, c.kgo, kmsg.ConfigResourceTypeTopic, topic, kmsg.ConfigSourceDynamicTopicConfig)
	if err != nil {
		return nil, fmt.Errorf("reading configs of topic %s: %w", topic, err)
	}
	return entries, nil
}

// BrokerConfigs returns the settings of a broker in effect, by name.
func (c *Client) BrokerConfigs(ctx context.Context, broker int32) ([]ConfigEntry, error) {
	entries, err := c.configs(ctx, c.Broker(broker), kmsg.ConfigResourceTypeBroker, fmt.Sprint(broker),
		kmsg.ConfigSourceDynamicBrokerConfig, kmsg.ConfigSourceStaticBrokerConfig, kmsg.ConfigSourceDynamicDefaultBrokerConfig)
	if err != nil {
		return nil, fmt.Errorf("reading configs of broker %d: %w", broker, err)
	}
	return entries, nil
}

// configs asks r for one resource; what comes from none of the sources own is
// a default.
func (c *Client) configs(ctx context.Context, r Requester, kind kmsg.ConfigResourceType, name string, own ...kmsg.ConfigSource) ([]ConfigEntry, error) {
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kind, name
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Resources = append(req.Resources, resource)
	resp, err := req.RequestWith(ctx, r)
	if err != nil {
		return nil, err
	}
	if len(resp.Resources) != 1 {
		return nil, fmt.Errorf("%w: %d resources answered", ErrProtocol, len(resp.Resources))
	}
	if err := withMessage(resp.Resources[0].ErrorCode, resp.Resources[0].ErrorMessage); err != nil {
		return nil, err
	}
	configs := resp.Resources[0].Configs
	out := make([]ConfigEntry, len(configs))
	for i, e := range configs {
		out[i] = ConfigEntry{Name: e.Name, Default: !slices.Contains(own, e.Source), Sensitive: e.IsSensitive}
		if e.Value != nil && !e.IsSensitive {
			out[i].Value = *e.Value
		}
	}
	slices.SortFunc(out, func(a, b ConfigEntry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

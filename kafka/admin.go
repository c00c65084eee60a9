package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/words"
)

// errTwice: answers could not be told apart.
var errTwice = errors.New("a topic is asked for twice")

// places are those of the names in a request that the answer has not told of
// yet. Brokers answer in any order.
type places map[string]int

func placesOf[T any](list []T, name func(*T) string) (places, error) {
	p := make(places, len(list))
	for i := range list {
		p[name(&list[i])] = i
	}
	if len(p) != len(list) {
		return nil, errTwice
	}
	return p, nil
}

// take is the place of a name that the answer tells of, once.
func (p places) take(name string) (i int, ok bool) {
	i, ok = p[name]
	delete(p, name)
	return i, ok
}

// whole is an error unless the answer has told of all that was asked.
func (p places) whole(asked int, what string) error {
	if len(p) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d of %s answered", ErrProtocol, asked-len(p), words.Count(asked, what))
}

// adminTimeout is what brokers may take for an administrative request.
const adminTimeout = 15 * time.Second

// CreateTopic says what topic to make.
type CreateTopic struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16 // -1: the broker's default
	Configs           map[string]string
}

// CreatedTopic is what became of a CreateTopic.
type CreatedTopic struct {
	ID  [16]byte // zero where brokers have none
	Err error    // wraps a *kerr.Error, or nil; an existing topic is kerr.TopicAlreadyExists
}

// CreateTopics makes topics in one request and tells what became of each, in
// their order; names must differ. The error is of the request as a whole: which
// topics were made is unknown then. A controller makes them one after another,
// within 15 s together: ask for a hundred at a time. Where a quota bounds how
// many partitions a client creates, kerr.ThrottlingQuotaExceeded is the answer
// for those that are too many, and throttle is how long to wait; brokers read
// nothing more from this connection until then, so use one of its own.
func (b Broker) CreateTopics(ctx context.Context, topics ...CreateTopic) (made []CreatedTopic, throttle time.Duration, err error) {
	if made, throttle, err = createTopics(ctx, b.r, topics, false); err != nil {
		return nil, throttle, fmt.Errorf("creating %s: %w", words.Count(len(topics), "topic"), err)
	}
	return made, throttle, nil
}

// TryTopics tells what would become of a CreateTopics, which is not done.
func (b Broker) TryTopics(ctx context.Context, topics ...CreateTopic) ([]CreatedTopic, error) {
	got, _, err := createTopics(ctx, b.r, topics, true)
	if err != nil {
		return nil, fmt.Errorf("asking whether %s could be created: %w", words.Count(len(topics), "topic"), err)
	}
	return got, nil
}

func createTopics(ctx context.Context, r Requester, topics []CreateTopic, try bool) ([]CreatedTopic, time.Duration, error) {
	if len(topics) == 0 {
		return nil, 0, nil
	}
	// kadm gives all topics of a request the same partitions and configs.
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis, req.ValidateOnly = int32(adminTimeout.Milliseconds()), try
	at, err := placesOf(topics, func(t *CreateTopic) string { return t.Name })
	if err != nil {
		return nil, 0, err
	}
	for i := range topics {
		req.Topics = append(req.Topics, topics[i].request())
	}
	resp, err := req.RequestWith(ctx, r)
	if err != nil {
		return nil, 0, err
	}
	throttle := time.Duration(resp.ThrottleMillis) * time.Millisecond
	out := make([]CreatedTopic, len(topics))
	for _, t := range resp.Topics {
		i, ok := at.take(t.Topic)
		if !ok {
			continue
		}
		out[i].ID = t.TopicID
		if err := Needs(withMessage(t.ErrorCode, t.ErrorMessage), "CREATE", t.Topic); err != nil {
			out[i].Err = fmt.Errorf("creating topic %s: %w", t.Topic, err)
		}
	}
	if err := at.whole(len(topics), "topic"); err != nil {
		return nil, throttle, err
	}
	return out, throttle, nil
}

func (t *CreateTopic) request() kmsg.CreateTopicsRequestTopic {
	r := kmsg.NewCreateTopicsRequestTopic()
	r.Topic, r.NumPartitions, r.ReplicationFactor = t.Name, t.Partitions, t.ReplicationFactor
	for _, name := range slices.Sorted(maps.Keys(t.Configs)) {
		entry := kmsg.NewCreateTopicsRequestTopicConfig()
		entry.Name, entry.Value = name, new(t.Configs[name])
		r.Configs = append(r.Configs, entry)
	}
	return r
}

// CreateTopic makes one topic. It returns the topic's id, zero
// where brokers have none.
func (c *Client) CreateTopic(ctx context.Context, topic CreateTopic) ([16]byte, error) {
	got, _, err := createTopics(ctx, bound{c.kgo}, []CreateTopic{topic}, false)
	if err != nil {
		return [16]byte{}, fmt.Errorf("creating topic %s: %w", topic.Name, err)
	}
	return got[0].ID, got[0].Err
}

// RaiseTopic says to how many partitions a topic is to be raised.
type RaiseTopic struct {
	Name  string
	Total int32
}

// CreatePartitions raises topics in one request and tells what became of each,
// in their order: nil, or an error that wraps a *kerr.Error,
// kerr.InvalidPartitions where it has as many or more. All else is as with
// CreateTopics.
func (b Broker) CreatePartitions(ctx context.Context, topics ...RaiseTopic) (raised []error, throttle time.Duration, err error) {
	if raised, throttle, err = createPartitions(ctx, b.r, topics); err != nil {
		return nil, throttle, fmt.Errorf("raising %s: %w", words.Count(len(topics), "topic"), err)
	}
	return raised, throttle, nil
}

func createPartitions(ctx context.Context, r Requester, topics []RaiseTopic) ([]error, time.Duration, error) {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = int32(adminTimeout.Milliseconds())
	at, err := placesOf(topics, func(t *RaiseTopic) string { return t.Name })
	if err != nil {
		return nil, 0, err
	}
	for _, t := range topics {
		one := kmsg.NewCreatePartitionsRequestTopic()
		one.Topic, one.Count = t.Name, t.Total
		req.Topics = append(req.Topics, one)
	}
	resp, err := req.RequestWith(ctx, r)
	if err != nil {
		return nil, 0, err
	}
	throttle := time.Duration(resp.ThrottleMillis) * time.Millisecond
	out := make([]error, len(topics))
	for _, t := range resp.Topics {
		i, ok := at.take(t.Topic)
		if !ok {
			continue
		}
		if err := Needs(withMessage(t.ErrorCode, t.ErrorMessage), "ALTER", t.Topic); err != nil {
			out[i] = fmt.Errorf("raising %s to %s: %w", t.Topic, words.Count(topics[i].Total, "partition"), err)
		}
	}
	if err := at.whole(len(topics), "topic"); err != nil {
		return nil, throttle, err
	}
	return out, throttle, nil
}

// CreatePartitions raises a topic's number of partitions to total;
// kerr.InvalidPartitions when it has as many or more.
func (c *Client) CreatePartitions(ctx context.Context, topic string, total int32) error {
	got, _, err := createPartitions(ctx, bound{c.kgo}, []RaiseTopic{{topic, total}})
	if err != nil {
		return fmt.Errorf("raising %s to %s: %w", topic, words.Count(total, "partition"), err)
	}
	return got[0]
}

// ConfigEntry is one setting in effect.
type ConfigEntry struct {
	Name      string
	Value     string // empty when Sensitive
	Default   bool   // not set on this very topic or broker
	Sensitive bool
}

// ConfigsResult is the settings of one topic or broker in effect, by name.
type ConfigsResult struct {
	Entries []ConfigEntry
	Err     error // wraps a *kerr.Error, or nil
}

// ConfigsOf returns the settings of topics in effect, in their order.
func (c *Client) ConfigsOf(ctx context.Context, topics ...string) ([]ConfigsResult, error) {
	got, err := c.configsOf(ctx, topics)
	if err != nil {
		return nil, fmt.Errorf("reading configs of %s: %w", words.Count(len(topics), "topic"), err)
	}
	for i := range got {
		if got[i].Err != nil {
			got[i].Err = fmt.Errorf("reading configs of topic %s: %w", topics[i], got[i].Err)
		}
	}
	return got, nil
}

func (c *Client) configsOf(ctx context.Context, topics []string) ([]ConfigsResult, error) {
	return configs(ctx, bound{c.kgo}, kmsg.ConfigResourceTypeTopic, topics, kmsg.ConfigSourceDynamicTopicConfig)
}

// TopicConfigs is ConfigsOf one topic.
func (c *Client) TopicConfigs(ctx context.Context, topic string) ([]ConfigEntry, error) {
	got, err := c.configsOf(ctx, []string{topic})
	if err == nil {
		err = got[0].Err
	}
	if err != nil {
		return nil, fmt.Errorf("reading configs of topic %s: %w", topic, err)
	}
	return got[0].Entries, nil
}

// BrokerConfigs returns the settings of a broker in effect, by name, as that
// broker tells them.
func (c *Client) BrokerConfigs(ctx context.Context, broker int32) ([]ConfigEntry, error) {
	got, err := configs(ctx, c.Broker(broker), kmsg.ConfigResourceTypeBroker, []string{fmt.Sprint(broker)},
		kmsg.ConfigSourceDynamicBrokerConfig, kmsg.ConfigSourceStaticBrokerConfig, kmsg.ConfigSourceDynamicDefaultBrokerConfig)
	if err == nil {
		err = got[0].Err
	}
	if errors.Is(err, kerr.ClusterAuthorizationFailed) {
		err = fmt.Errorf("DESCRIBE_CONFIGS on the cluster is needed: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading configs of broker %d: %w", broker, err)
	}
	return got[0].Entries, nil
}

// configs asks r for resources of a kind; what comes from none of the sources
// own is a default. By kadm one topic that may not be seen would fail them all,
// without the broker's words.
func configs(ctx context.Context, r Requester, kind kmsg.ConfigResourceType, names []string, own ...kmsg.ConfigSource) ([]ConfigsResult, error) {
	if len(names) == 0 {
		return nil, nil
	}
	req := kmsg.NewPtrDescribeConfigsRequest()
	at, err := placesOf(names, func(name *string) string { return *name })
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		resource := kmsg.NewDescribeConfigsRequestResource()
		resource.ResourceType, resource.ResourceName = kind, name
		req.Resources = append(req.Resources, resource)
	}
	resp, err := req.RequestWith(ctx, r)
	if err != nil {
		return nil, err
	}
	out := make([]ConfigsResult, len(names))
	for _, got := range resp.Resources {
		i, ok := at.take(got.ResourceName)
		if !ok {
			continue
		}
		out[i].Err = Needs(withMessage(got.ErrorCode, got.ErrorMessage), "DESCRIBE_CONFIGS", got.ResourceName)
		out[i].Entries = configEntries(got.Configs, own)
	}
	if err := at.whole(len(names), "resource"); err != nil {
		return nil, err
	}
	return out, nil
}

func configEntries(configs []kmsg.DescribeConfigsResponseResourceConfig, own []kmsg.ConfigSource) []ConfigEntry {
	out := make([]ConfigEntry, len(configs))
	for i, e := range configs {
		out[i] = ConfigEntry{Name: e.Name, Default: !slices.Contains(own, e.Source), Sensitive: e.IsSensitive}
		if e.Value != nil && !e.IsSensitive {
			out[i].Value = *e.Value
		}
	}
	slices.SortFunc(out, func(a, b ConfigEntry) int { return strings.Compare(a.Name, b.Name) })
	return out
}

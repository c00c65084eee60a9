package kafka

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/words"
)

// Right is an operation of Kafka's access control.
type Right kmsg.ACLOperation

// The rights that are asked for.
const (
	RightRead            = Right(kmsg.ACLOperationRead)
	RightWrite           = Right(kmsg.ACLOperationWrite)
	RightAlter           = Right(kmsg.ACLOperationAlter)
	RightDescribeConfigs = Right(kmsg.ACLOperationDescribeConfigs)
)

func (r Right) String() string { return kmsg.ACLOperation(r).String() }

// Rights are what the client's user may do with something, one bit for each
// Right (KIP-430).
type Rights int32

// rightsUnknown is told by brokers that do not tell.
const rightsUnknown = math.MinInt32

// Lack gives those of the wanted rights that are not there; none where the
// broker did not tell.
func (r Rights) Lack(wanted ...Right) []Right {
	if r == rightsUnknown {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(wanted), func(w Right) bool { return r>>w&1 == 1 })
}

const topicsOfRights = 500 // of one request

// TopicRights returns what this user may do with topics, by name; those
// that are not there, or not to be seen, are left out.
func (b Broker) TopicRights(ctx context.Context, topics []string) (map[string]Rights, error) {
	out := make(map[string]Rights, len(topics))
	for part := range slices.Chunk(topics, topicsOfRights) {
		req := kmsg.NewPtrMetadataRequest()
		req.IncludeTopicAuthorizedOperations = true
		for _, name := range part {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = new(name)
			req.Topics = append(req.Topics, t)
		}
		resp, err := req.RequestWith(ctx, b)
		if err != nil {
			return nil, fmt.Errorf("asking for the rights on %s: %w", words.Count(len(topics), "topic"), err)
		}
		for _, t := range resp.Topics {
			if t.Topic != nil && kerr.ErrorForCode(t.ErrorCode) == nil {
				out[*t.Topic] = Rights(t.AuthorizedOperations)
			}
		}
	}
	return out, nil
}

package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/words"
)

// LogBytes returns how many bytes the broker's replicas of the topics hold, by
// topic and partition; those that it has no replica of are left out. It needs
// DESCRIBE on the Kafka cluster.
func (b Broker) LogBytes(ctx context.Context, topics map[string][]int32) (map[string]map[int32]int64, error) {
	req := kmsg.NewPtrDescribeLogDirsRequest()
	for topic, partitions := range topics {
		t := kmsg.NewDescribeLogDirsRequestTopic()
		t.Topic, t.Partitions = topic, partitions
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("asking for the sizes of %s: %w", words.Count(len(topics), "topic"), err)
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, fmt.Errorf("asking for the sizes of %s: %w", words.Count(len(topics), "topic"), err)
	}
	out := map[string]map[int32]int64{}
	refused := error(nil)
	for _, dir := range resp.Dirs {
		if err := kerr.ErrorForCode(dir.ErrorCode); err != nil {
			refused = fmt.Errorf("asking for the sizes of %s: log dir %s: %w", words.Count(len(topics), "topic"), dir.Dir, err)
			continue
		}
		for _, t := range dir.Topics {
			for _, p := range t.Partitions {
				if p.IsFuture { // a copy that is being made in another log dir
					continue
				}
				if out[t.Topic] == nil {
					out[t.Topic] = map[int32]int64{}
				}
				out[t.Topic][p.Partition] = p.Size
			}
		}
	}
	return out, refused
}

package load

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// reader reads the committed records of one partition from one offset up to another. It knows that
// it is at the end even where the last offsets hold nothing that a consumer is shown (markers,
// aborted records, what a cleaner removed).
type reader struct {
	cl        *kgo.Client
	topic     string
	partition int32
	next, end int64
	maxBytes  int32

	id     [16]byte
	leader int32
	decomp kgo.Decompressor
}

const fetchBytes = 4 << 20

func newReader(cl *kgo.Client, topic string, partition int32, from, end int64) *reader {
	return &reader{cl: cl, topic: topic, partition: partition, next: from, end: end, maxBytes: fetchBytes,
		leader: -1, decomp: kgo.DefaultDecompressor()}
}

func (r *reader) done() bool { return r.next >= r.end }

// read returns the next records below the end, perhaps none. Leaders that move and brokers that are
// away are waited for until ctx ends.
func (r *reader) read(ctx context.Context) ([]*kgo.Record, error) {
	var recs []*kgo.Record
	err := poll(ctx, func() error {
		if r.leader < 0 {
			if err := r.findLeader(ctx); err != nil {
				return err
			}
		}
		var err error
		if recs, err = r.fetch(ctx); err != nil {
			r.leader = -1
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s/%d at %d: %w", r.topic, r.partition, r.next, err)
	}
	for i, rec := range recs {
		if rec.Offset >= r.end {
			r.next = r.end
			return recs[:i], nil
		}
	}
	return recs, nil
}

func (r *reader) findLeader(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	meta, err := kadm.NewClient(r.cl).Metadata(ctx, r.topic)
	if err != nil {
		return err
	}
	t := meta.Topics[r.topic]
	p, ok := t.Partitions[r.partition]
	switch {
	case t.Err != nil:
		return t.Err
	case !ok:
		return kerr.UnknownTopicOrPartition
	case p.Leader < 0:
		return kerr.LeaderNotAvailable
	}
	r.id, r.leader = t.ID, p.Leader
	return nil
}

// fetch asks once and moves next on.
func (r *reader) fetch(ctx context.Context) ([]*kgo.Record, error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.IsolationLevel = 500, 1, r.maxBytes, 1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = r.topic, r.id
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = r.partition, r.next, r.maxBytes
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	got, err := r.cl.Broker(int(r.leader)).Request(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := got.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("%d topics in a fetch response", len(resp.Topics))
	}
	part, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: r.next, IsolationLevel: kgo.ReadCommitted(), Topic: r.topic, Partition: r.partition,
	}, &resp.Topics[0].Partitions[0], r.decomp, nil)
	if part.Err != nil {
		return nil, part.Err
	}
	r.next = max(r.next, next)
	return part.Records, nil
}

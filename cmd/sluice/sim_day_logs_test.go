package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
)

// side is a Kafka cluster, and a client of somebody who is not Sluice.
type side struct {
	name, host string
	kafka      *kfake.Cluster
	mends      *mends
	client     *kgo.Client
}

// deleteTopic deletes a topic, if it is there.
func (x *side) deleteTopic(name string) error {
	info := x.kafka.TopicInfo(name)
	if info == nil {
		return nil
	}
	x.mends.bury(info.TopicID)
	return x.kafka.DeleteTopic(name)
}

// kept is one record of a log.
type kept struct {
	offset int64
	id     string // "topic partition birth number"
	sum    [sha256.Size]byte
}

// partLog is a partition's log as a consumer of committed records sees it.
type partLog struct {
	there      bool
	topic      [16]byte
	start, end int64
	records    []kept
}

// read reads a partition whole.
func (x *side) read(topic string, p int32) (partLog, error) {
	info, at := x.kafka.TopicInfo(topic), x.kafka.PartitionInfo(topic, p)
	if info == nil || at == nil {
		return partLog{}, nil
	}
	l := partLog{there: true, topic: info.TopicID, start: at.LogStartOffset, end: at.LastStableOffset}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for next := l.start; next < l.end; {
		req := kmsg.NewPtrFetchRequest()
		req.MaxBytes, req.IsolationLevel = 32<<20, 1
		rt, rp := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
		rt.Topic, rt.TopicID = topic, info.TopicID
		rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = p, next, 32<<20
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		resp, err := x.client.Broker(int(x.kafka.LeaderFor(topic, p))).RetriableRequest(ctx, req)
		if err != nil {
			return l, fmt.Errorf("reading %s/%d: %w", topic, p, err)
		}
		got := resp.(*kmsg.FetchResponse)
		if len(got.Topics) != 1 {
			return l, fmt.Errorf("reading %s/%d at %d: no answer", topic, p, next)
		}
		fp, to := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: next, IsolationLevel: kgo.ReadCommitted(), Topic: topic, Partition: p},
			&got.Topics[0].Partitions[0], kgo.DefaultDecompressor(), nil)
		if fp.Err != nil || to == next {
			return l, fmt.Errorf("reading %s/%d at %d of %d: %w", topic, p, next, l.end, fp.Err)
		}
		for _, r := range fp.Records {
			l.records = append(l.records, keep(r))
		}
		next = to
	}
	return l, nil
}

func keep(r *kgo.Record) kept {
	id := strings.Join(strings.SplitN(string(r.Value), " ", 5)[:4], " ")
	return kept{r.Offset, id, sha256.Sum256(fmt.Appendf(nil, "%d %q %q %v", r.Timestamp.UnixMilli(), r.Key, r.Value, r.Headers))}
}

// born tells the topic and partition that a record was written to, and when, in
// numbers that grow.
func (k kept) born() (from string, birth, number int) {
	var topic string
	var p int
	if _, err := fmt.Sscanf(k.id, "%s %d %d %d", &topic, &p, &birth, &number); err != nil {
		return "", 0, 0
	}
	return fmt.Sprintf("%s/%d", topic, p), birth, number
}

// comparison is what the logs of both sides say of a stream.
type comparison struct {
	same    int64    // records that are at both sides
	missing []kept   // at the source alone
	wrong   []string // what may never be, whatever anybody ordered
}

// compareLogs compares the logs of a stream, and the places of its records with
// what its mapping promises.
func compareLogs(from string, source, target partLog, m *fsm.Mapping) comparison {
	var c comparison
	wrong := func(format string, args ...any) {
		if len(c.wrong) < 5 {
			c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
		}
	}
	at := make(map[string]kept, len(target.records))
	there := make(map[string]bool, len(source.records))
	oldest, first := 1<<31, 0 // what the source holds begins there
	for i, r := range source.records {
		there[r.id] = true
		if i == 0 {
			_, oldest, first = r.born()
		}
	}
	birth, number := 0, -1
	for _, r := range target.records {
		at[r.id] = r
		origin, b, n := r.born()
		switch {
		case origin != from:
			wrong("target offset %d holds %q, which is not of %s", r.offset, r.id, from)
		case b < birth || b == birth && n <= number:
			wrong("target offset %d holds %q behind number %d of birth %d: twice, or out of order", r.offset, r.id, number, birth)
		}
		if b == oldest && n > first && !there[r.id] {
			wrong("target offset %d holds %q, which the source does not show", r.offset, r.id)
		}
		birth, number = b, n
	}
	for _, r := range source.records {
		copied, ok := at[r.id]
		if !ok {
			c.missing = append(c.missing, r)
			continue
		}
		c.same++
		if copied.sum != r.sum {
			wrong("source offset %d and target offset %d differ in %q", r.offset, copied.offset, r.id)
		}
		if m == nil || m.SourceTopicID != source.topic || m.TargetTopicID != target.topic {
			continue
		}
		if want, ok := promised(m, r.offset, copied.offset); ok && want != copied.offset {
			wrong("source offset %d stands at target offset %d, promised is %d", r.offset, copied.offset, want)
		}
	}
	return c
}

// promised is where the mapping says that a record stands; false: it says
// nothing exact of it, as of one that an earlier generation copied.
func promised(m *fsm.Mapping, source, target int64) (int64, bool) {
	s := m.Segments
	i, found := slices.BinarySearchFunc(s, source, func(s fsm.Segment, to int64) int { return int(s.Source - to) })
	if !found {
		i--
	}
	exact := m.Phase == fsm.PhaseDense || i >= len(s)-fsm.MaxSegments/4
	if i < 0 || target < s[0].Target || !exact {
		return 0, false
	}
	return source + s[i].Shift(), true
}

// spans words which source offsets are missing.
func spans(rs []kept) string {
	if len(rs) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d records from source offset %d (%s) to %d (%s)", len(rs), rs[0].offset, rs[0].id, rs[len(rs)-1].offset, rs[len(rs)-1].id)
}

package stream

import (
	"context"
	"fmt"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/replication/recovery"
	"sluice/replication/wire"
	"sluice/words"
)

// fillHead takes the target's offsets before the source's first record; nil: all,
// or as many as were taken until the stream is to end.
func fillHead(s *Stream, sit *recovery.Situation, step recovery.Fill) *recovery.Fault {
	t, m := &s.logs.target, sit.Task.Mapping
	s.progress.show(fsm.CodeFilling, filled(step.Target, step.To, 0))
	stamp, err := s.logs.firstStamp(s.ctx, step.To, sit.Now)
	if err == nil {
		began := time.Now()
		err = t.fresh.use(s.ctx, t.Cluster, t.place.Leader, func(conn *kafka.Conn) error {
			return s.conns.FillHead(s.ctx, conn, wire.Head{
				Task: s.assigned.id, Turn: s.assigned.turn,
				Partition:  kafka.ProducePartition{Topic: t.topic, TopicID: m.TargetTopicID, Partition: t.partition},
				ProducerID: m.ProducerID, Epoch: m.ProducerEpoch, Sequence: step.Sequence, Stamp: stamp, Target: step.Target, To: step.To,
				Told: func(at int64) {
					left := time.Duration(float64(time.Since(began)) * float64(step.To-at) / float64(at-step.Target))
					s.progress.show(fsm.CodeFilling, filled(at, step.To, left))
				},
			}, s.drain)
		})
	}
	if err == nil {
		s.memory.Attempts = 0
		return nil
	}
	f := wire.FaultOf(err, false)
	s.expectOldRequests(s.cfg.lifetimes().Ended(f, false))
	return &f
}

// filled says how far a stream is with filling; left is 0 while that is not known.
func filled(at, to int64, left time.Duration) string {
	text := fmt.Sprintf("%d of %s before the source's first record are taken", at, words.Count(to, "offset"))
	if left > 0 {
		text += fmt.Sprintf(", about %v left", left.Round(time.Second))
	}
	return text
}

// firstStamp is the timestamp of the source's first record from an offset on;
// where there is none, now.
func (l *logs) firstStamp(ctx context.Context, from, now int64) (int64, error) {
	end, err := l.source.stableEnd(ctx)
	if err != nil {
		return 0, err
	}
	stamp := now
	err = l.source.scan(ctx, span{from: from, to: end}, func(b record.Batch) error {
		h := b.Header()
		if stamp = h.BaseTimestamp; h.Attributes&record.AttrLogAppendTime != 0 {
			stamp = h.MaxTimestamp
		}
		return errEnough
	})
	return stamp, err
}

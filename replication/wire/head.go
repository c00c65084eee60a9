package wire

import (
	"context"
	"errors"
	"fmt"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/replication/offsets"
	"sluice/replication/recovery"
)

// Head is a range of a target partition's offsets that is to be taken by empty
// records, from the log end on.
type Head struct {
	Task       fsm.TaskID
	Turn       uint64
	Partition  kafka.ProducePartition // without its batch
	ProducerID int64
	Epoch      int16
	Sequence   int32 // of the first record
	Stamp      int64 // ms, of all records
	Target, To int64 // log end, and the end of the range
	Told       func(at int64)
}

// headLeast is how many records a batch is made smaller to.
const headLeast = 1_000

// FillHead takes the range's offsets, one request at a time, until stop is closed.
// As nothing guards such old records, each is sent only while a leader has
// confirmed lately whose stream it is.
func (c *Conns) FillHead(ctx context.Context, conn *kafka.Conn, h Head, stop <-chan struct{}) error {
	most, batch := headBatch, record.Batch(nil)
	for h.Target < h.To {
		select {
		case <-stop:
			return nil
		default:
		}
		n := int(min(h.To-h.Target, int64(most)))
		if batch == nil || int(batch.Header().Count) != n {
			var err error
			if batch, err = emptyRecords(n, h.Stamp); err != nil {
				return err
			}
		}
		if err := c.heads.WaitN(ctx, n); err != nil {
			return err
		}
		record.Rewrite(batch, h.ProducerID, h.Epoch, h.Sequence)
		f := c.appendHead(ctx, conn, &h, batch)
		if f != nil && f.Code == fsm.CodeRecordTooLarge && n > headLeast {
			most, batch = n/2, nil
			continue
		}
		if f != nil {
			return *f
		}
		h.Target, h.Sequence = h.Target+int64(n), offsets.NextSequence(h.Sequence, int32(n))
		h.Told(h.Target)
	}
	return nil
}

// appendHead sends one batch and waits for its answer.
func (c *Conns) appendHead(ctx context.Context, conn *kafka.Conn, h *Head, batch record.Batch) *recovery.Fault {
	part := h.Partition
	part.Batch = batch
	type answer struct {
		got kafka.ProducedPartition
		err error
	}
	told := make(chan answer, 1)
	err := conn.Produce(&kafka.ProduceRequest{
		Timeout: c.cfg.Lifetime, Partitions: []kafka.ProducePartition{part}, BeforeWrite: func() error { return c.leaseHolds(h.Task, h.Turn) },
	}, func(r kafka.ProduceResponse, err error) {
		a := answer{err: err}
		if err == nil {
			a.got = r.Partitions[0]
		}
		told <- a
	})
	if err != nil {
		f := unanswered(err)
		return &f
	}
	var a answer
	select {
	case a = <-told:
	case <-ctx.Done():
		conn.Close() // the batch is not touched any more then
		a = <-told
	}
	var f recovery.Fault
	switch got := &a.got; {
	case a.err != nil:
		f = unanswered(a.err)
		f.Perhaps = f.Perhaps || errors.Is(a.err, kafka.ErrPerhapsSent)
	case got.ErrorCode != 0:
		if f = refusal(got, part.Topic); f.Code == fsm.CodeKeylessRecord {
			f.Code, f.Message = fsm.CodeIdentityLost, "the target topic is compacted and takes no records without a key, so the offsets before the source's first record cannot be taken; offsets: auto does not need them"
		}
	case got.BaseOffset != h.Target:
		f = recovery.AtTarget(recovery.Unsure, fsm.CodeStarting, h.Target, got.BaseOffset, fmt.Sprintf("another writer's records stand in the target: filler stands at %d instead of %d", got.BaseOffset, h.Target))
	default:
		return nil
	}
	return &f
}

// emptyRecords makes a batch of records without key and value.
func emptyRecords(n int, stamp int64) (record.Batch, error) {
	var b record.Builder
	for range n {
		b.Add(&record.Record{Timestamp: stamp})
	}
	return record.NewCodec().Build(nil, record.CodecZstd, &b)
}

package wire

import (
	"context"
	"errors"
	"sync"

	"sluice/kafka/record"
	"sluice/replication/pipe"
	"sluice/replication/rewrite"
)

// openers lend what batches are opened with, once the memory for that is
// reserved. They have a share of their own, and whoever has borrowed waits for
// nothing until he gives back: so he who holds fetched batches may wait here.
type openers struct {
	share *Share
	join  sync.Once // with the first batch that has to be opened

	mu   sync.Mutex
	idle []*rewrite.Rebuilder
}

// maxIdle bounds the Rebuilders that are kept, which no budget knows of: a few
// megabytes each.
const maxIdle = 4

// get waits until a batch may be opened that decompresses to at most room
// bytes.
func (o *openers) get(ctx context.Context, room int) (*rewrite.Rebuilder, error) {
	o.join.Do(o.share.Join)
	if err := o.share.Reserve(ctx, rewrite.Memory(room)); err != nil {
		return nil, err
	}
	return o.lend(room), nil
}

// try is get for who does not wait; nil: there is no memory now.
func (o *openers) try(room int) *rewrite.Rebuilder {
	o.join.Do(o.share.Join)
	if !o.share.Try(rewrite.Memory(room)) {
		return nil
	}
	return o.lend(room)
}

// lend hands one out, for which memory is reserved.
func (o *openers) lend(room int) *rewrite.Rebuilder {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := rewrite.NewRebuilder()
	if last := len(o.idle) - 1; last >= 0 {
		r, o.idle = o.idle[last], o.idle[:last]
	}
	r.Room = room
	return r
}

func (o *openers) put(r *rewrite.Rebuilder) {
	defer o.share.Release(rewrite.Memory(r.Room))
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.idle) < maxIdle {
		o.idle = append(o.idle, r)
	}
}

// open is Conns.Open.
func (o *openers) open(ctx context.Context, b record.Batch, most int, f func(record.Records) error) error {
	for room := rewrite.FirstRoom(b, most); ; room = rewrite.NextRoom(room, most) {
		r, err := o.get(ctx, room)
		if err != nil {
			return err
		}
		rs, err := r.Open(b)
		if err == nil {
			err = f(rs)
		}
		o.put(r)
		if room == most || !errors.Is(err, record.ErrOverBudget) {
			return err
		}
	}
}

// merge makes one batch of the pipe's next ones where several small ones wait, at
// most most bytes large, in memory of the target's share. Without memory to do it
// they go as they are. Called with the partition's lock held.
func (o *openers) merge(q *pipe.Pipe, most int, share *Share) {
	n, bytes := q.Mergeable(most)
	if n == 0 {
		return
	}
	if r := o.try(rewrite.MergeRoom(bytes)); r != nil {
		defer o.put(r)
		q.Merge(most, r, share.apart)
	}
}

// apart is the memory of a batch that has outgrown its place, or was made of others.
type apart struct {
	share *Share
	bytes int
}

// apart is memory of the share for a batch of so many bytes.
func (s *Share) apart(bytes int) pipe.Memory { return apart{s, bytes} }

// Retain implements pipe.Memory; it is called once.
func (a apart) Retain() { a.share.Take(a.bytes) }

// Release implements pipe.Memory.
func (a apart) Release() { a.share.Release(a.bytes) }

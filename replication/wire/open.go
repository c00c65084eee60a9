package wire

import (
	"context"
	"errors"
	"sync"

	"sluice/kafka/record"
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
	o.mu.Lock()
	defer o.mu.Unlock()
	r := rewrite.NewRebuilder()
	if last := len(o.idle) - 1; last >= 0 {
		r, o.idle = o.idle[last], o.idle[:last]
	}
	r.Room = room
	return r, nil
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

// apart is the memory of a batch that has outgrown its place.
type apart struct {
	share *Share
	bytes int
}

// Retain implements pipe.Memory; it is called once.
func (a apart) Retain() { a.share.Take(a.bytes) }

// Release implements pipe.Memory.
func (a apart) Release() { a.share.Release(a.bytes) }

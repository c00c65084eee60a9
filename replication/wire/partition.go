package wire

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/pipe"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
)

// Partition is one partition on the wire: a pipe behind a lock, its fetcher
// and, by the pipe's route, its senders. Their goroutines call it; its owner
// only waits for its end.
type Partition struct {
	Ends
	conns   *Conns
	fetcher *Fetcher
	senders [2]*Sender        // by pipe.Route
	over    chan struct{}     // closed when the pipe has ended and nothing is in flight
	due     chan pipe.Verdict // asks the owner to look at the target, or to have offsets of it filled

	mu     sync.Mutex
	pipe   *pipe.Pipe
	listed bool // stands in a sender's list
	paused bool // nothing is fetched for it until it has room
}

// Ends says what a Partition joins.
type Ends struct {
	Task                       fsm.TaskID
	Turn                       uint64
	Link                       fsm.LinkID
	Topic, TargetTopic         string
	TopicID, TargetTopicID     [16]byte
	Number                     int32
	SourceLeader, TargetLeader int32
	SourceEpoch                int32 // leader epoch of the source
	Meter                      Meter
}

// Open joins a pipe to the connections of both sides and begins to fetch.
func Open(c *Conns, source, target Cluster, e Ends, s pipe.Start) *Partition {
	p := &Partition{
		Ends: e, conns: c, fetcher: c.fetcher(source, e.SourceLeader, e.Link, e.Meter),
		over: make(chan struct{}), due: make(chan pipe.Verdict, 1), pipe: pipe.New(s),
	}
	for _, route := range []pipe.Route{pipe.Guarded, pipe.Unguarded} {
		p.senders[route] = c.sender(target, e.TargetLeader, route, e.Task)
	}
	for _, s := range p.senders { // which find both from now on
		s.attach(p, p.leaseHolds)
	}
	part := p.part()
	part.Offset, part.LeaderEpoch, part.LastFetchedEpoch = s.Position.Source, e.SourceEpoch, s.Progress.SourceEpoch
	p.fetcher.attach(p, part)
	return p
}

// part names the partition at the source.
func (e *Ends) part() kafka.FetchPartition {
	return kafka.FetchPartition{Topic: e.Topic, TopicID: e.TopicID, Partition: e.Number}
}

// Over is closed when the pipe has ended and nothing of it is in flight.
func (p *Partition) Over() <-chan struct{} { return p.over }

// Due says when something has to be done before more is sent: pipe.Look, to look
// at the target, which Looked answers; pipe.Fill, to have those offsets of it
// filled that ToFill says, which Filled answers.
func (p *Partition) Due() <-chan pipe.Verdict { return p.due }

// Looked takes what a look at the target said: that it is as the pipe knows it
// (nil), or a fault.
func (p *Partition) Looked(f *recovery.Fault) {
	p.change(func(q *pipe.Pipe) { q.Looked(time.Now(), f) })
}

// ToFill says which.
func (p *Partition) ToFill() pipe.Gap {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pipe.ToFill()
}

// Filled takes what became of it: the target ends behind them (nil), or a fault.
func (p *Partition) Filled(f *recovery.Fault) {
	p.change(func(q *pipe.Pipe) { q.Filled(time.Now(), f) })
}

// Stop ends the pipe from outside.
func (p *Partition) Stop(f recovery.Fault) { p.change(func(q *pipe.Pipe) { q.End(f) }) }

// Expires notes after how many ms the target's brokers forget an idle producer.
func (p *Partition) Expires(after int64) { p.change(func(q *pipe.Pipe) { q.Expires(after) }) }

// Close takes the partition off its connections and returns how its pipe ended.
func (p *Partition) Close() pipe.Result {
	p.fetcher.detach(p, p.part())
	for _, s := range p.senders {
		s.detach(p)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pipe.Result()
}

// Checkpoint returns what is acknowledged, and the segments that came since the
// last call.
func (p *Partition) Checkpoint() (fsm.Progress, []fsm.Segment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pipe.Checkpoint()
}

// Status describes the pipe.
func (p *Partition) Status() pipe.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pipe.Status()
}

// Sight looks at the partition and its connections.
func (p *Partition) Sight(now time.Time) Sight {
	s := p.fetcher.sight(now)
	p.mu.Lock()
	s.Status = p.pipe.Status()
	if p.paused || s.Status.Told.After(s.Told) || s.Status.Told.IsZero() {
		s.Told = s.Status.Told
	}
	sender := p.senders[p.pipe.Route()]
	p.mu.Unlock()
	s.Target = sender.sight()
	return s
}

// HangUp ends the target's connection where it has been silent for so long
// about what is in flight: a former leader that hangs answers only by a
// time-out.
func (p *Partition) HangUp(silent time.Duration) {
	p.mu.Lock()
	hangs, s := p.pipe.Unanswered(time.Now()) > silent, p.senders[p.pipe.Route()]
	p.mu.Unlock()
	if hangs {
		s.hangUp()
	}
}

// change changes the pipe and does what follows from it.
func (p *Partition) change(f func(*pipe.Pipe)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.pipe)
	p.changed()
}

// changed tells a sender that something waits, and the owner that all is over.
// Called with mu held.
func (p *Partition) changed() {
	if p.pipe.Over() {
		select {
		case <-p.over:
		default:
			close(p.over)
		}
	}
	if !p.listed && p.pipe.Sendable() {
		p.listed = true
		p.senders[p.pipe.Route()].enqueue(p)
	}
}

// wants implements reader: what holds nothing wants more however short memory
// is.
func (p *Partition) wants() (more, lasting bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	more = p.pipe.Wants(p.Meter.Share.Short())
	p.paused = !more
	return more, p.pipe.Held() == 0
}

// coming implements reader.
func (p *Partition) coming(bytes int) {
	p.fetcher.limit.take(p.fetcher.broker, bytes, time.Now())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pipe.Coming(bytes)
}

// fetched implements reader.
func (p *Partition) fetched(f *kafka.FetchedPartition, buf *kafka.Buf) {
	switch {
	case f.ErrorCode != 0:
		fault := FaultOf(kafka.Needs(kerr.ErrorForCode(f.ErrorCode), "READ", p.Topic), true)
		fault.Range = recovery.Range{From: -1, To: f.LogStartOffset}
		p.Stop(fault)
	case f.Diverging.Epoch >= 0:
		fault := recovery.AtSource(recovery.Diverged, fsm.CodeSourceTruncated, f.Diverging.EndOffset, -1, "the source's log diverged")
		fault.Epoch = f.Diverging.Epoch
		p.Stop(fault)
	default:
		p.take(&pipe.Arrival{
			Records: f.Records, Aborted: f.Aborted, Stable: f.LastStableOffset, High: f.HighWatermark, At: time.Now(), Memory: buf,
			Apart: p.Meter.Share.apart,
		})
	}
}

// take hands over what was fetched. Memory for batches that have to be opened
// is waited for without the lock.
func (p *Partition) take(a *pipe.Arrival) {
	room, r := 0, (*rewrite.Rebuilder)(nil)
	for {
		p.change(func(q *pipe.Pipe) { room = q.Take(a, r) })
		if r != nil {
			p.conns.openers.put(r)
		}
		if room == 0 {
			return
		}
		var err error
		if r, err = p.conns.openers.get(p.conns.ctx, room); err != nil {
			return // the node ends
		}
	}
}

// pop implements writer. The partition moves to its other sender where the
// pipe's route has changed.
func (p *Partition) pop(s *Sender, room int, first bool) (kafka.ProducePartition, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listed = false
	now := time.Now()
	verdict := p.pipe.Next(now, p.conns.cfg.Now().UnixMilli(), p.leased)
	switch verdict {
	case pipe.Look, pipe.Fill:
		p.due <- verdict
	case pipe.Nothing:
		p.changed() // perhaps it ended
	case pipe.Ready:
		if p.senders[p.pipe.Route()] != s || p.pipe.NextSize() > room && !first {
			p.changed()
			break
		}
		p.conns.openers.merge(p.pipe, min(s.largestMerged(), room), p.Meter.Share)
		b := p.pipe.Pop(now)
		p.changed() // the next batch goes into the next request, which waits for no answer
		if p.paused && p.pipe.Held() < pipe.MaxHeld/2 {
			p.paused = false
			p.fetcher.wakeUp()
		}
		return kafka.ProducePartition{Topic: p.TargetTopic, TopicID: p.TargetTopicID, Partition: p.Number, Batch: b}, true
	case pipe.Hold:
	}
	return kafka.ProducePartition{}, false
}

func (p *Partition) leaseHolds() error { return p.conns.leaseHolds(p.Task, p.Turn) }

func (p *Partition) leased() bool { return p.leaseHolds() == nil }

// answered implements writer.
func (p *Partition) answered(r *kafka.ProducedPartition, err error) {
	p.change(func(q *pipe.Pipe) {
		switch {
		case err != nil:
			q.Refused(unanswered(err))
		case r.ErrorCode != 0:
			q.Refused(refusal(r, p.TargetTopic))
		default:
			records, bytes := q.Acknowledged(r.BaseOffset, time.Now())
			p.conns.acknowledged(records, bytes)
			p.Meter.Copied.add(records, bytes, p.conns.cfg.Now())
		}
	})
}

// reconnected implements writer: the first batch on the sender's new
// connection goes alone. On the old one nothing is in flight; what goes to the
// other sender is not concerned.
func (p *Partition) reconnected(s *Sender) {
	p.change(func(q *pipe.Pipe) {
		if p.senders[q.Route()] == s {
			q.Reconnected()
		}
	})
}

// unreadable ends the pipe; its owner looks for the leader and comes back.
func (p *Partition) unreadable(err error) { p.Stop(FaultOf(err, true)) }

// unwritable ends the pipe if its next batch goes to the sender.
func (p *Partition) unwritable(s *Sender, err error) {
	p.mu.Lock()
	here := p.senders[p.pipe.Route()] == s
	p.mu.Unlock()
	if here {
		p.Stop(FaultOf(err, false))
	}
}

package replication

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/replication/rewrite"
)

// lane fetches for many flows of a link over one connection to one source
// broker, in one incremental fetch session. One request is outstanding; the next is sent
// as soon as the answer's offsets are known, before its batches are handled.
type lane struct {
	site   *site
	broker int32
	wake   chan struct{}
	slow   *rewrite.Rebuilder // used on the connection's goroutine only

	mu      sync.Mutex
	subs    map[subKey]*sub
	dropped []kafka.FetchPartition // to be forgotten by the session
	conn    *kafka.Conn
	session int32
	epoch   int32
	request uint64 // number of the last request
	busy    bool   // a request is outstanding
	again   bool   // a look at who wants data is due within recheck
	failed  int    // requests in a row without a good answer
	err     error  // of the last of them
}

// subKey finds the sub of an answer: by topic id, or by name before v13.
type subKey struct {
	id        [16]byte
	topic     string
	partition int32
}

// sub is one flow's subscription to its partition.
type sub struct {
	f         *flow
	part      kafka.FetchPartition
	since     uint64 // first request that holds it; older answers are not for it
	dirty     bool   // must stand in the next request
	inSession bool
}

// recheck is how soon a flow that was left out is looked at again.
const recheck = 10 * time.Millisecond

func newLane(s *site, broker int32) *lane {
	return &lane{site: s, broker: broker, wake: make(chan struct{}, 1), subs: map[subKey]*sub{}, slow: rewrite.NewRebuilder()}
}

func keyOf(id [16]byte, topic string, partition int32) subKey {
	if id != ([16]byte{}) {
		topic = ""
	}
	return subKey{id, topic, partition}
}

// attach begins to fetch for a flow.
func (l *lane) attach(f *flow, p kafka.FetchPartition) {
	p.MaxBytes = int32(min(l.site.r.cfg.MaxFetch, 1<<20))
	key := keyOf(p.TopicID, p.Topic, p.Partition)
	l.mu.Lock()
	// Forgetting would win over asking in the same request. What is not
	// forgotten stays in the session, which whoever detaches next must know.
	held := len(l.dropped)
	l.dropped = slices.DeleteFunc(l.dropped, func(d kafka.FetchPartition) bool {
		return keyOf(d.TopicID, d.Topic, d.Partition) == key
	})
	l.subs[key] = &sub{f: f, part: p, since: l.request + 1, dirty: true, inSession: len(l.dropped) < held}
	l.mu.Unlock()
	l.resume()
}

// detach ends it; an answer under way is not delivered any more.
func (l *lane) detach(f *flow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, s := range l.subs {
		if s.f == f {
			delete(l.subs, k)
			if s.inSession {
				l.dropped = append(l.dropped, s.part)
			}
		}
	}
}

// resume looks again at who wants data.
func (l *lane) resume() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// recheck is resume after a while in which nobody wanted data.
func (l *lane) recheck() {
	l.mu.Lock()
	l.again = false
	l.mu.Unlock()
	l.resume()
}

// run keeps one fetch outstanding while any flow is attached.
func (l *lane) run(ctx context.Context) {
	backoff := time.Duration(0)
	for {
		select {
		case <-l.wake:
		case <-ctx.Done():
			return
		}
		err := l.step(ctx)
		if err == nil {
			backoff = 0
			continue
		}
		l.unreachable(err)
		backoff = min(max(2*backoff, 50*time.Millisecond), 2*time.Second)
		select {
		case <-time.After(backoff):
			l.resume()
		case <-ctx.Done():
			return
		}
	}
}

// step sends the next fetch if none is outstanding and somebody wants data.
func (l *lane) step(ctx context.Context) error {
	l.mu.Lock()
	conn, idle := l.conn, len(l.subs) == 0 && len(l.dropped) == 0
	failed, err := l.failed, l.err
	if failed > 1 {
		l.failed = 0
	}
	l.mu.Unlock()
	switch {
	case idle:
		return nil
	case failed > 1: // it can be dialled, and answers nothing
		return fmt.Errorf("fetching from broker %d of %s: %w", l.broker, l.site.name, err)
	}
	if conn == nil || conn.Err() != nil {
		if conn != nil {
			<-conn.Done()
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		c, err := l.site.dial(ctx, l.broker)
		if err != nil {
			return fmt.Errorf("connecting to broker %d of %s: %w", l.broker, l.site.name, err)
		}
		l.mu.Lock()
		l.conn, l.busy = c, false
		l.resetSession()
		l.mu.Unlock()
		conn = c
	}
	return l.fetch(conn)
}

// resetSession makes the next request a full one. Under l.mu.
func (l *lane) resetSession() {
	l.session, l.epoch, l.dropped = 0, 0, nil
	for _, s := range l.subs {
		s.inSession, s.dirty = false, true
	}
}

// fetch sends one request unless one is outstanding.
func (l *lane) fetch(conn *kafka.Conn) error {
	l.mu.Lock()
	if l.busy {
		l.mu.Unlock()
		return nil
	}
	req, some := l.build()
	if !some {
		l.mu.Unlock()
		return nil
	}
	l.busy = true
	l.request++
	number := l.request
	l.mu.Unlock()
	err := conn.Fetch(req, func(resp kafka.FetchResponse, err error) { l.answered(conn, number, resp, err) })
	if err != nil {
		l.mu.Lock()
		l.busy = false
		l.mu.Unlock()
	}
	return err
}

// build makes the next request of the session; false when nobody wants data.
// Under l.mu.
func (l *lane) build() (*kafka.FetchRequest, bool) {
	cfg := l.site.r.cfg
	req := &kafka.FetchRequest{
		MaxWait: cfg.MaxWait, MinBytes: 1, MaxBytes: int32(cfg.MaxFetch), Isolation: kafka.ReadCommitted,
		SessionID: l.session, SessionEpoch: l.epoch, Forgotten: l.dropped,
	}
	wanting := make(map[*sub]bool, len(l.subs))
	for _, s := range l.subs {
		if s.f.wantsData() {
			wanting[s] = true
		}
	}
	if len(wanting) == 0 {
		if len(l.subs) > 0 && !l.again { // a limit says when it lets go only when asked
			l.again = true
			time.AfterFunc(recheck, l.recheck)
		}
		return nil, false
	}
	for _, s := range l.subs {
		req.ByName = req.ByName || s.part.TopicID == [16]byte{} // brokers before 2.8
		if wanting[s] {
			if s.dirty || !s.inSession {
				req.Partitions = append(req.Partitions, s.part)
				s.dirty, s.inSession = false, true
			}
			continue
		}
		// It is full: leave it out, and look again soon.
		if s.inSession {
			req.Forgotten = append(req.Forgotten, s.part)
			s.inSession = false
		}
		req.MaxWait = min(req.MaxWait, recheck)
	}
	byTopic := func(a, b kafka.FetchPartition) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	}
	slices.SortFunc(req.Partitions, byTopic)
	slices.SortFunc(req.Forgotten, byTopic)
	l.dropped = nil
	return req, true
}

// delivery is what an answer holds for one flow.
type delivery struct {
	f *flow
	p kafka.FetchedPartition
}

// answered runs on the connection's goroutine.
func (l *lane) answered(conn *kafka.Conn, number uint64, resp kafka.FetchResponse, err error) {
	if resp.Buf != nil {
		defer resp.Buf.Release()
	}
	l.mu.Lock()
	l.busy = false
	if err == nil && resp.Err != nil {
		err = l.sessionError(resp.Err)
	}
	if err != nil {
		l.failed, l.err = l.failed+1, err
		l.mu.Unlock()
		l.resume()
		return
	}
	l.failed = 0
	if resp.SessionID != 0 {
		l.session = resp.SessionID
		l.epoch++
		if l.epoch <= 0 {
			l.epoch = 1
		}
	} else {
		l.resetSession()
	}
	got := l.collect(number, &resp)
	l.mu.Unlock()
	// The next request goes out before this answer is worked on.
	if l.fetch(conn) != nil {
		l.resume()
	}
	for i := range got {
		l.deliver(&got[i], resp.Buf)
	}
}

// sessionError judges an error of the whole answer: the session is begun
// anew, anything else ends the connection. Under l.mu.
func (l *lane) sessionError(err error) error {
	l.resetSession()
	if !isAny(err, kerr.FetchSessionIDNotFound, kerr.InvalidFetchSessionEpoch, kerr.FetchSessionTopicIDError) {
		l.conn.Close()
	}
	return err
}

// collect parses the answer, and moves each sub behind what was fetched.
// Under l.mu.
func (l *lane) collect(number uint64, resp *kafka.FetchResponse) []delivery {
	var got []delivery
	for {
		var p kafka.FetchedPartition
		ok, err := resp.Next(&p)
		if err != nil {
			l.conn.Close()
			return got
		}
		if !ok {
			return got
		}
		s := l.subs[keyOf(p.TopicID, string(p.Topic), p.Partition)]
		if s == nil || s.since > number {
			continue
		}
		if end, epoch, bytes := fetchedTo(p.Records); bytes > 0 {
			s.part.Offset, s.part.LastFetchedEpoch, s.dirty = end, epoch, true
			s.f.arriving(bytes)
		}
		got = append(got, delivery{s.f, p})
	}
}

// fetchedTo looks at the headers: where the last whole batch ends, its leader
// epoch, and the bytes of whole batches. A batch that cannot be split off is
// left for the flow to judge.
func fetchedTo(records []byte) (end int64, epoch int32, bytes int) {
	rest := records
	for {
		b, r, err := record.NextBatch(rest)
		if err != nil || b == nil {
			return end, epoch, bytes
		}
		end, epoch, bytes = b.LastOffset()+1, b.LeaderEpoch(), bytes+len(b)
		rest = r
	}
}

// deliver hands an answer to its flow.
func (l *lane) deliver(d *delivery, buf *kafka.Buf) {
	p := &d.p
	switch {
	case p.ErrorCode != 0:
		t := troubleOf(needs(kerr.ErrorForCode(p.ErrorCode), "READ", d.f.s.key.Topic), true)
		t.from, t.to = -1, p.LogStartOffset
		d.f.stop(t)
	case p.Diverging.Epoch >= 0:
		d.f.stop(trouble{remedy: checkRange, source: true, epoch: p.Diverging.Epoch, from: p.Diverging.EndOffset, to: -1, msg: "the source's log diverged"})
	default:
		d.f.take(p, buf, l.slow)
	}
}

// unreachable tells every flow that its source broker is not there.
func (l *lane) unreachable(err error) {
	l.mu.Lock()
	flows := make([]*flow, 0, len(l.subs))
	for _, s := range l.subs {
		flows = append(flows, s.f)
	}
	l.mu.Unlock()
	for _, f := range flows {
		f.stop(troubleOf(err, true))
	}
}

func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.conn.Close()
	}
}

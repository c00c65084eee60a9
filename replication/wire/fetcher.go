package wire

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/kafka"
)

// Fetcher reads many partitions of a link, so for one target, over one connection to one source
// broker, in one incremental fetch session. One request is outstanding; the
// next is sent as soon as the answer's offsets are known, before its batches
// are handled.
type Fetcher struct {
	cfg     *Config
	cluster Cluster
	broker  int32
	limit   *Limiter
	share   *Share
	wake    chan struct{}

	mu      sync.Mutex
	session session
	flight  flight // of conn
	conn    *kafka.Conn
	busy    bool      // a request is outstanding
	asked   time.Time // when the last one was sent
	heard   time.Time // when one was last answered: then all that stands in the session was as the broker had told
	blind   bool      // the last answer told nothing: the broker slows us down by a quota
	again   bool      // a look at who wants data is due within askAgain
	came    time.Time // when a partition was last attached
	failed  int       // requests in a row without a good answer
	err     error     // of the last of them
}

// askAgain is how soon a partition that was left out is looked at again.
const askAgain = 10 * time.Millisecond

// comeTogether is how long after one partition others are likely to come. They
// would wait with a request that waits for data, so it does not wait long, but
// the longer the more partitions a broker has to look at for its answer.
const (
	comeTogether = 500 * time.Millisecond
	perPartition = 100 * time.Microsecond
)

// trips is how many times what fills the way from the broker an answer is at
// most. One request is outstanding, and while it is on its way nothing comes: of
// an answer that takes n times as long as the way, that is a part in n.
const trips = 8

// partitionPart of an answer is a single partition's at most.
const partitionPart = 4

func newFetcher(cfg *Config, cluster Cluster, broker int32, m Meter) *Fetcher {
	return &Fetcher{
		cfg: cfg, cluster: cluster, broker: broker, limit: m.Limit, share: m.Share, wake: make(chan struct{}, 1),
		session: newSession(),
	}
}

func (f *Fetcher) attach(p reader, part kafka.FetchPartition) {
	f.mu.Lock()
	f.session.add(p, part)
	f.came = time.Now()
	f.mu.Unlock()
	f.wakeUp()
}

func (f *Fetcher) detach(p reader, part kafka.FetchPartition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.session.remove(p, part)
}

// wakeUp looks again at who wants data.
func (f *Fetcher) wakeUp() { nudge(f.wake) }

// run keeps one fetch outstanding while any partition is attached.
func (f *Fetcher) run(ctx context.Context) {
	backoff := time.Duration(0)
	for {
		select {
		case <-f.wake:
		case <-ctx.Done():
			return
		}
		err := f.step(ctx)
		if err == nil {
			backoff = 0
			continue
		}
		f.unreachable(err)
		backoff = min(max(2*backoff, 50*time.Millisecond), 2*time.Second)
		select {
		case <-time.After(backoff):
			f.wakeUp()
		case <-ctx.Done():
			return
		}
	}
}

// step sends the next fetch if none is outstanding and somebody wants data.
func (f *Fetcher) step(ctx context.Context) error {
	f.mu.Lock()
	conn, idle := f.conn, f.session.idle()
	failed, err := f.failed, f.err
	if failed > 1 {
		f.failed = 0
	}
	f.mu.Unlock()
	switch {
	case idle:
		return nil
	case failed > 1: // it can be dialled, and answers nothing
		return fmt.Errorf("fetching from broker %d of %s: %w", f.broker, f.cluster.Name(), err)
	}
	if conn == nil || conn.Err() != nil {
		if conn != nil {
			<-conn.Done()
		}
		if conn, err = f.dial(ctx); err != nil {
			return fmt.Errorf("connecting to broker %d of %s: %w", f.broker, f.cluster.Name(), err)
		}
	}
	return f.fetch(conn)
}

func (f *Fetcher) dial(ctx context.Context) (*kafka.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := f.cluster.Dial(ctx, f.broker)
	if err != nil {
		return nil, err
	}
	f.begin(conn, conn.RoundTrip())
	return conn, nil
}

// begin takes a new connection, of which only a round trip is known.
func (f *Fetcher) begin(conn *kafka.Conn, trip time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conn, f.flight, f.busy, f.blind = conn, flight{shortest: trip}, false, false
	f.session.reset()
}

// fetch sends one request unless one is outstanding.
func (f *Fetcher) fetch(conn *kafka.Conn) error {
	f.mu.Lock()
	if f.busy {
		f.mu.Unlock()
		return nil
	}
	req, some := f.build()
	if !some {
		f.mu.Unlock()
		return nil
	}
	f.busy, f.asked = true, time.Now()
	number := f.session.number
	f.mu.Unlock()
	err := conn.Fetch(req, func(resp kafka.FetchResponse, err error) { f.answered(conn, number, resp, err) })
	if err != nil {
		f.mu.Lock()
		f.busy = false
		f.mu.Unlock()
	}
	return err
}

// build makes the next request of the session; false when nobody wants data.
// Called with mu held.
func (f *Fetcher) build() (*kafka.FetchRequest, bool) {
	now := time.Now()
	fetch := f.flight.times(trips, f.cfg.Fetch)
	most := min(f.limit.allow(now), fetch, f.share.Fetch())
	f.session.maxBytes = int32(fetch / partitionPart)
	req := &kafka.FetchRequest{MaxWait: f.cfg.MaxWait, MinBytes: 1, MaxBytes: int32(most), Isolation: kafka.ReadCommitted, Budget: f.share}
	some, full := false, true
	if most > 0 {
		some, full = f.session.next(req)
	}
	switch {
	case some && full:
		req.MaxWait = min(req.MaxWait, askAgain)
	case some && now.Sub(f.came) < comeTogether:
		req.MaxWait = min(req.MaxWait, max(askAgain, perPartition*time.Duration(len(f.session.subs))))
	case !some && full && !f.again: // a limit says when it lets go only when asked
		f.again = true
		time.AfterFunc(askAgain, f.lookAgain)
	}
	return req, some
}

// lookAgain wakes the fetcher after a while in which nobody wanted data.
func (f *Fetcher) lookAgain() {
	f.mu.Lock()
	f.again = false
	f.mu.Unlock()
	f.wakeUp()
}

// answered runs on the connection's goroutine.
func (f *Fetcher) answered(conn *kafka.Conn, number uint64, resp kafka.FetchResponse, err error) {
	if resp.Buf != nil {
		defer resp.Buf.Release()
	}
	got, err := f.taken(conn, number, &resp, err)
	// The next request goes out before this answer is worked on.
	if err != nil || f.fetch(conn) != nil {
		f.wakeUp()
	}
	for i := range got {
		got[i].p.fetched(&got[i].f, resp.Buf)
	}
}

// taken moves the session behind an answer and returns what it holds. After an
// error of the whole answer the session is begun anew; where that is not enough
// the connection ends.
func (f *Fetcher) taken(conn *kafka.Conn, number uint64, resp *kafka.FetchResponse, err error) ([]delivery, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy = false
	if err == nil && resp.Err != nil {
		err = resp.Err
		f.session.reset()
		if !isAny(err, kerr.FetchSessionIDNotFound, kerr.InvalidFetchSessionEpoch, kerr.FetchSessionTopicIDError) {
			conn.Close()
		}
	}
	if err != nil {
		f.failed, f.err = f.failed+1, err
		return nil, err
	}
	f.failed = 0
	f.flight.returned(len(resp.Buf.Bytes()), resp.RTT, f.flight.answered)
	f.session.began(resp.SessionID)
	got, err := f.session.collect(number, resp)
	// A broker that is over a quota answers without looking at its logs.
	if f.blind = resp.Throttle > 0 && len(got) == 0; !f.blind {
		f.heard = time.Now()
	}
	if err != nil {
		conn.Close()
	}
	return got, nil
}

// isAny reports whether err is one of the targets.
func isAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

// sight is what can be seen of the source's broker.
func (f *Fetcher) sight(now time.Time) Sight {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := Sight{Told: f.heard, Blind: f.blind, Source: slowed(f.cluster, f.broker, f.conn)}
	if f.busy {
		s.Silent = max(0, min(now.Sub(f.asked), now.Sub(s.Source.Until)))
	}
	return s
}

// unreachable tells every partition that its source broker is not there.
func (f *Fetcher) unreachable(err error) {
	f.mu.Lock()
	all := make([]reader, 0, len(f.session.subs))
	for _, s := range f.session.subs {
		all = append(all, s.p)
	}
	f.mu.Unlock()
	for _, p := range all {
		p.unreadable(err)
	}
}

func (f *Fetcher) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn != nil {
		f.conn.Close()
	}
}

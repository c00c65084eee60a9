package verify

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/kafka/record"
)

// reader reads a range of one partition as items. It follows leader changes
// and lost connections for a while.
type reader struct {
	kafka *catalog.Cluster
	catalog.Partition
	topicID   [16]byte       // a topic that was recreated meanwhile is an error; zero: not checked
	met       bool           // the partition was found
	committed bool           // read_committed, else everything
	skip      map[int64]bool // producer ids whose records are passed over
	seed      maphash.Seed
	limits    Limits
	large     chan struct{} // see rooms

	next, end int64  // offset to read, offset to stop before
	floor     int64  // retention took what lay below while it was read; 0: nothing
	holes     []hole // batches that were not opened
	kept      *chunk // read and not received yet
	over      bool   // all of it was received

	filtering *filtering // nil: every record counts
	codec     *record.Codec
	scratch   []byte
	conn      *kafka.Conn
}

// Limits bound what one job takes.
type Limits struct {
	Parallel   int           // partitions at a time, of all jobs
	FetchBytes int32         // of one fetch answer
	Memory     kafka.Budget  // that answers count in; nil: none
	Budget     int           // bytes that one batch may decompress to; a larger one is not compared
	Records    int           // that one batch may hold; a larger one is not compared
	Keys       int           // of a compacted partition that may wait for a later record; records of others are not decided
	Wait       time.Duration // for the target to have what the source had at the start
	Retry      time.Duration // for a partition that cannot be read, in one try
	Tries      int           // for a partition that cannot be read
	Pause      time.Duration // between two of these
}

// errTopicChanged says that a topic was deleted or recreated meanwhile.
var errTopicChanged = errors.New("topic was deleted or recreated meanwhile")

// read returns the next records, some perhaps none; end is true after the
// last one. The slice is the caller's.
func (r *reader) read(ctx context.Context) (items []item, end bool, err error) {
	deadline := time.Now().Add(r.limits.Retry)
	for r.next < r.end || !r.met {
		before := r.next
		items, err = r.once(ctx)
		switch {
		case err == nil && (len(items) > 0 || r.next > before || r.next >= r.end):
			return items, r.next >= r.end, nil
		case ctx.Err() != nil:
			return nil, false, ctx.Err()
		case final(err), time.Now().After(deadline):
			if err == nil {
				err = fmt.Errorf("%w: no records at offset %d, which is below the end %d", kafka.ErrProtocol, r.next, r.end)
			}
			return nil, false, fmt.Errorf("reading %s/%d: %w", r.Topic, r.Number, err)
		}
		r.close()
		if !kafka.Pause(ctx, retryPause) {
			return nil, false, ctx.Err()
		}
	}
	return nil, true, nil
}

func (r *reader) close() {
	if r.conn != nil {
		r.conn.Close()
		<-r.conn.Done()
		r.conn = nil
	}
}

// once fetches and digests one answer. Where there is nothing to read, it sees
// that this is so of the same topic.
func (r *reader) once(ctx context.Context) ([]item, error) {
	if r.next >= r.end {
		_, err := r.find(ctx)
		return nil, err
	}
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	resp, err := r.fetch(ctx)
	if err != nil {
		return nil, err
	}
	defer resp.Buf.Release()
	p, err := resp.Only()
	if err != nil {
		return nil, err
	}
	err = kafka.Needs(kerr.ErrorForCode(p.ErrorCode), "READ", r.Topic)
	if errors.Is(err, kerr.OffsetOutOfRange) {
		return nil, r.trimmed(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	return r.digest(ctx, &p)
}

// trimmed goes on at the log start where that has passed next, else err holds.
// Brokers do not tell the log start with their refusal.
func (r *reader) trimmed(ctx context.Context, err error) error {
	q := kafka.OffsetQuery{Topic: r.Topic, Partition: r.Number, LeaderEpoch: -1, Timestamp: kafka.Earliest}
	start, failed := r.conn.Broker().ListOffsets(ctx, kafka.ReadUncommitted, []kafka.OffsetQuery{q})
	switch {
	case failed != nil:
		return failed
	case start[0].Err != nil:
		return start[0].Err
	case start[0].Offset <= r.next:
		return err
	}
	r.next = min(start[0].Offset, r.end)
	r.floor = r.next
	return nil
}

// connect dials the partition's leader unless the connection lives.
func (r *reader) connect(ctx context.Context) error {
	if r.conn != nil && r.conn.Err() == nil {
		return nil
	}
	r.close()
	at, err := r.find(ctx)
	if err != nil {
		return err
	}
	r.conn, err = r.kafka.Dial(ctx, at.Leader)
	return err
}

// find looks the partition up, and whether it is that of the same topic.
func (r *reader) find(ctx context.Context) (catalog.Place, error) {
	at, err := r.kafka.Find(ctx, r.Topic, r.Number, true)
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition),
		err == nil && at.TopicID != r.topicID && r.topicID != [16]byte{} && at.TopicID != [16]byte{}:
		return at, errTopicChanged
	case err != nil:
		return at, err
	case at.Leader < 0:
		return at, kerr.LeaderNotAvailable
	}
	r.topicID, r.met = at.TopicID, true
	return at, nil
}

// fetch asks for what follows.
func (r *reader) fetch(ctx context.Context) (kafka.FetchResponse, error) {
	o := kafka.FetchOptions{MaxWait: 500 * time.Millisecond, Budget: r.limits.Memory}
	if r.committed {
		o.Isolation = kafka.ReadCommitted
	}
	return r.conn.FetchOne(ctx, kafka.FetchPartition{
		Topic: r.Topic, TopicID: r.topicID, Partition: r.Number, Offset: r.next,
		LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: r.limits.FetchBytes,
	}, o)
}

// manyItems are enough of one answer; the rest is fetched again.
const manyItems = 50_000

// digest turns the batches of an answer into items, not too many at once, and
// moves next on. What stands before a batch that cannot be read is given first.
func (r *reader) digest(ctx context.Context, p *kafka.FetchedPartition) (items []item, err error) {
	aborted := record.NewAborted(p.Aborted)
	for batch, err := range record.Batches(p.Records) {
		if err == nil {
			items, err = r.digestBatch(ctx, items, batch, aborted)
		}
		if err != nil && len(items) > 0 {
			return items, nil
		}
		if err != nil || r.next >= r.end || len(items) >= manyItems {
			return items, err
		}
	}
	return items, nil
}

// digestBatch adds what is to be compared of a batch; one that is too large is
// noted as a hole.
func (r *reader) digestBatch(ctx context.Context, items []item, batch record.Batch, aborted *record.Aborted) ([]item, error) {
	h, err := record.ParseHeader(batch)
	if err != nil {
		return items, err
	}
	dropped, err := aborted.Skip(r.codec, batch)
	if err != nil {
		return items, err
	}
	if batch.BeginsBefore(r.end) && !dropped && !r.skip[h.ProducerID] && h.Attributes&record.AttrControl == 0 {
		before := len(items)
		items, err = r.open(ctx, items, batch)
		if errors.Is(err, record.ErrOverBudget) {
			from, to := max(h.BaseOffset, r.next), min(h.LastOffset()+1, r.end)
			if batch.Wrapper() { // how many it holds, and from where, is not known
				from, h.Count = r.next, int32(to-r.next)
			}
			r.holes = append(r.holes, hole{from, to, int64(h.Count)})
		} else if err != nil {
			return items[:before], err
		}
	}
	r.next = max(r.next, h.LastOffset()+1)
	return items, nil
}

// open adds the records of a batch. Of the large ones, which take memory beside
// the reader's own, one is open at a time.
func (r *reader) open(ctx context.Context, items []item, batch record.Batch) ([]item, error) {
	if int(batch.Count()) > r.limits.Records {
		return items, fmt.Errorf("%w: %d records", record.ErrOverBudget, batch.Count())
	}
	rs, err := r.codec.Open(batch, r.scratch, min(smallBatch, r.limits.Budget))
	if errors.Is(err, record.ErrOverBudget) && r.limits.Budget > smallBatch {
		if !enter(ctx, r.large) {
			return items, ctx.Err()
		}
		defer leave(r.large)
		rs, err = r.codec.Open(batch, nil, r.limits.Budget)
	} else if err == nil {
		r.scratch = rs.Scratch
	}
	if err == nil && int(rs.Header.Count) > r.limits.Records { // of a wrapper only now known
		err = fmt.Errorf("%w: %d records", record.ErrOverBudget, rs.Header.Count)
	}
	if err != nil {
		return items, err
	}
	for rec, err := range rs.All() {
		if err != nil {
			return items, err
		}
		if rec.Offset >= r.next && rec.Offset < r.end && r.filtering.holds(rec) {
			items = append(items, r.item(rec))
		}
	}
	return items, nil
}

// item digests one record. Null and empty differ. Headers are digested as
// decoded, not as encoded.
func (r *reader) item(rec *record.Record) item {
	it := item{offset: rec.Offset, timestamp: rec.Timestamp, key: r.sum(rec.Key), value: r.sum(rec.Value)}
	if rec.HeaderCount > 0 {
		var h maphash.Hash
		h.SetSeed(r.seed)
		var word [8]byte
		for k, v := range rec.Headers() {
			for _, sum := range []uint64{r.sum(k), r.sum(v)} {
				binary.LittleEndian.PutUint64(word[:], sum)
				_, _ = h.Write(word[:]) // never fails
			}
		}
		it.headers = h.Sum64()
	}
	return it
}

func (r *reader) sum(b []byte) uint64 {
	if b == nil {
		return 0
	}
	return maphash.Bytes(r.seed, b) | 1
}

// retryPause lies between two tries to reach a partition.
const retryPause = 200 * time.Millisecond

// chunk is what a reader hands over.
type chunk struct {
	items       []item
	holes       []hole
	end         bool
	next, floor int64
	left        int64 // records that the link's filter leaves out
}

// pump reads to the end, one answer ahead of the receiver. What was read and
// not received is kept for the next pump.
func (r *reader) pump(ctx context.Context, out chan<- chunk) error {
	defer r.close()
	for !r.over {
		if r.kept == nil {
			items, end, err := r.read(ctx)
			if err != nil {
				return err
			}
			r.kept = &chunk{items, r.holes, end, r.next, r.floor, r.filtering.taken()}
			r.holes = nil
		}
		select {
		case out <- *r.kept:
			r.kept, r.over = nil, r.kept.end
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func receive(ctx context.Context, from chan chunk, to *chunk) bool {
	select {
	case *to = <-from:
		return true
	case <-ctx.Done():
		return false
	}
}

// final reports whether another try gives the same.
func final(err error) bool {
	for _, is := range []error{
		record.ErrCorruptBatch, record.ErrUnsupportedFormat, errTopicChanged, kerr.UnknownTopicOrPartition,
		kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed,
	} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

package kafka

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/kafka/record"
)

// Isolation says how far a consumer reads.
type Isolation int8

const (
	// ReadUncommitted reads up to the high watermark.
	ReadUncommitted Isolation = 0
	// ReadCommitted reads up to the last stable offset and is told which
	// transactions were aborted.
	ReadCommitted Isolation = 1
)

// Fetch versions that we speak: 12 is the first with LastFetchedEpoch (Kafka
// 2.7), from 13 on topics go by id, and 17 changes nothing for consumers
// after 13 but what they may be told in tagged fields.
const (
	keyFetch        = 1
	minFetchVersion = 12
	idFetchVersion  = 13
	maxFetchVersion = 17
)

// FetchRequest is one fetch request (KIP-227 for sessions).
type FetchRequest struct {
	MaxWait      time.Duration // that the broker may wait for MinBytes
	MinBytes     int32
	MaxBytes     int32 // of the whole response; the first batch comes whole
	Isolation    Isolation
	SessionID    int32 // with SessionEpoch: 0, 0 makes a session; 0, -1 goes without
	SessionEpoch int32
	Rack         string
	ByName       bool             // name topics, as a session begun so must go on (version 12)
	Partitions   []FetchPartition // those of one topic next to each other
	Forgotten    []FetchPartition // Topic, TopicID and Partition are read
}

// FetchPartition is one partition of a fetch request.
type FetchPartition struct {
	Topic            string
	TopicID          [16]byte // used from version 13; one without id: version 12
	Partition        int32
	Offset           int64
	LeaderEpoch      int32 // current; -1: not checked
	LastFetchedEpoch int32 // of the last record we have; -1: no divergence check
	MaxBytes         int32
}

// FetchVersion returns the version that Fetch uses on this connection: with
// topic ids (13 and up) or, for withIDs false, with names.
func (c *Conn) FetchVersion(withIDs bool) (int16, error) {
	return c.cfg.versions.pick(keyFetch, minFetchVersion, maxFetchVersion, idFetchVersion, withIDs)
}

// Fetch queues a fetch request; req is not kept. done gets the response, or
// an error that is ErrNotSent or ErrPerhapsSent. Fetch itself fails, and done
// is not called, with ErrNotSent when the Conn is dead and with
// ErrUnsupported when the broker is too old.
func (c *Conn) Fetch(req *FetchRequest, done func(FetchResponse, error)) error {
	return c.fetch(req, nil, done)
}

// fetch is Fetch into buffers of the caller's; nil: the Conn's.
func (c *Conn) fetch(req *FetchRequest, into *Buffers, done func(FetchResponse, error)) error {
	withIDs := !req.ByName && haveIDs(req.Partitions) && haveIDs(req.Forgotten)
	version, err := c.FetchVersion(withIDs)
	if err != nil {
		return err
	}
	cl := c.newCall()
	cl.onFetch, cl.into, cl.wait = done, into, req.MaxWait
	cl.begin(keyFetch, version, c.cfg.clientID)
	cl.head = req.appendTo(cl.head, version)
	cl.finish()
	return c.enqueue(cl)
}

func haveIDs(parts []FetchPartition) bool {
	for i := range parts {
		if parts[i].TopicID == ([16]byte{}) {
			return false
		}
	}
	return true
}

// appendTo appends the request's body (protocol guide, "Fetch API").
func (req *FetchRequest) appendTo(dst []byte, version int16) []byte {
	if version <= 14 {
		dst = appendInt32(dst, -1) // replica id: a consumer
	}
	dst = appendInt32(dst, int32(req.MaxWait.Milliseconds()))
	dst = appendInt32(dst, req.MinBytes)
	dst = appendInt32(dst, req.MaxBytes)
	dst = append(dst, byte(req.Isolation))
	dst = appendInt32(dst, req.SessionID)
	dst = appendInt32(dst, req.SessionEpoch)
	dst = appendFetchTopics(dst, version, req.Partitions, appendFetchPartition)
	dst = appendFetchTopics(dst, version, req.Forgotten, appendForgotten)
	dst = appendCompactString(dst, req.Rack)
	return append(dst, 0)
}

// appendFetchTopics appends parts grouped by topic, each by one.
func appendFetchTopics(dst []byte, version int16, parts []FetchPartition, one func([]byte, *FetchPartition) []byte) []byte {
	topics := 0
	for i := range parts {
		if i == 0 || !sameTopic(&parts[i-1], &parts[i]) {
			topics++
		}
	}
	dst = appendLen(dst, topics)
	for len(parts) > 0 {
		n := 1
		for n < len(parts) && sameTopic(&parts[0], &parts[n]) {
			n++
		}
		if version >= idFetchVersion {
			dst = append(dst, parts[0].TopicID[:]...)
		} else {
			dst = appendCompactString(dst, parts[0].Topic)
		}
		dst = appendLen(dst, n)
		for i := range parts[:n] {
			dst = one(dst, &parts[i])
		}
		dst = append(dst, 0)
		parts = parts[n:]
	}
	return dst
}

func sameTopic(a, b *FetchPartition) bool { return a.TopicID == b.TopicID && a.Topic == b.Topic }

func appendFetchPartition(dst []byte, p *FetchPartition) []byte {
	dst = appendInt32(dst, p.Partition)
	dst = appendInt32(dst, p.LeaderEpoch)
	dst = appendInt64(dst, p.Offset)
	dst = appendInt32(dst, p.LastFetchedEpoch)
	dst = appendInt64(dst, -1) // log start: only followers have one
	dst = appendInt32(dst, p.MaxBytes)
	return append(dst, 0)
}

func appendForgotten(dst []byte, p *FetchPartition) []byte { return appendInt32(dst, p.Partition) }

// FetchResponse is a fetch response in its buffer, and a cursor over its
// partitions; a copy has a cursor of its own. It owns one reference to Buf,
// which the receiver releases.
type FetchResponse struct {
	Version   int16
	Throttle  time.Duration // the Conn obeys it by itself
	Err       error         // of the whole request, a *kerr.Error; no partitions then
	SessionID int32
	Buf       *Buf          // what Next gives aliases it
	RTT       time.Duration // from the first byte written to the last one read

	r      wireReader
	topics int // not begun
	parts  int // of the current topic, not read
	id     [16]byte
	name   []byte
}

// parseHead reads what comes before the partitions.
func (f *FetchResponse) parseHead() error {
	f.r = wireReader{b: f.Buf.Bytes()}
	f.r.skipTags() // of the response header
	f.Throttle = time.Duration(f.r.int32()) * time.Millisecond
	f.Err = kerr.ErrorForCode(f.r.int16())
	f.SessionID = f.r.int32()
	f.topics = f.r.arrayLen(2)
	if f.r.bad {
		return fmt.Errorf("%w: fetch response cut short", ErrProtocol)
	}
	return nil
}

// FetchedPartition is one partition of a fetch response.
type FetchedPartition struct {
	TopicID          [16]byte // from version 13 on
	Topic            []byte   // version 12; aliases the buffer
	Partition        int32
	ErrorCode        int16 // see kerr.ErrorForCode
	HighWatermark    int64
	LastStableOffset int64
	LogStartOffset   int64
	Diverging        EpochEnd            // Epoch -1: none
	CurrentLeader    Leader              // ID -1: not told
	PreferredReplica int32               // -1: none
	Aborted          []record.AbortedTxn // overwritten by the next Next on the same value
	Records          []byte              // aliases the buffer, may be written to; perhaps cut off in the last batch
}

// EpochEnd says where a leader epoch ended.
type EpochEnd struct {
	Epoch     int32
	EndOffset int64
}

// Leader is a partition's leader as a broker knows it.
type Leader struct {
	ID    int32 // -1: not told
	Epoch int32
}

// Next reads the next partition into p, without copying; false after the
// last. ErrProtocol: the rest is unreadable, and so is p.
func (f *FetchResponse) Next(p *FetchedPartition) (bool, error) {
	for f.parts == 0 {
		if f.topics == 0 {
			return false, nil
		}
		f.topics--
		if f.Version >= idFetchVersion {
			f.id = f.r.uuid()
		} else {
			f.name = f.r.compactBytes()
		}
		if f.parts = f.r.arrayLen(30); f.parts == 0 {
			f.r.skipTags()
		}
		if f.r.bad {
			return false, f.cutShort()
		}
	}
	f.parts--
	p.TopicID, p.Topic = f.id, f.name
	p.read(&f.r)
	if f.parts == 0 {
		f.r.skipTags()
	}
	if f.r.bad {
		return false, f.cutShort()
	}
	return true, nil
}

func (f *FetchResponse) cutShort() error {
	f.topics, f.parts = 0, 0
	return fmt.Errorf("%w: fetch response cut short", ErrProtocol)
}

// read reads one partition (protocol guide, "Fetch API", versions 12 and up).
func (p *FetchedPartition) read(r *wireReader) {
	p.Partition = r.int32()
	p.ErrorCode = r.int16()
	p.HighWatermark = r.int64()
	p.LastStableOffset = r.int64()
	p.LogStartOffset = r.int64()
	p.Aborted = p.Aborted[:0]
	for n := r.arrayLen(17); n > 0 && !r.bad; n-- {
		p.Aborted = append(p.Aborted, record.AbortedTxn{ProducerID: r.int64(), FirstOffset: r.int64()})
		r.skipTags()
	}
	p.PreferredReplica = r.int32()
	p.Records = r.compactBytes()
	p.Diverging, p.CurrentLeader = EpochEnd{Epoch: -1, EndOffset: -1}, Leader{ID: -1, Epoch: -1}
	r.tags(func(tag int, v *wireReader) {
		switch tag {
		case 0:
			p.Diverging = EpochEnd{Epoch: v.int32(), EndOffset: v.int64()}
		case 1:
			p.CurrentLeader = Leader{ID: v.int32(), Epoch: v.int32()}
		}
	})
}

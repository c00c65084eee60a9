package kafka

import (
	"fmt"
	"time"
)

// Produce versions that we speak: 9 is the first flexible one (Kafka 2.4),
// from 10 on a refusal may name the leader, from 13 on topics go by id.
const (
	keyProduce        = 0
	minProduceVersion = 9
	idProduceVersion  = 13
	maxProduceVersion = 13
)

// ProduceRequest is one produce request, always with acks=all.
type ProduceRequest struct {
	Timeout    time.Duration      // that the broker may wait for the replicas
	Partitions []ProducePartition // those of one topic next to each other, each partition once
	// BeforeWrite, when set, runs straight before the first byte is written.
	// Its error keeps the request from being sent and goes to done with
	// ErrNotSent. It runs on the writing goroutine and must not block.
	BeforeWrite func() error
}

// ProducePartition is the one batch of a partition.
type ProducePartition struct {
	Topic     string
	TopicID   [16]byte // used from version 13; one without id: up to version 12
	Partition int32
	Batch     []byte // not copied: must stay as it is until done is called
}

// ProduceResponse is valid inside the callback only.
type ProduceResponse struct {
	Throttle   time.Duration       // the Conn obeys it by itself
	RTT        time.Duration       // from the first byte written to the last one read
	Partitions []ProducedPartition // in the order of the request's
}

// ProducedPartition is the broker's answer for one partition.
type ProducedPartition struct {
	ErrorCode      int16 // see kerr.ErrorForCode
	BaseOffset     int64 // -1: not appended
	LogAppendTime  int64 // ms since 1970; -1: the topic uses CreateTime
	LogStartOffset int64 // -1: unknown
	ErrorMessage   string
	CurrentLeader  Leader // ID -1: not told

	answered bool
}

// ProduceVersion returns the version that Produce uses on this connection:
// with topic ids (13) or, for withIDs false, with names.
func (c *Conn) ProduceVersion(withIDs bool) (int16, error) {
	return c.cfg.versions.pick(keyProduce, minProduceVersion, maxProduceVersion, idProduceVersion, withIDs)
}

// Produce queues a produce request; req is not kept, its batches are until
// done is called. done gets the response, or an error that is ErrNotSent or
// ErrPerhapsSent. Produce itself fails, and done is not called, with
// ErrNotSent when the Conn is dead and with ErrUnsupported when the broker is
// too old.
func (c *Conn) Produce(req *ProduceRequest, done func(ProduceResponse, error)) error {
	withIDs := true
	for i := range req.Partitions {
		withIDs = withIDs && req.Partitions[i].TopicID != [16]byte{}
	}
	version, err := c.ProduceVersion(withIDs)
	if err != nil {
		return err
	}
	cl := c.newCall()
	cl.onProduce, cl.wait, cl.beforeWrite = done, req.Timeout, req.BeforeWrite
	cl.begin(keyProduce, version, c.cfg.clientID)
	req.encode(cl)
	cl.finish()
	return c.enqueue(cl)
}

// encode appends the request's body (protocol guide, "Produce API") to cl.
func (req *ProduceRequest) encode(cl *call) {
	cl.head = append(cl.head, 0)       // no transactional id
	cl.head = appendInt16(cl.head, -1) // acks=all
	cl.head = appendInt32(cl.head, int32(req.Timeout.Milliseconds()))
	parts, topics := req.Partitions, 0
	for i := range parts {
		if i == 0 || !sameProduceTopic(&parts[i-1], &parts[i]) {
			topics++
		}
	}
	cl.head = appendLen(cl.head, topics)
	for len(parts) > 0 {
		n := 1
		for n < len(parts) && sameProduceTopic(&parts[0], &parts[n]) {
			n++
		}
		if cl.version >= idProduceVersion {
			cl.head = append(cl.head, parts[0].TopicID[:]...)
		} else {
			cl.head = appendCompactString(cl.head, parts[0].Topic)
		}
		cl.head = appendLen(cl.head, n)
		for i := range parts[:n] {
			p := &parts[i]
			cl.head = appendInt32(cl.head, p.Partition)
			cl.head = appendLen(cl.head, len(p.Batch))
			cl.addBatch(p.Batch)
			cl.head = append(cl.head, 0)
			cl.partitions = append(cl.partitions, partitionKey{id: p.TopicID, topic: p.Topic, partition: p.Partition})
		}
		cl.head = append(cl.head, 0)
		parts = parts[n:]
	}
	cl.head = append(cl.head, 0)
}

func sameProduceTopic(a, b *ProducePartition) bool {
	return a.TopicID == b.TopicID && a.Topic == b.Topic
}

// parseProduce reads a produce response and puts its partitions in the order
// of the request: brokers answer in any. ErrProtocol when one is missing,
// unasked for or told twice.
func (c *Conn) parseProduce(cl *call, body []byte) (ProduceResponse, error) {
	n := len(cl.partitions)
	if cap(c.produced) < n {
		c.produced = make([]ProducedPartition, n)
	}
	out := c.produced[:n]
	clear(out)
	r := wireReader{b: body}
	r.skipTags() // of the response header
	found, guess := 0, 0
	for topics := r.arrayLen(2); topics > 0 && !r.bad; topics-- {
		var key partitionKey
		var name []byte
		if cl.version >= idProduceVersion {
			key.id = r.uuid()
		} else {
			name = r.compactBytes()
		}
		for parts := r.arrayLen(32); parts > 0 && !r.bad; parts-- {
			key.partition = r.int32()
			at := cl.find(&key, name, guess)
			if at < 0 || out[at].answered {
				return ProduceResponse{}, fmt.Errorf("%w: produce response for partition %d unasked", ErrProtocol, key.partition)
			}
			out[at].read(&r)
			found, guess = found+1, at+1
		}
		r.skipTags()
	}
	throttle := time.Duration(r.int32()) * time.Millisecond
	r.skipTags()
	if r.bad || found != n {
		return ProduceResponse{}, fmt.Errorf("%w: produce response tells %d of %d partitions", ErrProtocol, found, n)
	}
	return ProduceResponse{Throttle: throttle, Partitions: out}, nil
}

// find returns the index of a partition in the request, looking at guess
// first; -1: not there.
func (cl *call) find(key *partitionKey, name []byte, guess int) int {
	n := len(cl.partitions)
	for i := range n {
		at := (guess + i) % n
		p := &cl.partitions[at]
		if p.partition != key.partition {
			continue
		}
		if cl.version >= idProduceVersion && p.id == key.id ||
			cl.version < idProduceVersion && p.topic == string(name) {
			return at
		}
	}
	return -1
}

// read reads one partition (protocol guide, "Produce API", versions 9 and
// up), behind its index.
func (p *ProducedPartition) read(r *wireReader) {
	*p = ProducedPartition{answered: true, CurrentLeader: Leader{ID: -1, Epoch: -1}}
	p.ErrorCode = r.int16()
	p.BaseOffset = r.int64()
	p.LogAppendTime = r.int64()
	p.LogStartOffset = r.int64()
	var first []byte
	for n := r.arrayLen(6); n > 0 && !r.bad; n-- { // errors of single records
		r.int32()
		if msg := r.compactBytes(); first == nil {
			first = msg
		}
		r.skipTags()
	}
	p.ErrorMessage = string(r.compactBytes())
	if p.ErrorMessage == "" {
		p.ErrorMessage = string(first)
	}
	r.tags(func(tag int, v *wireReader) {
		if tag == 0 {
			p.CurrentLeader = Leader{ID: v.int32(), Epoch: v.int32()}
		}
	})
}

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"math"
	"net"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// mends are what real brokers do otherwise than an embedded Kafka cluster.
//
// Each partition has producer state of its own, which is gone with its topic.
// The embedded cluster knows one epoch of a producer id for all partitions: it
// is shown another id for each partition, and those who read are shown the real
// one.
//
// A fetch session forgets the partitions of a topic that is gone. That of the
// embedded cluster does not, and answers with them at once for ever: whoever
// has such a session is told to begin another.
//
// An answer names the transactions that were aborted. That of the embedded
// cluster does not for the partition at which it is full: none gets full.
type mends struct {
	mu    sync.Mutex
	shown map[idAt]int64
	real  []int64 // by number of the one that is shown
	gone  map[[16]byte]bool
}

func newMends() *mends { return &mends{shown: map[idAt]int64{}, gone: map[[16]byte]bool{}} }

// use makes a cluster do so; its listeners are those of listener.
func (x *mends) use(c *kfake.Cluster) {
	c.ControlKey(int16(kmsg.Produce), x.produced)
	c.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		r.(*kmsg.FetchRequest).MaxBytes = math.MaxInt32
		if !x.stale(r.(*kmsg.FetchRequest)) {
			return nil, nil, false
		}
		c.KeepControl()
		resp := r.ResponseKind().(*kmsg.FetchResponse)
		resp.ErrorCode = kerr.FetchSessionIDNotFound.Code
		return resp, nil, true
	})
}

// bury notes a topic that is about to be deleted.
func (x *mends) bury(topic [16]byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gone[topic] = true
}

func (x *mends) stale(r *kmsg.FetchRequest) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.ContainsFunc(r.ForgottenTopics, func(t kmsg.FetchRequestForgottenTopic) bool { return x.gone[t.TopicID] })
}

type idAt struct {
	id        int64
	topic     [16]byte
	name      string
	partition int32
}

// A producer id of our own begins so.
var idMark = []byte{0x5e, 0xed, 0x5e, 0xed}

// Where the fields of a record batch of format 2 stand (Kafka protocol guide,
// "Record Batch").
const (
	batchLength     = 8
	batchMagic      = 16
	batchCRC        = 17
	batchAttributes = 21
	batchProducer   = 43
	batchHeader     = 61

	transactional = 0x10
)

func (x *mends) of(at idAt) int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	id, ok := x.shown[at]
	if !ok {
		id = int64(binary.BigEndian.Uint32(idMark))<<32 | int64(len(x.real))
		x.shown[at], x.real = id, append(x.real, at.id)
	}
	return id
}

// produced changes a Produce request before the cluster carries it out.
func (x *mends) produced(r kmsg.Request) (kmsg.Response, error, bool) {
	for i := range r.(*kmsg.ProduceRequest).Topics {
		t := &r.(*kmsg.ProduceRequest).Topics[i]
		for _, p := range t.Partitions {
			b := p.Records
			if len(b) < batchHeader || b[batchMagic] != 2 || b[batchAttributes+1]&transactional != 0 {
				continue
			}
			if id := int64(binary.BigEndian.Uint64(b[batchProducer:])); id >= 0 && sum(b) == binary.BigEndian.Uint32(b[batchCRC:]) {
				setProducer(b, x.of(idAt{id, t.TopicID, t.Topic, p.Partition}))
			}
		}
	}
	return nil, nil, false
}

func sum(b []byte) uint32 {
	return crc32.Checksum(b[batchAttributes:], crc32.MakeTable(crc32.Castagnoli))
}

func setProducer(b []byte, id int64) {
	binary.BigEndian.PutUint64(b[batchProducer:], uint64(id))
	binary.BigEndian.PutUint32(b[batchCRC:], sum(b))
}

// answered changes back the batches that stand in an answer.
func (x *mends) answered(p []byte) {
	for at := 0; ; {
		i := bytes.Index(p[at:], idMark)
		if i < 0 {
			return
		}
		at += i
		if at >= batchProducer && at+8 <= len(p) {
			x.restore(p[at-batchProducer:])
		}
		at += len(idMark)
	}
}

func (x *mends) restore(b []byte) {
	end := batchLength + 4 + int64(int32(binary.BigEndian.Uint32(b[batchLength:])))
	if b[batchMagic] != 2 || end < batchHeader || end > int64(len(b)) || sum(b[:end]) != binary.BigEndian.Uint32(b[batchCRC:]) {
		return
	}
	n := binary.BigEndian.Uint32(b[batchProducer+4:])
	x.mu.Lock()
	defer x.mu.Unlock()
	if int(n) < len(x.real) {
		setProducer(b[:end], x.real[n])
	}
}

// listener puts the mends on what others open.
func (x *mends) listener(listen listenFunc) func(network, address string) (net.Listener, error) {
	return func(network, address string) (net.Listener, error) {
		ln, err := listen(context.Background(), network, address)
		if err != nil {
			return nil, err
		}
		return idListener{ln, x}, nil
	}
}

type idListener struct {
	net.Listener
	mends *mends
}

func (l idListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return idConn{c, l.mends}, nil
}

type idConn struct {
	net.Conn
	mends *mends
}

// Write is called once for an answer; its bytes are the connection's own.
func (c idConn) Write(p []byte) (int, error) {
	c.mends.answered(p)
	return c.Conn.Write(p)
}

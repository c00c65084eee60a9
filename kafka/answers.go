package kafka

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/kafka/record"
)

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

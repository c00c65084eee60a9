package kafka

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
)

// ---- errors ----

var (
	// ErrNotSent: no byte of the request was written; it may be sent again.
	ErrNotSent = errors.New("request not sent")
	// ErrPerhapsSent: the request was written, wholly or in part, and its
	// answer will never be known on this connection.
	ErrPerhapsSent = errors.New("request perhaps sent")
	// ErrClosed: the connection, client or pool was closed by this side.
	ErrClosed = errors.New("closed")
	// ErrProtocol: the broker sent something that the protocol forbids.
	ErrProtocol = errors.New("protocol violation")
	// ErrClusterIDMismatch: another Kafka cluster answers than the pinned one.
	ErrClusterIDMismatch = errors.New("cluster id differs from the pinned one")
	// ErrUnsupported: the broker does not know the request in any version we speak.
	ErrUnsupported = errors.New("request not supported by the broker")
)

// ---- pool ----

// Config of a Pool.
type Config struct {
	ClientID       string        // in every request header; default "sluice"
	DialTimeout    time.Duration // TCP, TLS, ApiVersions and SASL together; default 10 s
	RequestTimeout time.Duration // silence of the oldest request beyond its own wait that ends a connection; default 30 s
	// DialContext opens TCP connections, for kgo as for Conn; nil: net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// Buffers that Fetch answers are read into; nil: a pool of its own without a budget.
	Buffers *Buffers
}

func DefaultConfig() Config      { return Config{} }
func (c Config) Validate() error { return nil }

// Pool holds one Client per Kafka cluster name.
type Pool struct{}

func NewPool(cfg Config, log *slog.Logger) (*Pool, error) { return nil, nil }

// Client returns the shared Client of spec.Name. When the spec differs from
// the one the Client was made with, the old Client and all its Conns are
// closed and a new one is made. It does not connect.
func (p *Pool) Client(ctx context.Context, spec fsm.KafkaCluster) (*Client, error) { return nil, nil }

// Collector exports traffic per Kafka cluster.
func (p *Pool) Collector() prometheus.Collector { return nil }

// Close closes every Client and every Conn dialled through them and waits
// until all callbacks have run.
func (p *Pool) Close() {}

// ResolveSecret returns what "${file:/path}" (without one trailing newline)
// or "${env:NAME}" refers to; any other text is returned as it is.
func ResolveSecret(ref string) (string, error) { return "", nil }

// ---- client ----

type Client struct{}

// Spec returns the object the Client was made from.
func (c *Client) Spec() fsm.KafkaCluster { return fsm.KafkaCluster{} }

// Kgo returns the client beneath, for kadm and rare requests.
func (c *Client) Kgo() *kgo.Client { return nil }

// Check asks for the cluster id and returns it; ErrClusterIDMismatch when
// spec.ClusterID is set and differs.
func (c *Client) Check(ctx context.Context) (clusterID string, err error) { return "", nil }

// Metadata asks a broker, never a cache; without topics it names brokers
// only. A cluster id other than the pinned one is ErrClusterIDMismatch.
func (c *Client) Metadata(ctx context.Context, topics ...string) (Metadata, error) {
	return Metadata{}, nil
}

// AllMetadata is Metadata of every topic that we may see.
func (c *Client) AllMetadata(ctx context.Context) (Metadata, error) { return Metadata{}, nil }

type Metadata struct {
	ClusterID  string
	Controller int32 // -1: unknown
	Brokers    []BrokerInfo
	Topics     []TopicMetadata
}

type BrokerInfo struct {
	ID   int32
	Host string
	Port int32
	Rack string // empty: none
}

type TopicMetadata struct {
	Name       string
	ID         [16]byte // zero: the broker has no topic ids
	Internal   bool
	Err        error // *kerr.Error or nil
	Partitions []PartitionMetadata
}

type PartitionMetadata struct {
	Partition   int32
	Leader      int32 // -1: none
	LeaderEpoch int32 // -1: unknown
	Replicas    []int32
	ISR         []int32
	Offline     []int32
	Err         error // *kerr.Error or nil
}

// Supports reports whether every broker asked so far speaks version of the
// API key; it asks one when none has been.
func (c *Client) Supports(ctx context.Context, key, version int16) (bool, error) { return false, nil }

// Broker returns the one-shot calls over the Client's shared connections.
func (c *Client) Broker(id int32) Broker { return Broker{} }

type CreateTopic struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16 // -1: broker default
	Configs           map[string]string
}

// CreateTopic returns the id of the new topic (zero where brokers have none);
// an existing topic is kerr.TopicAlreadyExists.
func (c *Client) CreateTopic(ctx context.Context, t CreateTopic) ([16]byte, error) {
	return [16]byte{}, nil
}

// CreatePartitions raises the topic's partition count to total.
func (c *Client) CreatePartitions(ctx context.Context, topic string, total int32) error { return nil }

// ConfigEntry is one effective setting; Value is empty for secrets.
type ConfigEntry struct {
	Name, Value string
	Default     bool // not set on this topic or broker itself
	Sensitive   bool
}

func (c *Client) TopicConfigs(ctx context.Context, topic string) ([]ConfigEntry, error) {
	return nil, nil
}
func (c *Client) BrokerConfigs(ctx context.Context, broker int32) ([]ConfigEntry, error) {
	return nil, nil
}

// DeleteRecords asks the leader to drop all records before offset (-1: all)
// and returns the new log start.
func (c *Client) DeleteRecords(ctx context.Context, topic string, partition int32, offset int64) (int64, error) {
	return 0, nil
}

// Dial opens a connection of the caller's own to a broker: TCP, TLS,
// ApiVersions, SASL. Its address comes from the last Metadata.
func (c *Client) Dial(ctx context.Context, broker int32) (*Conn, error) { return nil, nil }

// ---- one-shot calls to one broker ----

// Requester issues one request to one broker and waits for its answer.
type Requester interface {
	Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error)
}

// Broker is the set of one-shot calls to one broker. Partition errors are
// *kerr.Error, wrapped.
type Broker struct{ r Requester }

type Isolation int8

const (
	ReadUncommitted Isolation = 0 // latest = high watermark
	ReadCommitted   Isolation = 1 // latest = last stable offset
)

const (
	Latest   int64 = -1 // as OffsetQuery.Timestamp
	Earliest int64 = -2
)

type OffsetQuery struct {
	Topic       string
	Partition   int32
	LeaderEpoch int32 // current leader epoch, -1: unchecked
	Timestamp   int64 // ms since 1970, or Latest, or Earliest
}

type OffsetResult struct {
	Offset      int64 // -1: no record at or after the timestamp
	Timestamp   int64 // of that record, ms; -1 for Latest and Earliest
	LeaderEpoch int32 // of that record, -1: unknown
	Err         error // wraps *kerr.Error, or nil
}

// ListOffsets answers in the order of the queries; one query per partition.
func (b Broker) ListOffsets(ctx context.Context, iso Isolation, queries []OffsetQuery) ([]OffsetResult, error) {
	return nil, nil
}

// OffsetForLeaderEpoch returns the largest epoch <= epoch that the leader
// knows and where it ended (the log end for the current one). (-1, -1): none.
// currentEpoch -1: unchecked.
func (b Broker) OffsetForLeaderEpoch(ctx context.Context, topic string, partition, currentEpoch, epoch int32) (endEpoch int32, endOffset int64, err error) {
	return 0, 0, nil
}

type ProducerState struct {
	ID               int64
	Epoch            int32
	LastSequence     int32 // -1: none
	LastTimestamp    int64 // ms since 1970, -1: none
	CoordinatorEpoch int32
	TxnStartOffset   int64 // -1: no open transaction
}

// DescribeProducers lists every producer id of which the leader holds state.
// ErrUnsupported where the broker (< 2.8) cannot.
func (b Broker) DescribeProducers(ctx context.Context, topic string, partition int32) ([]ProducerState, error) {
	return nil, nil
}

// InitProducerID issues a fresh producer id without a transactional id.
func (b Broker) InitProducerID(ctx context.Context) (id int64, epoch int16, err error) {
	return 0, 0, nil
}

// ---- conn ----

// Conn is one ordered, pipelined connection to one broker.
//
// Requests are written in call order by one goroutine and answered in that
// order by another, which runs the callbacks: exactly once each, in order,
// never inside the call that queued them. A callback may queue requests; a
// callback that blocks stops this connection's reading, which is back-pressure.
//
// The first error ends the Conn. Callbacks of outstanding requests then get
// an error that is ErrNotSent or ErrPerhapsSent, after the last use of their
// batches.
type Conn struct{}

func (c *Conn) Done() <-chan struct{}            { return nil } // closed when dead and all callbacks have run
func (c *Conn) Err() error                       { return nil } // why; nil while alive
func (c *Conn) Close()                           {}             // ends it; does not wait (use Done); safe inside a callback
func (c *Conn) BrokerID() int32                  { return 0 }
func (c *Conn) Supports(key, version int16) bool { return false }
func (c *Conn) Stats() ConnStats                 { return ConnStats{} }

type ConnStats struct {
	BytesIn, BytesOut   int64
	Requests, Responses int64
	Throttled           time.Duration // asked for by the broker, in sum
}

// Broker returns the one-shot calls on this very connection.
func (c *Conn) Broker() Broker { return Broker{} }

// Request is the generic slow path. When ctx ends first, an unwritten request
// is dropped (ErrNotSent) and the answer of a written one is discarded
// (ErrPerhapsSent); the connection lives on.
func (c *Conn) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) { return nil, nil }

// ---- fetch ----

type FetchRequest struct {
	MaxWait      time.Duration
	MinBytes     int32
	MaxBytes     int32
	Isolation    Isolation
	SessionID    int32 // 0, 0: new session; 0, -1: none
	SessionEpoch int32
	Rack         string
	Partitions   []FetchPartition // those of one topic next to each other
	Forgotten    []FetchPartition // only Topic, TopicID and Partition are read
}

type FetchPartition struct {
	Topic            string
	TopicID          [16]byte // used from version 13; zero anywhere: names, version 12
	Partition        int32
	Offset           int64
	LeaderEpoch      int32 // current, -1: unchecked
	LastFetchedEpoch int32 // of the last record we have, -1: no divergence check
	MaxBytes         int32
}

// FetchResponse owns one reference to Buf; the receiver releases it.
type FetchResponse struct {
	Version   int16
	Throttle  time.Duration
	Err       error // of the whole request, *kerr.Error
	SessionID int32
	Buf       *Buf          // everything that Next returns aliases it
	RTT       time.Duration // from written to answered
}

// Next parses the next partition into p, without copying; false at the end.
// An error (ErrProtocol) means that the rest is unreadable.
func (r *FetchResponse) Next(p *FetchedPartition) (bool, error) { return false, nil }

type FetchedPartition struct {
	TopicID          [16]byte // version 13 and up
	Topic            []byte   // version 12; aliases Buf
	Partition        int32
	ErrorCode        int16 // kerr.ErrorForCode
	HighWatermark    int64
	LastStableOffset int64
	LogStartOffset   int64
	Diverging        EpochEnd     // Epoch -1: none
	CurrentLeader    Leader       // ID -1: not told
	PreferredReplica int32        // -1: none
	Aborted          []AbortedTxn // reused by the next Next
	Records          []byte       // aliases Buf, may be written to; ends perhaps in a partial batch
}

type EpochEnd struct {
	Epoch     int32
	EndOffset int64
}

type Leader struct {
	ID    int32
	Epoch int32
}

type AbortedTxn struct {
	ProducerID  int64
	FirstOffset int64
}

// Fetch queues a fetch request. req is not kept. The error is ErrNotSent
// (wrapped; done is not called) when the Conn is dead.
func (c *Conn) Fetch(req *FetchRequest, done func(FetchResponse, error)) error { return nil }

// ---- produce ----

// ProduceRequest asks for acks=all.
type ProduceRequest struct {
	Timeout    time.Duration      // the broker's, for replication
	Partitions []ProducePartition // those of one topic next to each other; each partition once
	// BeforeWrite, when set, is called straight before the first byte is
	// written, on the writing goroutine; an error keeps the request from being
	// sent (done gets it together with ErrNotSent). It must not block.
	BeforeWrite func() error
}

type ProducePartition struct {
	Topic     string
	TopicID   [16]byte // used from version 13; zero anywhere: names, version 12
	Partition int32
	Batch     []byte // exactly one batch; not touched by the caller until done
}

// ProduceResponse is valid inside the callback only.
type ProduceResponse struct {
	Throttle   time.Duration
	RTT        time.Duration       // from written to answered
	Partitions []ProducedPartition // in the order of the request's
}

type ProducedPartition struct {
	ErrorCode      int16
	BaseOffset     int64
	LogAppendTime  int64 // ms, -1: CreateTime
	LogStartOffset int64 // -1: unknown
	ErrorMessage   string
	CurrentLeader  Leader // ID -1: not told
}

// Produce queues a produce request. req is not kept, its batches are until
// done is called. Errors as with Fetch.
func (c *Conn) Produce(req *ProduceRequest, done func(ProduceResponse, error)) error { return nil }

// ---- buffers ----

// Budget bounds the memory of buffers in use. Reserve may block until n bytes
// are free or ctx ends; a single reservation larger than the whole budget must
// be let through when nothing else is held.
type Budget interface {
	Reserve(ctx context.Context, n int) error
	Release(n int)
}

// Buffers is a pool of size-classed buffers.
type Buffers struct{}

// NewBuffers keeps at most maxIdle bytes of unused buffers; budget may be nil.
func NewBuffers(budget Budget, maxIdle int) *Buffers { return nil }

// Get returns a buffer of length n with one reference.
func (b *Buffers) Get(ctx context.Context, n int) (*Buf, error) { return nil, nil }

// Buf is a pooled, reference-counted buffer.
type Buf struct{}

func (b *Buf) Bytes() []byte { return nil }
func (b *Buf) Retain()       {}
func (b *Buf) Release()      {}

// ---- batch ----

// Batch is one record batch as bytes, header included. Methods assume that
// ParseHeader or NextBatch accepted it.
type Batch []byte

const HeaderSize = 61

type Attributes int16

const (
	AttrCodecMask     Attributes = 0x07
	AttrLogAppendTime Attributes = 0x08
	AttrTransactional Attributes = 0x10
	AttrControl       Attributes = 0x20
	AttrDeleteHorizon Attributes = 0x40
)

var (
	ErrCorruptBatch      = errors.New("corrupt record batch")
	ErrUnsupportedFormat = errors.New("message format before v2")
)

type Header struct {
	BaseOffset      int64
	Length          int32 // bytes after this field
	LeaderEpoch     int32
	Magic           int8
	CRC             uint32
	Attributes      Attributes
	LastOffsetDelta int32
	BaseTimestamp   int64 // ms; the delete horizon where AttrDeleteHorizon is set
	MaxTimestamp    int64 // ms
	ProducerID      int64
	ProducerEpoch   int16
	BaseSequence    int32
	Count           int32
}

func (h Header) LastOffset() int64 { return 0 }

// NextBatch splits the first batch off. Nothing left or a partial one: nil
// batch, nil error. A batch of format 0 or 1 is returned together with
// ErrUnsupportedFormat (BaseOffset and Magic may be asked of it).
func NextBatch(records []byte) (batch Batch, rest []byte, err error) { return nil, nil, nil }

// ParseHeader reads and checks the header of the batch that b begins with.
func ParseHeader(b []byte) (Header, error) { return Header{}, nil }

func (b Batch) Header() Header                               { return Header{} }
func (b Batch) Magic() int8                                  { return 0 }
func (b Batch) BaseOffset() int64                            { return 0 }
func (b Batch) LastOffset() int64                            { return 0 }
func (b Batch) Count() int32                                 { return 0 }
func (b Batch) Attributes() Attributes                       { return 0 }
func (b Batch) MaxTimestamp() int64                          { return 0 }
func (b Batch) SetBaseOffset(int64)                          {}
func (b Batch) SetLeaderEpoch(int32)                         {}
func (b Batch) SetAttributes(Attributes)                     {}
func (b Batch) SetProducer(id int64, epoch int16, seq int32) {}
func (b Batch) SetTimestamps(base, max int64)                {}
func (b Batch) SetLastOffsetDelta(int32)                     {}
func (b Batch) SetCount(int32)                               {}
func (b Batch) VerifyCRC() error                             { return nil }
func (b Batch) UpdateCRC()                                   {} // after any Set but BaseOffset and LeaderEpoch

// Rewrite makes b ready to be produced: base offset 0, leader epoch -1, the
// producer's id, epoch and sequence, transactional and delete-horizon bits
// cleared, CRC recomputed. The source's CRC is to be verified before.
func Rewrite(b Batch, producerID int64, epoch int16, seq int32) {}

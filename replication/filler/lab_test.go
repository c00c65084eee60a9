package filler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/kafka"
)

const topic = "orders"

// lab is a Kafka cluster of three brokers, and fillers at it, in a bubble.
type lab struct {
	*testing.T
	ctx     context.Context
	net     kfake.VirtualNetwork
	kafka   *kfake.Cluster
	client  *kafka.Client
	fillers *Fillers
	plain   *kgo.Client
	data    []int64 // offsets of the records that are no filler's

	mu    sync.Mutex
	asked []kmsg.Key // requests of fillers
	down  string     // an address that cannot be reached
}

// inLab runs a test in a bubble, whose clock costs nothing.
func inLab(t *testing.T, f func(l *lab), opts ...kfake.Opt) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{T: t, ctx: t.Context()}
		var err error
		opts = append([]kfake.Opt{kfake.Ports(9001, 9002, 9003), kfake.ListenFn(l.net.Listen), kfake.SeedTopics(1, topic)}, opts...)
		if l.kafka, err = kfake.NewCluster(opts...); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.kafka.Close)
		l.client = l.newClient()
		l.fillers = New(l.client)
		t.Cleanup(l.fillers.Close)
		l.plain = l.reader()
		l.kafka.Control(l.note)
		f(l)
	})
}

func (l *lab) newClient() *kafka.Client {
	l.Helper()
	cfg := kafka.DefaultConfig()
	cfg.ClientID = "filler"
	cfg.DialContext = l.dial
	pool, err := kafka.NewPool(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(pool.Close)
	c, err := pool.Client(l.ctx, fsm.KafkaCluster{Name: "k", Bootstrap: l.kafka.ListenAddrs()})
	if err != nil {
		l.Fatal(err)
	}
	return c
}

func (l *lab) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if addr == l.down {
		return nil, errors.New("connection refused")
	}
	return l.net.DialContext(ctx, network, addr)
}

// reach has an address refuse connections; "": none.
func (l *lab) reach(down string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

// drop closes the connections of fillers.
func (l *lab) drop() {
	for _, s := range l.fillers.conns.byLane {
		s.conn.Close()
		<-s.conn.Done()
	}
}

// reader is a client that reads committed data, and produces.
func (l *lab) reader(opts ...kgo.Opt) *kgo.Client {
	l.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(l.kafka.ListenAddrs()...), kgo.Dialer(l.net.DialContext),
		kgo.DefaultProduceTopic(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.DisableIdempotentWrite())...)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(cl.Close)
	return cl
}

// note keeps what requests of transactions, and for log ends, came.
func (l *lab) note(req kmsg.Request) (kmsg.Response, error, bool) {
	l.kafka.KeepControl()
	switch r := req.(type) {
	case *kmsg.ProduceRequest:
		if r.TransactionID == nil {
			return nil, nil, false
		}
	case *kmsg.FindCoordinatorRequest, *kmsg.InitProducerIDRequest, *kmsg.AddPartitionsToTxnRequest, *kmsg.EndTxnRequest, *kmsg.OffsetForLeaderEpochRequest:
	default:
		return nil, nil, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, kmsg.Key(req.Key()))
	return nil, nil, false
}

// count is how many requests of a kind came.
func (l *lab) count(k kmsg.Key) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, asked := range l.asked {
		if asked == k {
			n++
		}
	}
	return n
}

// on has f judge the requests of a kind; a nil answer lets them pass.
func (l *lab) on(k kmsg.Key, f func(kmsg.Request) (kmsg.Response, error)) {
	l.kafka.ControlKey(int16(k), func(req kmsg.Request) (kmsg.Response, error, bool) {
		l.kafka.KeepControl()
		resp, err := f(req)
		return resp, err, resp != nil || err != nil
	})
}

func (l *lab) partition() Partition {
	l.Helper()
	m, err := l.client.Metadata(l.ctx, topic)
	if err != nil {
		l.Fatal(err)
	}
	p := m.Topics[0].Partitions[0]
	return Partition{Topic: topic, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch}
}

func (l *lab) open() *Filler {
	l.Helper()
	f, err := l.fillers.Open(l.ctx, l.partition(), IDOf("l", topic, 0))
	if err != nil {
		l.Fatal(err)
	}
	return f
}

// write appends a record that is no filler's, and returns the next offset.
func (l *lab) write() (end int64) {
	l.Helper()
	r, err := l.plain.ProduceSync(l.ctx, &kgo.Record{Partition: 0, Value: fmt.Append(nil, len(l.data))}).First()
	if err != nil {
		l.Fatal(err)
	}
	l.data = append(l.data, r.Offset)
	return r.Offset + 1
}

func (l *lab) fill(f *Filler, from, k int64) {
	l.Helper()
	if end, err := f.Fill(l.ctx, Gap{From: from, Count: k, Timestamp: 1000}); err != nil || end != from+k {
		l.Fatalf("%d offsets from %d: the end is %d, %v", k, from, end, err)
	}
}

// sees checks that a reader of committed data reads the data and nothing else,
// up to the log's end.
func (l *lab) sees(end int64) {
	l.Helper()
	if last := l.write(); last != end+1 {
		l.Fatalf("the log ended at %d, want %d", last-1, end)
	}
	ctx, cancel := context.WithTimeout(l.ctx, time.Minute)
	defer cancel()
	cl := l.reader(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(0)}}))
	var got []int64
	for len(got) < len(l.data) {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			l.Fatalf("%v; got %d of %d", err, len(got), len(l.data))
		}
		fs.EachRecord(func(r *kgo.Record) { got = append(got, r.Offset) })
	}
	if !slices.Equal(got, l.data) {
		l.Fatalf("a reader of committed data sees %v, want %v", got, l.data)
	}
}

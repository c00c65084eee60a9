package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/kafka"
)

// lab is a Kafka cluster of three brokers, named k, and a Catalog, in a bubble.
type lab struct {
	*testing.T
	ctx     context.Context
	net     kfake.VirtualNetwork
	kafka   *kfake.Cluster
	pool    *kafka.Pool
	catalog *Catalog

	mu    sync.Mutex
	spec  fsm.KafkaCluster
	named [][]string // metadata requests by name
	whole int        // metadata requests for all topics
	dials map[int]int
	down  map[int]bool // ports that refuse
}

// inBubble runs a test in a bubble, whose clock costs nothing.
func inBubble(t *testing.T, f func(l *lab), opts ...kfake.Opt) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newLab(t, opts...)) })
}

func newLab(t *testing.T, opts ...kfake.Opt) *lab {
	l := &lab{T: t, ctx: t.Context(), dials: map[int]int{}, down: map[int]bool{}}
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.Ports(9001, 9002, 9003), kfake.ListenFn(l.net.Listen)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	l.kafka = c
	l.spec = fsm.KafkaCluster{Name: "k", Bootstrap: c.ListenAddrs()}
	cfg := kafka.DefaultConfig()
	cfg.DialContext = l.dial
	if l.pool, err = kafka.NewPool(cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.pool.Close)
	l.catalog = New(DefaultConfig(), l.pool, l.view, slog.New(slog.DiscardHandler))
	t.Cleanup(l.catalog.Close)
	c.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		l.note(req.(*kmsg.MetadataRequest))
		return nil, nil, false
	})
	return l
}

func (l *lab) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	port, _ := strconv.Atoi(addr[strings.LastIndexByte(addr, ':')+1:])
	l.mu.Lock()
	l.dials[port]++
	down := l.down[port]
	l.mu.Unlock()
	if down {
		return nil, errors.New("connection refused")
	}
	return l.net.DialContext(ctx, network, addr)
}

func (l *lab) note(req *kmsg.MetadataRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if req.Topics == nil {
		l.whole++
	} else if len(req.Topics) > 0 {
		var names []string
		for _, t := range req.Topics {
			names = append(names, *t.Topic)
		}
		l.named = append(l.named, names)
	}
}

// asked returns the metadata requests since the last call.
func (l *lab) asked() (named [][]string, whole int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	named, whole = l.named, l.whole
	l.named, l.whole = nil, 0
	return named, whole
}

// view is the facts: the Kafka cluster as it is now.
func (l *lab) view() *fsm.View {
	l.mu.Lock()
	spec := l.spec
	l.mu.Unlock()
	s := fsm.NewState()
	for i, cmd := range []fsm.Command{&fsm.ClusterInit{ClusterID: "c"}, &fsm.Objects{Kafka: []fsm.KafkaCluster{spec}}} {
		b, err := fsm.Encode(cmd)
		if err == nil {
			_, err = s.Apply(uint64(i+1), b)
		}
		if err != nil {
			panic(err)
		}
	}
	return s.View()
}

func (l *lab) k() *Cluster { return l.catalog.Cluster("k") }

func (l *lab) find(topic string, partition int32, fresh bool) Place {
	l.Helper()
	p, err := l.k().Find(l.ctx, topic, partition, fresh)
	if err != nil {
		l.Fatal(err)
	}
	return p
}

// use asks for topics every second for so long, as streams do.
func (l *lab) use(d time.Duration, topics ...string) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		for _, topic := range topics {
			_, _ = l.k().Find(l.ctx, topic, 0, false) // it may be gone
		}
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func topicNames(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("t%04d", i))
	}
	return out
}

// hang makes a broker take requests of a kind and answer none of them.
func (l *lab) hang(key kmsg.Key, brokers ...int32) {
	l.kafka.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
		l.kafka.KeepControl()
		return nil, nil, slices.Contains(brokers, l.kafka.CurrentNode())
	})
}

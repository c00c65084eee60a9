package stream_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/replication/stream"
	"sluice/test/rig"
)

// waiting is a link between two Kafka clusters in a bubble, whose clock costs
// nothing: it counts what streams ask while they wait.
type waiting struct {
	*testing.T
	*rig.Facts
	net      kfake.VirtualNetwork
	src, dst *kfake.Cluster
	runner   *stream.Runner
	node     *rig.Node

	mu       sync.Mutex
	requests map[string]int
	dials    int
	down     map[string]bool // addresses that refuse
}

func inWaiting(t *testing.T, partitions int32, f func(w *waiting)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &waiting{T: t, Facts: rig.NewFacts(t, "n1", "n2"), requests: map[string]int{}, down: map[string]bool{}}
		w.src, w.dst = w.cluster(9001, partitions), w.cluster(9101, partitions)
		w.Dial = w.dial
		w.Do(t, &fsm.Objects{
			Kafka: []fsm.KafkaCluster{{Name: "us", Bootstrap: w.src.ListenAddrs()}, {Name: "eu", Bootstrap: w.dst.ListenAddrs()}},
			Links: []fsm.LinkPut{{Spec: fsm.LinkSpec{Name: "l", Source: "us", Target: "eu", Offsets: fsm.OffsetsAuto}}},
		})
		var keys []fsm.StreamKey
		for i := range partitions {
			keys = append(keys, fsm.StreamKey{Topic: "orders", Partition: i, TargetTopic: "orders"})
		}
		w.Do(t, &fsm.StreamsAdd{Link: 1, Streams: keys})
		f(w)
		w.runner.Close()
	})
}

// cluster is a Kafka cluster of one broker.
func (w *waiting) cluster(port int, partitions int32) *kfake.Cluster {
	w.Helper()
	c, err := kfake.NewCluster(kfake.Ports(port), kfake.ListenFn(w.net.Listen), kfake.ClusterID(fmt.Sprint(port)), kfake.SeedTopics(partitions, "orders"))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(c.Close)
	c.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		w.mu.Lock()
		w.requests[kmsg.NameForKey(req.Key())]++
		w.mu.Unlock()
		return nil, nil, false
	})
	return c
}

func (w *waiting) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	w.dials++
	down := w.down[addr]
	w.mu.Unlock()
	if down {
		return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("connection to %s refused", addr)}
	}
	return w.net.DialContext(ctx, network, addr)
}

// own gives all streams to a new node.
func (w *waiting) own(node string, tweak func(*stream.Config)) []*stream.Stream {
	w.Helper()
	w.runner, w.node = w.Runner(w, node, tweak)
	p := rig.Pair{Facts: w.Facts}
	return p.Own(w, w.runner, node)
}

// produce appends a record of a time to partitions [0, n) of one side.
func (w *waiting) produce(c *kfake.Cluster, n int32, at time.Time) {
	w.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.Dialer(w.net.DialContext), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableClientMetrics())
	if err != nil {
		w.Fatal(err)
	}
	defer cl.Close()
	for i := range n {
		if err := cl.ProduceSync(w.Context(), &kgo.Record{Topic: "orders", Partition: i, Value: []byte("x"), Timestamp: at}).FirstErr(); err != nil {
			w.Fatal(err)
		}
	}
}

// asked returns what was asked within a time, and how often was dialled. What a
// fetcher, the catalog and the link keep asking anyway is no looking around.
func (w *waiting) asked(d time.Duration) (requests, dials int, kinds string) {
	w.mu.Lock()
	w.dials = 0
	clear(w.requests)
	w.mu.Unlock()
	time.Sleep(d)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, kind := range slices.Sorted(maps.Keys(w.requests)) {
		kinds += fmt.Sprintf("%s %d, ", kind, w.requests[kind])
		requests += w.requests[kind]
	}
	return requests, w.dials, kinds
}

func (w *waiting) state(s *stream.Stream, code fsm.Code) {
	w.Helper()
	for range 1000 {
		if m := s.Measure(); m.State == code {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.Fatalf("%+v, want %s", s.Measure(), code)
}

// failFetch makes a source answer fetches of orders/0 with an error.
func failFetch(c *kfake.Cluster, code int16) {
	c.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := fetched(c, req, 0, nil)
		resp.Topics[0].Partitions[0].ErrorCode = code
		return resp, nil, true
	})
}

// moving makes the log end of orders/0 another one each time that it is asked
// for.
func moving(c *kfake.Cluster) {
	end := int64(0)
	logEnds(c, func() (int64, bool) {
		end++
		return end, true
	})
}

// uncommitted keeps commands of a kind from being committed.
func uncommitted[C fsm.Command](w *waiting) {
	w.Before(func(c fsm.Command) error {
		if _, is := c.(C); is {
			return rig.ErrCutOff
		}
		return nil
	})
}

// TestWaitingAsksLittle: a stream that waits looks around about once a second
// at first, and less often later, whatever it waits for. A look is a dozen
// requests.
func TestWaitingAsksLittle(t *testing.T) {
	for _, c := range []struct {
		name  string
		code  fsm.Code
		begin func(w *waiting) *stream.Stream
	}{
		{"target not empty", fsm.CodeNotEmpty, func(w *waiting) *stream.Stream {
			w.produce(w.dst, 1, time.Now())
			return w.own("n1", nil)[0]
		}},
		{"recopy ordered, target not empty", fsm.CodeNotEmpty, func(w *waiting) *stream.Stream {
			w.produce(w.dst, 1, time.Now())
			s := w.own("n1", nil)[0]
			w.state(s, fsm.CodeNotEmpty)
			w.Do(w, &fsm.TaskOrder{Link: 1, Order: fsm.OrderRecopy})
			return s
		}},
		{"target unreachable", fsm.CodeUnreachable, func(w *waiting) *stream.Stream {
			w.down[w.dst.ListenAddrs()[0]] = true
			return w.own("n1", nil)[0]
		}},
		{"source unreachable", fsm.CodeUnreachable, func(w *waiting) *stream.Stream {
			w.down[w.src.ListenAddrs()[0]] = true
			return w.own("n1", nil)[0]
		}},
		{"target deleted", fsm.CodeTargetDeleted, func(w *waiting) *stream.Stream {
			s := w.own("n1", nil)[0]
			w.state(s, fsm.CodeIdle)
			if err := w.dst.DeleteTopic("orders"); err != nil {
				w.Fatal(err)
			}
			return s
		}},
		{"not authorized to fetch", fsm.CodeUnauthorized, func(w *waiting) *stream.Stream {
			failFetch(w.src, kerr.TopicAuthorizationFailed.Code)
			return w.own("n1", nil)[0]
		}},
		{"the source denies its topic", fsm.CodeUnreachable, func(w *waiting) *stream.Stream {
			failFetch(w.src, kerr.UnknownTopicOrPartition.Code)
			return w.own("n1", nil)[0]
		}},
		{"the source denies the offset", fsm.CodeUnreachable, func(w *waiting) *stream.Stream {
			failFetch(w.src, kerr.OffsetOutOfRange.Code)
			return w.own("n1", nil)[0]
		}},
		{"the target's log end moves", fsm.CodeWaiting, func(w *waiting) *stream.Stream {
			moving(w.dst)
			return w.own("n1", nil)[0]
		}},
		{"the cluster commits nothing", fsm.CodeWaiting, func(w *waiting) *stream.Stream {
			uncommitted[*fsm.MappingPut](w)
			return w.own("n1", nil)[0]
		}},
		{"the cluster commits no stop", "", func(w *waiting) *stream.Stream {
			w.produce(w.dst, 1, time.Now())
			uncommitted[*fsm.TaskStop](w)
			return w.own("n1", nil)[0]
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWaiting(t, 1, func(w *waiting) {
				s := c.begin(w)
				for _, phase := range []struct {
					after, during   time.Duration
					requests, dials int
				}{
					{0, 10 * time.Second, 200, 40},
					{20 * time.Second, time.Minute, 300, 60},
				} {
					time.Sleep(phase.after)
					requests, dials, kinds := w.asked(phase.during)
					t.Logf("%d requests and %d connections in %v: %s %+v", requests, dials, phase.during, kinds, s.Measure())
					if requests > phase.requests || dials > phase.dials {
						t.Errorf("more than %d requests or %d connections", phase.requests, phase.dials)
					}
				}
				if m := s.Measure(); c.code != "" && m.State != c.code {
					t.Errorf("state %s: %s, want %s", m.State, m.Message, c.code)
				}
			})
		})
	}
}

// TestManyWaitingDialLittle: however many streams wait for a broker, it is
// dialled a few times a second.
func TestManyWaitingDialLittle(t *testing.T) {
	const many = 200
	for _, c := range []struct {
		name  string
		most  int // connections in ten seconds
		begin func(w *waiting)
	}{
		{"target unreachable", 60, func(w *waiting) {
			w.down[w.dst.ListenAddrs()[0]] = true
			w.own("n1", nil)
		}},
		{"source unreachable", 60, func(w *waiting) {
			w.down[w.src.ListenAddrs()[0]] = true
			w.own("n1", nil)
		}},
		{"target goes away", 60, func(w *waiting) {
			w.state(w.own("n1", nil)[many-1], fsm.CodeIdle)
			w.down[w.dst.ListenAddrs()[0]] = true
			w.runner.Close()
			w.own("n2", nil)
		}},
		{"unguarded takeovers", 60, func(w *waiting) {
			old := time.Now().Add(-10 * 24 * time.Hour)
			w.produce(w.src, many, old)
			for _, s := range w.own("n1", nil) {
				w.copied(s, 1)
			}
			w.node.Checkpoint(w, w.runner)
			w.runner.Close()
			w.produce(w.src, many, old)
			w.own("n2", nil)
		}},
		{"not empty, recopy ordered", 60, func(w *waiting) {
			w.produce(w.dst, many, time.Now())
			w.state(w.own("n1", nil)[many-1], fsm.CodeNotEmpty)
			w.Do(w, &fsm.TaskOrder{Link: 1, Order: fsm.OrderRecopy})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWaiting(t, many, func(w *waiting) {
				c.begin(w)
				_, dials, kinds := w.asked(10 * time.Second)
				t.Logf("%d connections: %s", dials, kinds)
				if dials > c.most {
					t.Errorf("%d connections in ten seconds, at most %d", dials, c.most)
				}
			})
		})
	}
}

// copied waits until a stream has copied n records.
func (w *waiting) copied(s *stream.Stream, n int64) {
	w.Helper()
	for range 1000 {
		if s.Measure().Source >= n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.Fatalf("%+v", s.Measure())
}

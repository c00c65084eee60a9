package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// writer writes to the sources' topics all day. What it holds belongs to
// whoever holds turn: a lock that a bubble's clock goes on beside.
type writer struct {
	s      *sim
	rand   *rand.Rand
	turn   chan struct{}
	stop   chan struct{}
	ended  chan struct{}
	paused bool
	all    []*written
	acked  int
}

// written is a topic that is written to.
type written struct {
	at    *side
	name  string
	txn   bool
	age   time.Duration // of its records
	there bool
	since time.Time // it is there
	birth int       // how often it was made
	parts int32
	count []int // records sent, by partition
	big   bool  // the next record is a big one

	client *kgo.Client
}

func newWriter(sites map[string]*side, s *sim) *writer {
	w := &writer{s: s, rand: rand.New(rand.NewPCG(s.rand.Uint64(), 5)), turn: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{})}
	for _, x := range []written{
		{at: sites["us"], name: "orders", parts: 3}, {at: sites["us"], name: "pay-a", parts: 2}, {at: sites["us"], name: "pay-b", parts: 1},
		{at: sites["us"], name: "tx", parts: 2, txn: true}, {at: sites["us"], name: "logs", parts: 1, age: 72 * time.Hour},
		{at: sites["eu"], name: "back", parts: 2},
	} {
		w.all = append(w.all, &x)
		w.create(&x)
	}
	go w.run()
	return w
}

// hold makes the writer wait until release; nothing is under way then.
func (w *writer) hold() {
	if !w.paused {
		w.turn <- struct{}{}
		w.paused = true
	}
}

func (w *writer) release() {
	if w.paused {
		w.paused = false
		<-w.turn
	}
}

// close ends the writing.
func (w *writer) close() {
	w.release()
	close(w.stop)
	<-w.ended
	for _, x := range w.all {
		x.reset()
	}
}

func (w *writer) run() {
	defer close(w.ended)
	for {
		select {
		case <-time.After(time.Duration(200+w.rand.IntN(1500)) * time.Millisecond):
		case <-w.stop:
			return
		}
		select {
		case w.turn <- struct{}{}:
		case <-w.stop:
			return
		}
		for range 1 + w.rand.IntN(3) {
			w.write(w.all[w.rand.IntN(len(w.all))])
		}
		<-w.turn
	}
}

// write sends some records to a partition, in one transaction where the topic
// has them. What fails is forgotten: the source's log says what it took.
func (w *writer) write(x *written) {
	if !x.there {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if x.client == nil {
		opts := []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.MetadataMinAge(100 * time.Millisecond)}
		if x.txn {
			opts = append(opts, kgo.TransactionalID("day-"+x.name))
		}
		x.client = w.s.load.connect(x.at.host, opts...)
	}
	p := w.rand.Int32N(x.parts)
	n := 1 + w.rand.IntN(5)
	if w.rand.IntN(40) == 0 {
		n = 200
	}
	var rs []*kgo.Record
	for range n {
		rs = append(rs, x.record(p, w.rand.IntN(100)))
	}
	if err := x.send(ctx, w.rand.IntN(4) != 0, rs); err != nil {
		x.reset()
		return
	}
	w.acked += n
}

func (x *written) record(p int32, size int) *kgo.Record {
	if x.big {
		x.big, size = false, 4000
	}
	n := x.count[p]
	x.count[p]++
	return &kgo.Record{
		Topic: x.name, Partition: p, Timestamp: time.Now().Add(-x.age), Key: fmt.Append(nil, n%7),
		Value: fmt.Appendf(nil, "%s %d %d %d %s", x.name, p, x.birth, n, strings.Repeat("x", size)),
	}
}

func (x *written) send(ctx context.Context, commit bool, rs []*kgo.Record) error {
	if !x.txn {
		return x.client.ProduceSync(ctx, rs...).FirstErr()
	}
	if err := x.client.BeginTransaction(); err != nil {
		return err
	}
	err := x.client.ProduceSync(ctx, rs...).FirstErr()
	if end := x.client.EndTransaction(ctx, kgo.TransactionEndTry(commit && err == nil)); err == nil {
		err = end
	}
	return err
}

// reset ends the producer; the next one knows nothing of it.
func (x *written) reset() {
	if x.client != nil {
		x.client.CloseAllowingRebalance()
		x.client = nil
	}
}

// topics are the topics of a Kafka cluster that are there, by name.
func (w *writer) topics(at *side) []string {
	var out []string
	for _, x := range w.all {
		if x.there && x.at == at {
			out = append(out, x.name)
		}
	}
	slices.Sort(out)
	return out
}

// of is what is written to a topic.
func (w *writer) of(topic string) *written {
	i := slices.IndexFunc(w.all, func(x *written) bool { return x.name == topic })
	return w.all[i]
}

// create makes a topic, with nothing in it.
func (w *writer) create(x *written) {
	if err := x.at.kafka.CreateTopic(x.name, x.parts, nil); err != nil {
		w.s.t.Errorf("creating %s: %v", x.name, err)
		return
	}
	x.reset()
	x.there, x.since, x.count = true, time.Now(), make([]int, x.parts)
	x.birth++
}

// remove deletes a topic.
func (w *writer) remove(x *written) {
	x.there = false
	x.reset()
	if err := x.at.deleteTopic(x.name); err != nil {
		w.s.t.Errorf("deleting %s: %v", x.name, err)
	}
}

// raise gives a topic one more partition.
func (w *writer) raise(x *written) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	rs, err := kadm.NewClient(x.at.client).CreatePartitions(ctx, 1, x.name)
	if err == nil {
		err = rs.Error()
	}
	if err == nil {
		x.parts, x.count = x.parts+1, append(x.count, 0)
	}
	return err
}

package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// misfortunes are the faults that befall nodes, wires and Kafka clusters. Each
// says what it did and leaves in simDay.undo how it ends; empty: nothing.
var misfortunes = []struct {
	name string
	do   func(*simDay) string
}{
	{"kill", (*simDay).killOne}, {"kill", (*simDay).killOne}, {"kill leader", (*simDay).killLeader}, {"kill all", (*simDay).killAll},
	{"peers", (*simDay).cutPeers}, {"kafka", (*simDay).cutKafka}, {"outage", (*simDay).outage}, {"slow", (*simDay).slow},
	{"held", (*simDay).holdWrites}, {"clock", (*simDay).clock}, {"leaders", (*simDay).leadersMove}, {"broker", (*simDay).broker}, {"errors", (*simDay).brokerErrors},
}

func (d *simDay) misfortune() {
	m := misfortunes[d.rand.IntN(len(misfortunes))]
	if what := m.do(d); what != "" {
		d.done["fault: "+m.name]++
		d.say("%s", what)
	}
}

// heal ends one of the faults that hold, or all.
func (d *simDay) healSome(all bool) {
	for len(d.undo) > 0 {
		last := len(d.undo) - 1
		undo := d.undo[last]
		d.undo = d.undo[:last]
		undo()
		if !all {
			return
		}
	}
	if !all {
		return
	}
	for i := 1; i <= trio; i++ {
		d.healAll(i)
		if d.nodes[i] == nil {
			d.start(i)
		}
		d.nodes[i].wall.Store(0)
	}
}

func (d *simDay) later(undo func()) { d.undo = append(d.undo, undo) }

// down kills a node, which starts again when the fault ends.
func (d *simDay) down(i int) {
	d.kill(i)
	d.later(func() {
		if d.nodes[i] == nil {
			d.start(i)
		}
	})
}

// other is a live node whose writes are not held; 0: there is none.
func (d *simDay) other() int { return d.healthy() }

func (d *simDay) killOne() string {
	i := d.other()
	if i == 0 {
		return ""
	}
	if d.rand.IntN(2) == 0 {
		d.down(i)
		return fmt.Sprint("killed node ", i)
	}
	what := d.killSomewhere(i)
	d.later(func() {
		if d.nodes[i] == nil {
			d.start(i)
		}
	})
	return "killed " + what
}

func (d *simDay) killLeader() string {
	i := d.leader()
	if i == 0 || i == d.held {
		return ""
	}
	d.down(i)
	return fmt.Sprint("killed the leader, node ", i)
}

func (d *simDay) killAll() string {
	if d.held != 0 {
		return ""
	}
	for i := 1; i <= trio; i++ {
		if d.nodes[i] != nil {
			d.kill(i)
		}
	}
	for i := 1; i <= trio; i++ {
		d.start(i)
	}
	return "killed and started all nodes"
}

func (d *simDay) cutPeers() string {
	i := 1 + d.rand.IntN(trio)
	way := d.rand.IntN(3)
	for _, h := range d.peers(i) {
		if way != 1 {
			d.net.Cut(ipOf(i), h)
		}
		if way != 2 {
			d.net.Cut(h, ipOf(i))
		}
	}
	d.later(func() { d.healSomehow(i, d.peers(i)...) })
	return fmt.Sprintf("cut node %d from its peers, way %d", i, way)
}

func (d *simDay) cutKafka() string {
	i := 1 + d.rand.IntN(trio)
	host := []string{usHost, euHost}[d.rand.IntN(2)]
	way := d.rand.IntN(3)
	if way != 1 {
		d.net.Cut(ipOf(i), host)
	}
	if way != 2 {
		d.net.Cut(host, ipOf(i))
	}
	d.later(func() { d.healSomehow(i, host) })
	return fmt.Sprintf("cut node %d from %s, way %d", i, host, way)
}

// outage is a Kafka cluster that no node can reach.
func (d *simDay) outage() string {
	host := []string{usHost, euHost}[d.rand.IntN(2)]
	for i := 1; i <= trio; i++ {
		d.cut(i, host)
	}
	d.later(func() {
		for i := 1; i <= trio; i++ {
			d.healSomehow(i, host)
		}
	})
	return "nobody reaches " + host
}

func (d *simDay) slow() string {
	for i := 1; i <= trio; i++ {
		for _, h := range append(d.peers(i), usHost, euHost) {
			d.net.Delay(ipOf(i), h, time.Duration(d.rand.IntN(150))*time.Millisecond)
		}
	}
	d.later(func() {
		for i := 1; i <= trio; i++ {
			for _, h := range append(d.peers(i), usHost, euHost) {
				d.net.Delay(ipOf(i), h, 0)
			}
		}
	})
	return "all wires are slow"
}

// holdWrites stops a node straight before it writes to the target.
func (d *simDay) holdWrites() string {
	i := d.other()
	if i == 0 || d.held != 0 {
		return ""
	}
	thaw := make(chan struct{})
	var over atomic.Bool
	n := d.nodes[i]
	n.tap.set(func(st step) bool {
		if st.at == beforeWrite && st.produce() && !over.Load() {
			<-thaw
		}
		return n.dead.Load()
	})
	d.held = i
	d.later(func() {
		over.Store(true)
		close(thaw)
		n.tap.set(nil)
		d.held = 0
	})
	return fmt.Sprintf("node %d is stopped before its writes", i)
}

func (d *simDay) clock() string {
	i := d.other()
	if i == 0 {
		return ""
	}
	by := []time.Duration{72 * time.Hour, -72 * time.Hour, time.Hour, -time.Minute, 10 * time.Second}[d.rand.IntN(5)]
	n := d.nodes[i]
	n.wall.Store(int64(by))
	d.later(func() { n.wall.Store(0) })
	return fmt.Sprintf("node %d's clock is ahead by %v", i, by)
}

// place is one of the Kafka clusters.
func (d *simDay) place() *side { return d.sites[[]string{"us", "eu"}[d.rand.IntN(2)]] }

func (d *simDay) leadersMove() string {
	x := d.place()
	x.kafka.ShufflePartitionLeaders()
	return "leaders of " + x.name + " moved"
}

// broker is one of two brokers that ends and comes back: the first, for the
// embedded cluster makes no other one its controller.
func (d *simDay) broker() string {
	x, id := d.place(), int32(0)
	if err := x.kafka.RemoveNode(id); err != nil {
		return "" // the other one is down
	}
	for _, host := range []string{ipOf(1), ipOf(2), ipOf(3), loadHost} {
		d.net.Reset(host, x.host)
	}
	d.later(func() {
		if _, _, err := x.kafka.AddNode(id, 9001+int(id)); err != nil {
			d.t.Errorf("starting broker %d of %s: %v", id, x.name, err)
		}
	})
	return fmt.Sprintf("broker %d of %s is down", id, x.name)
}

// brokerErrors are requests that brokers refuse, or carry out and refuse.
func (d *simDay) brokerErrors() string {
	x := d.sites["eu"]
	f := kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Count: 1 + d.rand.IntN(30)}
	switch d.rand.IntN(5) {
	case 0:
		f.Err = kerr.NotEnoughReplicas
	case 1:
		f.Err = kerr.NotEnoughReplicasAfterAppend
	case 2:
		f.Err = kerr.RequestTimedOut
	case 3:
		f.Err = kerr.NotLeaderForPartition
	case 4:
		x = d.sites["us"]
		f.Keys, f.Err = []kmsg.Key{kmsg.Fetch}, []*kerr.Error{kerr.NotLeaderForPartition, kerr.OffsetNotAvailable, kerr.KafkaStorageError}[d.rand.IntN(3)]
	}
	h := x.kafka.Fault(f)
	d.later(h.Remove)
	return fmt.Sprintf("%d requests at %s fail: %s", f.Count, x.name, f.Err.Message)
}

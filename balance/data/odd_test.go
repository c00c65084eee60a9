package data

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// TestRandomOddClusters holds every promise against clusters that no generator
// makes: unknown capacities, empty partitions, far ids, any state anywhere,
// log dirs of all kinds, and options at their ends.
func TestRandomOddClusters(t *testing.T) {
	setChecks(t, 75, 12_500)
	for part := range 4 {
		t.Run(strconv.Itoa(part), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				m, o := Generate(drawShape(t), rapid.Uint64().Draw(t, "seed")), drawOptions(t)
				spoil(t, m)
				spoilOptions(t, &o)
				checkPromises(t, m, o)
			})
		})
	}
}

// spoil makes odd what a cluster may have odd.
func spoil(t *rapid.T, m *Model) {
	r := rng{rapid.Uint64().Draw(t, "odd")}
	odds := rapid.SampledFrom([]int{2, 5, 20}).Draw(t, "odds")
	if rapid.Bool().Draw(t, "farIDs") {
		spreadIDs(m)
	}
	for _, odd := range []struct {
		name string
		do   func()
	}{
		{"disks", func() { eachBroker(m, &r, odds, func(b *Broker) { b.Disk = b.Disk * int64(r.below(5)) / 2 }) }},
		{"nets", func() {
			eachBroker(m, &r, odds, func(b *Broker) { b.NetIn, b.NetOut = int64(r.below(4)), int64(r.below(4)) })
		}},
		{"states", func() { eachBroker(m, &r, odds, func(b *Broker) { b.State = State(r.below(5)) }) }},
		{"dirs", func() { oddDirs(m, &r, odds) }},
		{"sizes", func() {
			eachPartition(m, &r, odds, func(p *Partition) { p.Size = p.Size * int64(r.below(4)) / 3 })
		}},
		{"rates", func() {
			eachPartition(m, &r, odds, func(p *Partition) { p.In, p.Out = p.In*int64(r.below(3)), p.Out*int64(r.below(3)) })
		}},
		{"holds", func() { eachPartition(m, &r, odds, func(p *Partition) { p.Hold = Hold(r.below(3)) }) }},
		{"oneRack", func() { eachBroker(m, &r, 1, func(b *Broker) { b.Rack = "" }) }},
	} {
		if rapid.IntRange(0, 2).Draw(t, odd.name) == 0 {
			odd.do()
		}
	}
}

func eachBroker(m *Model, r *rng, odds int, do func(b *Broker)) {
	for i := range m.Brokers {
		if r.below(odds) == 0 {
			do(&m.Brokers[i])
		}
	}
}

func eachPartition(m *Model, r *rng, odds int, do func(p *Partition)) {
	for i := range m.Partitions {
		if r.below(odds) == 0 {
			do(&m.Partitions[i])
		}
	}
}

// spreadIDs makes ids far apart, and some larger than any array would be.
func spreadIDs(m *Model) {
	for i := range m.Brokers {
		m.Brokers[i].ID = m.Brokers[i].ID*997 + 3
	}
	for i := range m.Partitions {
		for k := range m.Partitions[i].Replicas {
			m.Partitions[i].Replicas[k] = m.Partitions[i].Replicas[k]*997 + 3
		}
	}
}

// oddDirs gives some dirs a capacity, and takes them from some partitions.
func oddDirs(m *Model, r *rng, odds int) {
	eachBroker(m, r, odds, func(b *Broker) {
		for d := range b.Dirs {
			b.Dirs[d].Capacity = b.Disk * int64(1+r.below(3)) / 4
		}
	})
	eachPartition(m, r, odds*4, func(p *Partition) { p.Dirs = nil })
	eachPartition(m, r, odds*4, func(p *Partition) {
		for k := range p.Dirs {
			p.Dirs[k] = -1
		}
	})
	noDirs(m, r)
}

func spoilOptions(t *rapid.T, o *Options) {
	o.InBand = rapid.SampledFrom([]float64{.05, .01, .5}).Draw(t, "inBand")
	o.OutBand = rapid.SampledFrom([]float64{.05, .01, .5}).Draw(t, "outBand")
	o.DirBand = rapid.SampledFrom([]float64{.05, .001, .5}).Draw(t, "dirBand")
	o.DiskLimit = rapid.SampledFrom([]float64{.8, .01, 1}).Draw(t, "diskLimit")
	o.Throttle = rapid.SampledFrom([]int64{0, 1, 50 << 20}).Draw(t, "throttle")
	o.MaxBytes = rapid.SampledFrom([]int64{0, 0, 1, 5e9, 50e9}).Draw(t, "maxBytes")
}

// noDirs takes the log dirs from one broker.
func noDirs(m *Model, r *rng) {
	b := &m.Brokers[r.below(len(m.Brokers))]
	b.Dirs = nil
	for i := range m.Partitions {
		p := &m.Partitions[i]
		if k := slices.Index(p.Replicas, b.ID); k >= 0 && p.Dirs != nil {
			p.Dirs[k] = -1
		}
	}
}

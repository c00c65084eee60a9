package data

import (
	"fmt"
	"math"
	"math/bits"
)

// Shape describes a cluster to generate. The zero value of a field means the
// plain case.
type Shape struct {
	Brokers    int       // brokers with replicas; at least 1
	Racks      int       // racks, filled in turn; 0: one
	RackParts  []float64 // part of the brokers in each rack, instead of Racks in turn
	Partitions int
	RF         []int   // replication factors, in turn by topic; empty: 3 (fewer on fewer brokers)
	PerTopic   int     // partitions per topic, about; 0: 16
	Equal      bool    // all partitions of one size
	Least      float64 // size of the smallest partition, in parts of the mean; 0: as it comes
	Spread     float64 // sigma of the lognormal sizes; 0: 1.5
	Giants     []float64
	Skew       float64 // 0: placed evenly; else part by which brokers differ in how likely they take a replica
	Capacities []int64 // capacity of brokers in turn, relative; empty: all 1
	Use        float64 // part of all disks in use; 0: 0.45
	New        int     // empty brokers added
	Dead       int     // of the brokers with replicas
	Draining   int
	Cordoned   int
	Held       float64 // part of the partitions that are excluded or pinned, in turn
	BadRacks   float64 // part of the partitions placed without regard to racks
	Dirs       int     // log dirs per broker; 0: not known
}

// rng is a small generator with a fixed sequence (splitmix64): the same seed
// makes the same cluster with every version of Go.
type rng struct{ state uint64 }

func (r *rng) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number from 0 to n-1.
func (r *rng) below(n int) int {
	hi, _ := bits.Mul64(r.next(), uint64(n))
	return int(hi)
}

func (r *rng) float() float64 { return float64(r.next()>>11) / (1 << 53) }

// normal returns a standard normal number (sum of twelve).
func (r *rng) normal() float64 {
	s := -6.0
	for range 12 {
		s += r.float()
	}
	return s
}

// Generate makes a cluster of the shape. The same shape and seed give the
// same cluster.
func Generate(s Shape, seed uint64) *Model {
	g := &generator{Shape: s, rng: rng{seed}}
	g.fill()
	g.brokers()
	g.partitions()
	g.states()
	g.m.Sort()
	return &g.m
}

type generator struct {
	Shape
	rng
	m     Model
	pull  []float64 // by broker: how likely it takes a replica
	racks int
}

func (g *generator) fill() {
	g.Brokers = max(1, g.Brokers)
	if g.PerTopic == 0 {
		g.PerTopic = 16
	}
	if g.Spread == 0 {
		g.Spread = 1.5
	}
	if g.Use == 0 {
		g.Use = 0.45
	}
	if len(g.Capacities) == 0 {
		g.Capacities = []int64{1}
	}
	if len(g.RF) == 0 {
		g.RF = []int{3}
	}
	g.racks = max(1, g.Racks, len(g.RackParts))
}

// rack returns the rack of the i-th of n brokers.
func (g *generator) rack(i, n int) int {
	if len(g.RackParts) == 0 {
		return i % g.racks
	}
	x, sum := (float64(i)+0.5)/float64(n), 0.0
	for k, part := range g.RackParts {
		if sum += part; x < sum {
			return k
		}
	}
	return g.racks - 1
}

func (g *generator) brokers() {
	for i := range g.Brokers + g.New {
		b := Broker{ID: int32(i), Rack: fmt.Sprintf("r%d", g.rack(i, g.Brokers)), Disk: g.Capacities[i%len(g.Capacities)]}
		if i >= g.Brokers {
			b.State, b.Rack = New, fmt.Sprintf("r%d", i%g.racks)
		}
		b.NetIn, b.NetOut = b.Disk, b.Disk
		for d := range g.Dirs {
			b.Dirs = append(b.Dirs, LogDir{Path: fmt.Sprintf("/data/%d", d)})
		}
		g.m.Brokers = append(g.m.Brokers, b)
		g.pull = append(g.pull, float64(b.Disk)*math.Exp(g.Skew*g.normal()))
	}
}

func (g *generator) partitions() {
	total := 0.0
	for t := 0; len(g.m.Partitions) < g.Partitions; t++ {
		rf := min(g.RF[t%len(g.RF)], g.Brokers)
		n := min(1+g.below(2*g.PerTopic-1), g.Partitions-len(g.m.Partitions))
		mean := math.Exp(g.Spread * g.normal())
		keep, fan := math.Exp(g.normal()), 1+float64(g.below(4))
		for k := range n {
			size := mean * (0.7 + 0.6*g.float())
			if g.Equal {
				size = 1
			}
			size = math.Max(size, g.Least*math.Exp(g.Spread*g.Spread/2))
			p := Partition{Topic: fmt.Sprintf("t%05d", t), ID: int32(k), Size: int64(size * 1e9)}
			p.In = int64(size * 1e5 / keep)
			p.Out = int64(float64(p.In) * fan)
			p.Replicas = g.place(rf)
			total += float64(p.Size) * float64(rf)
			g.m.Partitions = append(g.m.Partitions, p)
		}
	}
	for i, part := range g.Giants {
		if i < len(g.m.Partitions) {
			p := &g.m.Partitions[g.below(len(g.m.Partitions))]
			size := int64(part * total / float64(g.Brokers+g.New))
			total += float64(size-p.Size) * float64(len(p.Replicas))
			p.Size = size
		}
	}
	g.disks(total)
}

// disks scales capacities so that the wanted part of them is in use, and
// spreads replicas over log dirs.
func (g *generator) disks(total float64) {
	sum := 0.0
	for i := range g.m.Brokers {
		sum += float64(g.m.Brokers[i].Disk)
	}
	unit := total / g.Use / sum
	for i := range g.m.Brokers {
		b := &g.m.Brokers[i]
		b.Disk = int64(float64(b.Disk)*unit) + 1
		b.NetIn, b.NetOut = b.NetIn*1e9, b.NetOut*1e9
	}
	if g.Dirs == 0 {
		return
	}
	for i := range g.m.Partitions {
		p := &g.m.Partitions[i]
		for range p.Replicas {
			x, y := g.below(g.Dirs), g.below(g.Dirs)
			p.Dirs = append(p.Dirs, int16(min(x, y)))
		}
	}
}

// place chooses brokers for a partition by pull, racks in turn unless they
// are to be broken.
func (g *generator) place(rf int) []int32 {
	free := g.float() < g.BadRacks
	inRack := make([]int, g.racks)
	var list []int32
	most := (rf + g.racks - 1) / g.racks
	for len(list) < rf {
		b := g.draw(func(b int) bool {
			for _, id := range list {
				if int(id) == b {
					return false
				}
			}
			return free || inRack[g.rack(b, g.Brokers)] < most
		})
		if b < 0 {
			most++
			continue
		}
		inRack[g.rack(b, g.Brokers)]++
		list = append(list, int32(b))
	}
	return list
}

// draw returns a random broker among those that are allowed, by pull; -1 if
// none is.
func (g *generator) draw(ok func(b int) bool) int {
	sum := 0.0
	for b := range g.Brokers {
		if ok(b) {
			sum += g.pull[b]
		}
	}
	x, last := g.float()*sum, -1
	for b := range g.Brokers {
		if !ok(b) {
			continue
		}
		if last = b; x < g.pull[b] {
			return b
		}
		x -= g.pull[b]
	}
	return last
}

// states sets the states of brokers, from the first on, and the holds.
func (g *generator) states() {
	i := 0
	for _, s := range []struct {
		n     int
		state State
	}{{g.Dead, Dead}, {g.Draining, Draining}, {g.Cordoned, Cordoned}} {
		for range s.n {
			if i < g.Brokers {
				g.m.Brokers[i].State = s.state
			}
			i++
		}
	}
	for p := range g.m.Partitions {
		if g.float() < g.Held {
			g.m.Partitions[p].Hold = Pinned + Hold(p%2)
		}
	}
}

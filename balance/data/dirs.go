package data

import (
	"math"
	"slices"
)

// dirLevel levels the log dirs of brokers once it is settled which replicas
// they hold.
type dirLevel struct {
	*layout
	o    Options
	from []int16   // by replica: the dir that it lies in; -1: arrives, or not known
	to   []int16   // by replica: the dir that it should lie in; -1: any
	move [][]int32 // by stage: replicas that change dirs on their broker

	settled bool // what arrives stays where the way there put it
}

// levelDirs chooses log dirs: for replicas that arrive, unless that is settled,
// such that no other need move; then, where dirs are still uneven, moves
// between them.
func (q *planner) levelDirs(settled bool) *dirLevel {
	d := &dirLevel{layout: q.layout, o: q.o, from: make([]int16, len(q.at)), to: make([]int16, len(q.at)), settled: settled}
	held := make([][]int32, len(q.load))
	for r := range q.at {
		d.from[r] = q.dirNow(int32(r))
		d.to[r] = d.from[r]
		if settled && d.from[r] < 0 {
			d.to[r] = q.dirs.dir[r]
		}
	}
	for _, p := range q.bySize() {
		for r := q.first[p]; r < q.first[p+1]; r++ {
			held[q.at[r]] = append(held[q.at[r]], r)
		}
	}
	for b := range held {
		d.broker(int32(b), held[b])
	}
	return d
}

// broker levels one broker that holds the replicas, smallest first.
func (d *dirLevel) broker(b int32, held []int32) {
	n := len(d.m.Brokers[b].Dirs)
	if n == 0 || d.leaves(b) {
		return
	}
	v := &brokerDirs{dirLevel: d, b: b, held: held, x: make([]float64, n)}
	known := true
	for _, r := range held {
		if d.to[r] >= 0 {
			v.x[d.to[r]] += float64(d.size[r])
		} else {
			known = known && d.chooses(r)
		}
	}
	v.aim()
	v.arrive()
	if n > 1 && known {
		v.settle()
		v.stage()
	}
}

// chooses reports whether a dir can be chosen for r: it arrives, and the dirs
// of its partition are known.
func (d *dirLevel) chooses(r int32) bool {
	p := &d.m.Partitions[d.part[r]]
	return p.Dirs != nil && !slices.Contains(p.Replicas, d.m.Brokers[d.at[r]].ID)
}

// brokerDirs is the dirs of one broker.
type brokerDirs struct {
	*dirLevel
	b     int32
	held  []int32   // replicas, smallest first
	x     []float64 // by dir: bytes
	share []float64 // by dir: bytes it should hold
	limit []float64 // by dir: bytes it must not exceed
	spare float64   // bytes that the broker may hold for a while beyond its end
}

// aim fixes each dir's share: by capacity, or alike where one is unknown.
func (v *brokerDirs) aim() {
	broker := &v.m.Brokers[v.b]
	sum, known := 0.0, true
	for _, dir := range broker.Dirs {
		sum += float64(dir.Capacity)
		known = known && dir.Capacity > 0
	}
	v.limit = broker.dirLimits(v.o)
	for _, dir := range broker.Dirs {
		w := 1 / float64(len(broker.Dirs))
		if known {
			w = float64(dir.Capacity) / sum
		}
		v.share = append(v.share, w*float64(v.load[v.b].bytes))
		if len(v.limit) < len(v.share) {
			v.limit = append(v.limit, math.Inf(1))
		}
	}
	v.spare = math.Inf(1)
	if broker.Disk > 0 {
		v.spare = v.o.DiskLimit*float64(broker.Disk) - float64(v.load[v.b].bytes)
	}
}

// arrive gives each replica that arrives, largest first, the dir that lacks
// most, of those that have room under their limit.
func (v *brokerDirs) arrive() {
	for i := len(v.held) - 1; i >= 0; i-- {
		r := v.held[i]
		if v.to[r] >= 0 || !v.chooses(r) {
			continue
		}
		size := float64(v.size[r])
		best, most, room := 0, math.Inf(-1), false
		for k := range v.x {
			lack, fits := v.share[k]-v.x[k], v.x[k]+size <= v.limit[k]
			if fits == room && lack > most || fits && !room {
				best, most, room = k, lack, fits
			}
		}
		v.to[r] = int16(best)
		v.x[best] += size
	}
}

// outside is how far the dirs lie outside their bands, in parts of a share.
func (v *brokerDirs) outside() float64 {
	s := 0.0
	for k := range v.x {
		s += beyond(v.x[k], v.share[k], v.o.DirBand)
	}
	return s
}

// settle moves replicas between dirs until all lie in their band or that does
// not help enough.
func (v *brokerDirs) settle() {
	for {
		before := v.outside()
		if before == 0 {
			return
		}
		x, to := slices.Clone(v.x), slices.Clone(v.to)
		v.level()
		if v.outside() >= before*(1-improve) {
			v.x, v.dirLevel.to = x, to
			return
		}
	}
}

// level moves the largest replicas that fit from dirs with too much to dirs
// with too little, then swaps pairs.
func (v *brokerDirs) level() {
	t := &targets{pools: 1, pool: make([]int32, len(v.x))}
	w := t.levels(v.x, v.share, v.o.DirBand*aim)
	moved := make(map[int32]bool)
	for range 4 * len(v.held) {
		s, d, want := -1, -1, 0.0
		for i := range v.x {
			for j := range v.x {
				if g := math.Min(v.x[i]-w.hi[i], w.lo[j]-v.x[j]); i != j && g > want {
					s, d, want = i, j, g
				}
			}
		}
		if s < 0 || !v.shift(s, d, want, moved) && !v.trade(s, d, want, moved) && !v.ease(s, d, moved) {
			return
		}
	}
}

func (v *brokerDirs) may(r int32, s int, moved map[int32]bool) bool {
	return v.to[r] == int16(s) && v.free(r) && !moved[r] && float64(v.size[r]) <= v.spare && (v.from[r] >= 0 || !v.settled)
}

// shift moves the largest replica of at most want bytes from dir s to dir d.
func (v *brokerDirs) shift(s, d int, want float64, moved map[int32]bool) bool {
	for i := len(v.held) - 1; i >= 0; i-- {
		r := v.held[i]
		size := float64(v.size[r])
		if size > want || size == 0 || !v.may(r, s, moved) || v.x[d]+size > v.limit[d] {
			continue
		}
		v.put(r, s, d, moved)
		return true
	}
	return false
}

// trade swaps the pair of replicas whose sizes differ by the most that is not
// above want.
func (v *brokerDirs) trade(s, d int, want float64, moved map[int32]bool) bool {
	a, b, best := int32(-1), int32(-1), 0.0
	for _, r := range v.held {
		if !v.may(r, s, moved) {
			continue
		}
		for _, q := range v.held {
			if g := float64(v.size[r] - v.size[q]); g > best && g <= want && v.may(q, d, moved) && v.x[d]+g <= v.limit[d] {
				a, b, best = r, q, g
			}
		}
	}
	if a < 0 {
		return false
	}
	v.put(a, s, d, moved)
	v.put(b, d, s, moved)
	return true
}

// ease moves the smallest replica that takes dir s or dir d into its band and
// neither out of it: where replicas are large, levels are met only about.
func (v *brokerDirs) ease(s, d int, moved map[int32]bool) bool {
	for _, r := range v.held {
		size := float64(v.size[r])
		if size == 0 || !v.may(r, s, moved) || v.x[d]+size > v.limit[d] {
			continue
		}
		before := beyond(v.x[s], v.share[s], v.o.DirBand) + beyond(v.x[d], v.share[d], v.o.DirBand)
		after := beyond(v.x[s]-size, v.share[s], v.o.DirBand) + beyond(v.x[d]+size, v.share[d], v.o.DirBand)
		if after < before {
			v.put(r, s, d, moved)
			return true
		}
	}
	return false
}

func (v *brokerDirs) put(r int32, s, d int, moved map[int32]bool) {
	v.to[r] = int16(d)
	v.x[s] -= float64(v.size[r])
	v.x[d] += float64(v.size[r])
	moved[r] = v.from[r] >= 0 // what arrives may still go anywhere
}

// stage cuts the broker's moves between dirs into stages that together take
// up no more than the slack. Those for which there is no room on the way are
// left out.
func (v *brokerDirs) stage() {
	held := make([]float64, len(v.x)) // with all that arrives, before any move between dirs
	var pending []int32
	for i := len(v.held) - 1; i >= 0; i-- {
		r := v.held[i]
		k := v.to[r]
		if v.from[r] >= 0 && v.from[r] != k {
			pending, k = append(pending, r), v.from[r]
		}
		if k >= 0 {
			held[k] += float64(v.size[r])
		}
	}
	for n := 0; len(pending) > 0; n++ {
		stage, rest := v.admit(pending, held)
		if len(stage) == 0 {
			break
		}
		if n == len(v.move) {
			v.move = append(v.move, nil)
		}
		v.move[n], pending = append(v.move[n], stage...), rest
		for _, r := range stage {
			held[v.from[r]] -= float64(v.size[r])
		}
	}
	for _, r := range pending {
		v.to[r] = v.from[r]
	}
}

// admit takes the moves between dirs that fit into one stage and enters them
// where they go.
func (v *brokerDirs) admit(pending []int32, held []float64) (stage, rest []int32) {
	room, used := math.Min(v.spare, peakSlack*float64(v.load[v.b].bytes)), 0.0
	for _, r := range pending {
		size, to := float64(v.size[r]), v.to[r]
		if len(stage) > 0 && used+size > room || held[to]+size > v.limit[to] {
			rest = append(rest, r)
			continue
		}
		used += size
		held[to] += size
		stage = append(stage, r)
	}
	return stage, rest
}

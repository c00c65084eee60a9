package data

import (
	"cmp"
	"math"
	"slices"
)

// dirBook is what log dirs hold while a plan is made: a broker may have room
// in all and none in any dir. Replicas get their dir when they are moved, so
// that limits hold while brokers are chosen; what arrives is spread over the
// dirs once it is settled what does (dirLevel), where the way there allows it.
type dirBook struct {
	*positions
	limit   [][]float64 // by broker and dir: bytes never exceeded; nil: no capacity is known there
	bytes   [][]int64   // by broker and dir: bytes now
	dir     []int16     // by replica: the one that it is in; -1: not known, or on a broker without limits
	homeDir []int16     // by replica: the one on its home, likewise
}

// dirLimits returns the bytes that each of the broker's log dirs must never
// exceed, without end where a capacity is not known; nil if none is.
func (b *Broker) dirLimits(o Options) []float64 {
	if !slices.ContainsFunc(b.Dirs, func(d LogDir) bool { return d.Capacity > 0 }) {
		return nil
	}
	limit := make([]float64, len(b.Dirs))
	for k, dir := range b.Dirs {
		limit[k] = math.Inf(1)
		if dir.Capacity > 0 {
			limit[k] = math.Floor(o.DiskLimit * float64(dir.Capacity))
		}
	}
	return limit
}

// dirRoom returns the bytes that the broker's log dirs may hold together.
func (b *Broker) dirRoom(o Options) float64 {
	limit := b.dirLimits(o)
	if limit == nil {
		return math.Inf(1)
	}
	room := 0.0
	for _, most := range limit {
		room += most
	}
	return room
}

// newDirBook returns nil if no log dir has a known capacity.
func newDirBook(v *positions, o Options) *dirBook {
	d, some := &dirBook{positions: v, limit: make([][]float64, len(v.m.Brokers))}, false
	for b := range d.limit {
		d.limit[b] = v.m.Brokers[b].dirLimits(o)
		some = some || d.limit[b] != nil
	}
	if !some {
		return nil
	}
	d.bytes, d.dir = dirLoads(v.m), make([]int16, len(v.at))
	for r := range d.dir {
		d.dir[r] = v.dirNow(int32(r))
	}
	d.homeDir = slices.Clone(d.dir)
	return d
}

// takes reports whether a log dir of b has room for r beside all that is there
// now: until a stage ends, nothing has left. It is true where no dir is known.
func (d *dirBook) takes(r, b int32) bool {
	if d == nil || d.limit[b] == nil || d.size[r] == 0 {
		return true
	}
	_, fits := d.choose(r, b)
	return fits
}

// takesBoth is takes for two replicas that arrive together.
func (d *dirBook) takesBoth(r, s, b int32) bool {
	if d == nil || d.limit[b] == nil {
		return true
	}
	k, fits := d.choose(r, b)
	if k < 0 || !fits {
		return fits && d.takes(s, b)
	}
	d.bytes[b][k] += d.size[r]
	fits = d.takes(s, b)
	d.bytes[b][k] -= d.size[r]
	return fits
}

// choose returns the log dir that r gets on b, -1 if the broker will choose,
// and whether there is room for it: its old one where b holds or held the
// partition, else that with most room. What Kafka puts somewhere itself must
// fit into the largest, for it may be put anywhere.
func (d *dirBook) choose(r, b int32) (dir int16, fits bool) {
	limit, size := d.limit[b], d.size[r]
	if k, known := d.old(r, b); known {
		return k, k < 0 || limit == nil || size == 0 || float64(d.bytes[b][k]+size) <= limit[k]
	}
	if limit == nil {
		return -1, true
	}
	if d.m.Partitions[d.part[r]].Dirs == nil {
		return -1, float64(size) <= slices.Max(limit)
	}
	best, most := 0, math.Inf(-1)
	for k, n := range d.bytes[b] {
		if room := limit[k] - float64(n); room > most {
			best, most = k, room
		}
	}
	return int16(best), size == 0 || float64(size) <= most
}

// old returns the log dir that r's partition has on b in the model, or had
// there when the round began; false if b held it neither time.
func (d *dirBook) old(r, b int32) (dir int16, known bool) {
	p := d.part[r]
	if id := d.m.Brokers[b].ID; slices.Contains(d.m.Partitions[p].Replicas, id) {
		return d.m.dirOf(p, id), true
	}
	if s := d.homeOf(r, b); s >= 0 {
		return d.homeDir[s], true
	}
	return -1, false
}

// move puts r, which is still on its old broker, into a dir of b.
func (d *dirBook) move(r, b int32) {
	to, _ := d.choose(r, b)
	d.put(r, d.at[r], b, to)
}

// put takes r out of its dir on broker a and puts it into one of broker b.
func (d *dirBook) put(r, a, b int32, to int16) {
	if k := d.dir[r]; k >= 0 {
		d.bytes[a][k] -= d.size[r]
	}
	if to >= 0 {
		d.bytes[b][to] += d.size[r]
	}
	d.dir[r] = to
}

// swap exchanges the places of two replicas of one partition.
func (d *dirBook) swap(r, s int32) {
	if d != nil {
		d.dir[r], d.dir[s] = d.dir[s], d.dir[r]
	}
}

// swapHomes exchanges their homes.
func (d *dirBook) swapHomes(r, s int32) {
	if d != nil {
		d.homeDir[r], d.homeDir[s] = d.homeDir[s], d.homeDir[r]
	}
}

// rebase makes the present dirs of the replicas first to end the ones at home;
// lead becomes the first.
func (d *dirBook) rebase(first, lead, end int32) {
	if d == nil {
		return
	}
	leader := d.dir[lead]
	copy(d.dir[first+1:lead+1], d.dir[first:lead])
	d.dir[first] = leader
	copy(d.homeDir[first:end], d.dir[first:end])
}

// original makes the dir that the model has on r's home the one at home.
func (d *dirBook) original(r int32) {
	if d != nil {
		d.homeDir[r] = d.m.dirOf(d.part[r], d.m.Brokers[d.home[r]].ID)
	}
}

// stay puts what is at home into the dirs there: where homes have changed, it
// may have been moved and come back, but it never leaves.
func (d *dirBook) stay() {
	if d == nil {
		return
	}
	for r, b := range d.at {
		if b == d.home[r] && d.dir[r] != d.homeDir[r] {
			d.put(int32(r), b, b, d.homeDir[r])
		}
	}
}

// adopt puts what arrives into the dirs that were chosen for it since; the
// books of bytes stay as they are.
func (d *dirBook) adopt(from, to []int16) {
	if d == nil {
		return
	}
	for r, b := range d.at {
		if from[r] < 0 && to[r] >= 0 && d.limit[b] != nil {
			d.dir[r] = to[r]
		}
	}
}

// dirLoads returns the bytes in each broker's log dirs, as far as they are
// known.
func dirLoads(m *Model) [][]int64 {
	loads, some := make([][]int64, len(m.Brokers)), false
	for b := range loads {
		loads[b] = make([]int64, len(m.Brokers[b].Dirs))
		some = some || len(loads[b]) > 0
	}
	if !some {
		return loads
	}
	ix := newBrokerIndex(m.Brokers)
	for i := range m.Partitions {
		p := &m.Partitions[i]
		for k, d := range p.Dirs {
			if b := ix.of(p.Replicas[k]); d >= 0 && int(d) < len(loads[b]) {
				loads[b][d] += p.Size
			}
		}
	}
	return loads
}

// dirsSaved is the part of a dirBook that changes.
type dirsSaved struct {
	dir, homeDir []int16
	bytes        [][]int64
}

func (d *dirBook) save() (s dirsSaved) {
	if d == nil {
		return s
	}
	s = dirsSaved{slices.Clone(d.dir), slices.Clone(d.homeDir), make([][]int64, len(d.bytes))}
	for b := range d.bytes {
		s.bytes[b] = slices.Clone(d.bytes[b])
	}
	return s
}

func (d *dirBook) restore(s dirsSaved) {
	if d == nil {
		return
	}
	copy(d.dir, s.dir)
	copy(d.homeDir, s.homeDir)
	for b := range d.bytes {
		copy(d.bytes[b], s.bytes[b])
	}
}

// keeps reports whether every replica fits where it is and no log dir exceeds
// its limit, unless it did so with the bytes before. Where one does, what arrives on its broker is packed anew.
func (d *dirBook) keeps(before [][]int64) bool {
	if d == nil {
		return true
	}
	for r, b := range d.at {
		if d.dir[r] < 0 && d.limit[b] != nil && d.home[r] != b && !d.takes(int32(r), b) {
			return false // too large for where Kafka might put it
		}
	}
	for b := range d.bytes {
		if d.exceeds(b, before) {
			d.pack(int32(b))
			if d.exceeds(b, before) {
				return false
			}
		}
	}
	return true
}

func (d *dirBook) exceeds(b int, before [][]int64) bool {
	for k, most := range d.limit[b] {
		if x := d.bytes[b][k]; float64(x) > most && x > before[b][k] {
			return true
		}
	}
	return false
}

// pack spreads what arrives on b over its dirs, the largest first, each into
// the fullest one that has room for it.
func (d *dirBook) pack(b int32) {
	var arrived []int32
	for r := range d.dir {
		if d.at[r] != b || d.dir[r] < 0 {
			continue
		}
		if _, stays := d.old(int32(r), b); !stays {
			arrived = append(arrived, int32(r))
			d.bytes[b][d.dir[r]] -= d.size[r]
		}
	}
	slices.SortStableFunc(arrived, func(r, s int32) int { return cmp.Compare(d.size[s], d.size[r]) })
	for _, r := range arrived {
		best, least := 0, math.Inf(1)
		for k, n := range d.bytes[b] {
			if room := d.limit[b][k] - float64(n+d.size[r]); room >= 0 && room < least {
				best, least = k, room
			}
		}
		d.dir[r] = int16(best)
		d.bytes[b][best] += d.size[r]
	}
}

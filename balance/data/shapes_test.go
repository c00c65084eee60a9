package data

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// shapes are the generated cases that a plan must be good at.
var shapes = []struct {
	name  string
	shape Shape
	unmet []string // what may be unmet
}{
	{"drain", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Draining: 2}, nil},
	{"dead", Shape{Brokers: 33, Racks: 3, Partitions: 6000, Dead: 1, Skew: 0.2}, nil},
	{"grow", Shape{Brokers: 30, Racks: 3, Partitions: 6000, New: 6, Skew: 0.1}, nil},
	{"uneven racks", Shape{Brokers: 40, RackParts: []float64{.30, .25, .20, .15, .10}, Partitions: 8000, Skew: 0.2}, nil},
	{"RF mixed", Shape{Brokers: 30, Racks: 4, RF: []int{1, 2, 3, 4, 5}, Partitions: 6000, Skew: 0.2}, nil},
	{"RF mixed, 2 racks", Shape{Brokers: 20, Racks: 2, RF: []int{1, 2, 3, 4, 5}, Partitions: 6000, Skew: 0.2}, nil},
	{"capacities 1:2", Shape{Brokers: 30, Racks: 3, Capacities: []int64{1, 1, 1, 2, 2, 2}, Partitions: 6000, Skew: 0.2}, nil},
	{"giant 0.2", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Giants: []float64{.2, .2, .2, .2}, Skew: 0.1}, nil},
	{"giant 0.6", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Giants: []float64{.6, .6, .6}, Skew: 0.1}, nil},
	{"giant 1.5", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Giants: []float64{1.5}, Skew: 0.1}, []string{CodeGiant}},
	{"no small", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Least: 0.5, Spread: 0.3, Skew: 0.2}, nil},
	{"few", Shape{Brokers: 6, Racks: 3, Partitions: 276, Spread: 0.8, Skew: 0.3}, nil},
	{"few per broker", Shape{Brokers: 30, Racks: 3, Partitions: 240, Skew: 0.3}, nil},
	{"few per broker, one rack", Shape{Brokers: 60, Partitions: 480, Spread: 0.8, Skew: 0.3}, nil},
	{"equal", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Equal: true, Skew: 0.2}, nil},
	{"broken racks", Shape{Brokers: 30, Racks: 3, Partitions: 6000, BadRacks: 0.3, Skew: 0.1}, nil},
	{"one rack", Shape{Brokers: 12, Partitions: 2000, RF: []int{2, 3}, Skew: 0.3}, nil},
	{"cordoned", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Cordoned: 3, Skew: 0.2}, nil},
	{"held", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Held: 0.2, Skew: 0.2}, nil},
	{"full", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Use: 0.77, Skew: 0.05}, nil},
	{"all at once", Shape{Brokers: 40, Racks: 4, Partitions: 6000, RF: []int{3, 2}, New: 4, Dead: 1, Draining: 2, Cordoned: 2, Held: 0.05, BadRacks: 0.1, Skew: 0.2}, []string{CodeNoPlace, CodeRack}},
}

// TestGeneratedClusters holds every shape to the hard rules, to the bands and
// to next to no byte more than needed.
func TestGeneratedClusters(t *testing.T) {
	for i, c := range shapes {
		t.Run(c.name, func(t *testing.T) {
			m, o := Generate(c.shape, uint64(i+1)), DefaultOptions()
			p, err := Plan(m, o)
			if err != nil {
				t.Fatal(err)
			}
			if err := Check(m, o, p); err != nil {
				t.Fatal(err)
			}
			if again, err := Plan(p.Apply(m), o); err != nil || !again.Empty() {
				t.Errorf("the plan for the result is not empty (%v)", err)
			}
			t.Logf("%d moves, %s, x %.4f of the bound, %d stages", p.Moves, Bytes(p.Bytes), p.Bound.Ratio, len(p.Stages))
			for _, u := range p.Unmet {
				if !slices.Contains(c.unmet, u.Code) {
					t.Errorf("unmet: %s: %s", u.Code, u.What)
				}
			}
			if p.Bound.Ratio <= 1.03 {
				return
			}
			if step := cheaper(m, o, p); step != "" {
				t.Errorf("bytes are x %.4f of the bound and could be fewer: %s", p.Bound.Ratio, step)
			}
		})
	}
}

// TestLogDirsAreLevelled: every broker's log dirs end within 5 % of their
// share, of whatever capacity they are, and those that shift between dirs keep
// to the peak.
func TestLogDirsAreLevelled(t *testing.T) {
	for dirs := 2; dirs <= 5; dirs++ {
		for _, partitions := range []int{400, 3000} {
			for _, uneven := range []int64{1, 2} {
				m := Generate(Shape{Brokers: 12, Racks: 3, Partitions: partitions, Skew: .2, Spread: .8, Dirs: dirs, New: 3}, uint64(dirs))
				for i := range m.Brokers {
					for d := range m.Brokers[i].Dirs {
						m.Brokers[i].Dirs[d].Capacity = m.Brokers[i].Disk * (1 + int64(d)%uneven) / int64(dirs)
					}
				}
				p := planAndCheck(t, m, DefaultOptions())
				if len(p.Unmet) > 0 {
					t.Errorf("%d dirs, %d partitions: unmet: %+v", dirs, partitions, p.Unmet)
				}
				checkDirs(t, p.Apply(m))
				largest := int64(0)
				for _, c := range p.Changes {
					largest = max(largest, m.Partitions[c.Partition].Size)
				}
				for _, b := range p.Brokers {
					usual := max(b.Before.Bytes, b.After.Bytes)
					if b.Peak > usual+max(usual/100, largest) {
						t.Errorf("broker %d: peak of %d bytes, %d before or after", b.ID, b.Peak, usual)
					}
				}
			}
		}
	}
}

// checkDirs holds every broker's log dirs to their share by capacity.
func checkDirs(t *testing.T, m *Model) {
	t.Helper()
	type dir struct {
		broker int32
		k      int16
	}
	bytes, of := make(map[dir]float64), make(map[int32]float64)
	for i := range m.Partitions {
		p := &m.Partitions[i]
		for k, id := range p.Replicas {
			bytes[dir{id, p.Dirs[k]}] += float64(p.Size)
			of[id] += float64(p.Size)
		}
	}
	for _, b := range m.Brokers {
		all := int64(0)
		for _, d := range b.Dirs {
			all += d.Capacity
		}
		for k, d := range b.Dirs {
			share := of[b.ID] * float64(d.Capacity) / float64(all)
			if x := bytes[dir{b.ID, int16(k)}] / share; x < 0.95 || x > 1.05 {
				t.Errorf("broker %d: log dir %d of %d holds x %.3f of its share", b.ID, k, len(b.Dirs), x)
			}
		}
	}
}

// TestFullLogDirsAreTold: a small log dir is not overfilled while another has
// room, and where none has, that is said.
func TestFullLogDirsAreTold(t *testing.T) {
	dirs := []LogDir{{Path: "/a", Capacity: 100}, {Path: "/b", Capacity: 900}}
	m := &Model{Brokers: []Broker{{ID: 0, Disk: 1000, Dirs: dirs, State: Draining}, {ID: 1, Disk: 1000, Dirs: dirs}}}
	for i := range int32(6) {
		m.Partitions = append(m.Partitions, Partition{Topic: "t", ID: i, Replicas: []int32{0}, Dirs: []int16{1}, Size: 100})
	}
	p := planAndCheck(t, m, DefaultOptions())
	for _, c := range p.Changes {
		if c.ToDirs[0] != 1 {
			t.Errorf("partition %d lies in the small log dir", c.ID)
		}
	}
	m.Brokers[1].Dirs = []LogDir{{Path: "/a", Capacity: 100}, {Path: "/b", Capacity: 300}}
	p = planAndCheck(t, m, DefaultOptions())
	if len(p.Unmet) == 0 || p.Unmet[0].Code != CodeNoPlace || !strings.HasPrefix(p.Unmet[0].Help, "broker 1 has room in all but in none of the log dirs") {
		t.Errorf("unmet: %+v", p.Unmet)
	}
	m.Brokers[0].State, m.Brokers[0].Dirs = OK, []LogDir{{Path: "/a", Capacity: 100}, {Path: "/b", Capacity: 500}}
	m.Brokers[1].State = Cordoned
	p = planAndCheck(t, m, DefaultOptions())
	if !slices.ContainsFunc(p.Unmet, func(u Unmet) bool { return u.Code == CodeDirLimit && slices.Equal(u.Brokers, []int32{0}) }) {
		t.Errorf("unmet: %+v", p.Unmet)
	}
}

// cheaper looks for a single move or swap that lowers the bytes that travel
// and leaves every broker as well inside its bands; it tries all of them.
func cheaper(m *Model, o Options, p *Proposal) string {
	l := newLayout(p.Apply(m))
	home := make(map[[2]int32]bool) // partition and place of its broker
	for i := range m.Partitions {
		for _, id := range m.Partitions[i].Replicas {
			home[[2]int32{int32(i), l.ix.of(id)}] = true
		}
	}
	cost := func(r, b int32) int64 {
		if home[[2]int32{l.part[r], b}] {
			return 0
		}
		return l.size[r]
	}
	t := l.targets(o)
	held := make([][]int32, len(l.load))
	for r, b := range l.at {
		if l.free(int32(r)) {
			held[b] = append(held[b], int32(r))
		}
	}
	for i := range l.at {
		r := int32(i)
		a := l.at[r]
		if cost(r, a) == 0 || !l.free(r) {
			continue // it does not travel: nothing is won by moving it
		}
		for c := range l.load {
			b := int32(c)
			if !home[[2]int32{l.part[r], b}] || b == a || !l.legal(r, b) {
				continue
			}
			if asGood(l, t, o, a, b, l.size[r], 1) {
				return fmt.Sprintf("%s goes back to %d", m.Partitions[l.part[r]].Name(), b)
			}
			for _, s := range held[b] {
				if cost(s, a)-cost(s, b) < l.size[r] && l.legal(s, a) && asGood(l, t, o, a, b, l.size[r]-l.size[s], 0) {
					return fmt.Sprintf("%s goes back to %d in exchange for %s", m.Partitions[l.part[r]].Name(), b, m.Partitions[l.part[s]].Name())
				}
			}
		}
	}
	return ""
}

// asGood reports whether both brokers stay as well in their bands when so many
// bytes and replicas go from a to b.
func asGood(l *layout, t *targets, o Options, a, b int32, bytes int64, n int32) bool {
	off := func(x int32, bytes int64, n int32) float64 {
		have := &l.load[x]
		if float64(have.bytes+bytes) > t.limit[x] && bytes > 0 {
			return 1e9
		}
		return beyond(float64(have.bytes+bytes), t.disk[x], o.DiskBand) + t.counts[x].off(have.count+n)
	}
	return off(a, -bytes, -n) <= off(a, 0, 0) && off(b, bytes, n) <= off(b, 0, 0)
}

package data

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// fullDirsModel is a broker with room in all and in no log dir, and one to be
// emptied of a partition of so many MB.
func fullDirsModel(t *testing.T, mb string) *Model {
	t.Helper()
	brokers := "1,,300000,0,0,ok,/d0:100000 /d1:100000 /d2:100000\n2,,300000,0,0,draining,/d0:300000\n"
	parts := "a,0,1,99000,0,0,/d0\na,1,1,99000,0,0,/d1\na,2,1,99000,0,0,/d2\nx,0,2," + mb + ",0,0,/d0\n"
	return parseModel(t, "full", []byte(brokers), []byte(parts))
}

// TestFullLogDirsTakeNothing: a broker may have room in all and in no log dir.
func TestFullLogDirsTakeNothing(t *testing.T) {
	o := DefaultOptions()
	o.DiskLimit = 1
	m := fullDirsModel(t, "1500")
	p := planAndCheck(t, m, o)
	if !p.Empty() {
		t.Errorf("moves: %+v", p.Changes)
	}
	if len(p.Unmet) == 0 || p.Unmet[0].Code != CodeNoPlace || !slices.Equal(p.Unmet[0].Partitions, []string{"x-0"}) || !strings.Contains(p.Unmet[0].Help, "broker 1 has room in all but in none of the log dirs") {
		t.Errorf("unmet: %+v", p.Unmet)
	}
	p = planAndCheck(t, fullDirsModel(t, "1000"), o) // just fits
	if len(p.Changes) != 1 || p.Changes[0].Topic != "x" || p.Changes[0].To[0] != 1 || p.Changes[0].ToDirs[0] < 0 {
		t.Errorf("moves: %+v, unmet %+v", p.Changes, p.Unmet)
	}
}

// TestFullLogDirsTakeNothingOfMany is the same where there are too many layouts
// to look at each: what has room goes, the rest stays.
func TestFullLogDirsTakeNothingOfMany(t *testing.T) {
	o := DefaultOptions()
	o.DiskLimit = 1
	m := fullDirsModel(t, "1500")
	for i := range int32(40) {
		m.Partitions = append(m.Partitions, Partition{Topic: "y", ID: i, Replicas: []int32{2}, Dirs: []int16{0}, Size: 70e6})
	}
	m.Sort()
	p := planAndCheck(t, m, o)
	if p.Moves != 40 || slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Topic != "y" }) {
		t.Errorf("%d moves: %+v", p.Moves, p.Changes)
	}
	if len(p.Unmet) == 0 || !slices.Equal(p.Unmet[0].Partitions, []string{"x-0"}) {
		t.Errorf("unmet: %+v", p.Unmet)
	}
}

// TestLogDirsAreFullOnTheWay: what must leave a log dir first goes in an earlier
// stage.
func TestLogDirsAreFullOnTheWay(t *testing.T) {
	broker := func(id int32, capacity int64, state State) Broker {
		return Broker{ID: id, Disk: 1000, State: state, Dirs: []LogDir{{Path: "/d0", Capacity: capacity}}}
	}
	m := &Model{Brokers: []Broker{broker(0, 100, OK), broker(1, 100, Draining), broker(2, 70, OK)}}
	m.Partitions = []Partition{
		{Topic: "large", Replicas: []int32{1}, Dirs: []int16{0}, Size: 95},
		{Topic: "small", Replicas: []int32{0}, Dirs: []int16{0}, Size: 60},
	}
	o := DefaultOptions()
	o.DiskLimit = 1
	p := planAndCheck(t, m, o)
	if p.Moves != 2 || len(p.Stages) != 2 || p.Stages[0].Bytes != 60 || p.Stages[1].Bytes != 95 {
		t.Errorf("moves %+v, stages %+v, unmet %+v", p.Changes, p.Stages, p.Unmet)
	}
}

// TestTradesKnowLogDirs: two replicas that come together may each fit alone.
func TestTradesKnowLogDirs(t *testing.T) {
	dirs := []LogDir{{Path: "/d0", Capacity: 100}, {Path: "/d1", Capacity: 60}}
	m := &Model{Brokers: []Broker{{ID: 0}, {ID: 1, Dirs: dirs}}}
	for i, size := range []int64{70, 70, 50} {
		m.Partitions = append(m.Partitions, Partition{Topic: "t", ID: int32(i), Replicas: []int32{0}, Dirs: []int16{-1}, Size: size})
	}
	o := DefaultOptions()
	o.DiskLimit = 1
	d := newDirBook(&newLayout(m).positions, o)
	if !d.takes(0, 1) || !d.takes(1, 1) || d.takesBoth(0, 1, 1) || !d.takesBoth(0, 2, 1) {
		t.Errorf("takes %v and %v, both %v; with the small one %v", d.takes(0, 1), d.takes(1, 1), d.takesBoth(0, 1, 1), d.takesBoth(0, 2, 1))
	}
	if !slices.Equal(d.bytes[1], []int64{0, 0}) {
		t.Errorf("the books say %v", d.bytes)
	}
}

// TestUnknownLogDirsMustFitAnywhere: what Kafka puts into a log dir itself goes
// only where the largest could hold it.
func TestUnknownLogDirsMustFitAnywhere(t *testing.T) {
	dirs := []LogDir{{Path: "/d0", Capacity: 100}, {Path: "/d1", Capacity: 100}}
	m := &Model{Brokers: []Broker{{ID: 0, State: Draining}, {ID: 1, Disk: 200, Dirs: dirs}}}
	m.Partitions = []Partition{{Topic: "large", Replicas: []int32{0}, Size: 110}, {Topic: "small", Replicas: []int32{0}, Size: 70}}
	p := planAndCheck(t, m, DefaultOptions())
	if len(p.Changes) != 1 || p.Changes[0].Topic != "small" || len(p.Unmet) == 0 || !slices.Equal(p.Unmet[0].Partitions, []string{"large-0"}) {
		t.Errorf("moves %+v, unmet %+v", p.Changes, p.Unmet)
	}
}

// TestPlansAreJoined: where levelled log dirs have made room for more, what
// comes next is part of the plan.
func TestPlansAreJoined(t *testing.T) {
	m, o := Generate(Shape{Brokers: 5, Partitions: 30, RF: []int{2}, PerTopic: 4, Spread: 1, Skew: .3, Use: .7, New: 1, Dirs: 3}, 9), DefaultOptions()
	r := rng{9}
	for i := range m.Brokers {
		limitDirs(&m.Brokers[i], &r, false)
	}
	first := plan(m, o)
	next := plan(first.Apply(m), o)
	if next.Moves == 0 || next.DirMoves == 0 {
		t.Fatalf("nothing comes next: %+v", next)
	}
	p := join(m, o, first, next)
	if err := Check(m, o, p); err != nil {
		t.Error(err)
	}
	if p.Bytes != first.Bytes+next.Bytes || len(p.Stages) != len(first.Stages)+len(next.Stages) {
		t.Errorf("%d bytes in %d stages", p.Bytes, len(p.Stages))
	}
	if !reflect.DeepEqual(p.Apply(m), next.Apply(first.Apply(m))) {
		t.Error("the joined plan ends elsewhere")
	}
	if whole := planAndCheck(t, m, o); whole.Bytes < p.Bytes {
		t.Errorf("%d bytes in all", whole.Bytes)
	}
}

// TestCheckKnowsLogDirLimits at the end, on the way, and of dirs that are not
// said.
func TestCheckKnowsLogDirLimits(t *testing.T) {
	dirs := []LogDir{{Path: "/d0", Capacity: 100}, {Path: "/d1", Capacity: 50}}
	m := &Model{Brokers: []Broker{{ID: 1, Disk: 150, Dirs: dirs}, {ID: 2, Disk: 150, Dirs: dirs}}}
	m.Partitions = []Partition{
		{Topic: "a", Replicas: []int32{1}, Dirs: []int16{0}, Size: 60},
		{Topic: "b", Replicas: []int32{2}, Dirs: []int16{0}, Size: 60},
		{Topic: "c", Replicas: []int32{1}, Size: 90},
	}
	move := func(i, to int, dirs ...int16) Change {
		p := &m.Partitions[i]
		return Change{Partition: i, Topic: p.Topic, From: p.Replicas, To: []int32{int32(to)}, FromDirs: p.Dirs, ToDirs: dirs}
	}
	for _, c := range []struct {
		name    string
		changes []Change
		stages  [][]int
		says    string
	}{
		{"at the end", []Change{move(0, 2, 0)}, [][]int{{0}}, "stage 1: log dir /d0 of broker 2: 120 bytes, 80 allowed"},
		{"in the small one", []Change{move(0, 2, 1)}, [][]int{{0}}, "stage 1: log dir /d1 of broker 2: 60 bytes, 40 allowed"},
		{"on the way", []Change{move(0, 2, 0), move(1, 1, 0)}, [][]int{{0, 1}}, "stage 1: log dir /d0 of broker 1: 120 bytes, 80 allowed"},
		{"between two", []Change{move(1, 2, 1)}, [][]int{{0}}, "log dir /d1 of broker 2: 60 bytes, 40 allowed"},
		{"one that is not said", []Change{move(0, 2, -1)}, [][]int{{0}}, "stage 1: a-0: no log dir is said for broker 2"},
		{"larger than any", []Change{move(2, 2)}, [][]int{{0}}, "stage 1: c-0: is larger than any log dir of broker 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &Proposal{Changes: c.changes}
			for _, steps := range c.stages {
				var s Stage
				for _, i := range steps {
					s.Steps = append(s.Steps, Step{Change: i, To: c.changes[i].To, Dirs: c.changes[i].ToDirs})
					if !slices.Equal(c.changes[i].From, c.changes[i].To) {
						s.Bytes += m.Partitions[c.changes[i].Partition].Size
					}
				}
				p.Stages = append(p.Stages, s)
				p.Bytes += s.Bytes
			}
			if err := Check(m, DefaultOptions(), p); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestRandomFullLogDirs holds every promise against clusters whose log dirs have
// little room, each of a size of its own.
func TestRandomFullLogDirs(t *testing.T) {
	setChecks(t, 150, 20_000)
	rapid.Check(t, func(t *rapid.T) {
		s := drawShape(t)
		s.Dirs = rapid.IntRange(1, 4).Draw(t, "dirs of each")
		s.Use = rapid.SampledFrom([]float64{.3, .6, .75, .9}).Draw(t, "use of disks")
		m, o := Generate(s, rapid.Uint64().Draw(t, "seed")), drawOptions(t)
		o.MaxBytes = rapid.SampledFrom([]int64{0, 0, 0, 5e9}).Draw(t, "maxBytes")
		r := rng{rapid.Uint64().Draw(t, "sizes")}
		even := rapid.Bool().Draw(t, "even")
		for i := range m.Brokers {
			limitDirs(&m.Brokers[i], &r, even)
		}
		checkPromises(t, m, o)
	})
}

// limitDirs divides the broker's disk among its log dirs.
func limitDirs(b *Broker, r *rng, even bool) {
	parts, sum := make([]int64, len(b.Dirs)), int64(0)
	for k := range parts {
		parts[k] = 1
		if !even {
			parts[k] += int64(r.below(4))
		}
		sum += parts[k]
	}
	for k := range b.Dirs {
		b.Dirs[k].Capacity = b.Disk / sum * parts[k]
	}
}

package data

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

// TestDrainKeepsToTheByteLimit: replicas of a dead broker must move, yet no
// more bytes may travel than were allowed.
func TestDrainKeepsToTheByteLimit(t *testing.T) {
	m, o := Generate(Shape{Brokers: 9, Racks: 3, Partitions: 200, Dead: 1}, 3), DefaultOptions()
	o.MaxBytes = 5e9
	p := planAndCheck(t, m, o)
	if p.Bytes == 0 || p.Bytes > o.MaxBytes {
		t.Errorf("%d bytes travel, %d are allowed", p.Bytes, o.MaxBytes)
	}
	if len(p.Unmet) == 0 || p.Unmet[0].Code != CodeNoPlace || p.Unmet[0].Help != "raise the byte limit" {
		t.Errorf("what remains is said to be %+v", p.Unmet)
	}
}

// TestSwapsKeepToTheByteLimit: a replica that goes to the home of another one
// of its partition, which travels, saves nothing.
func TestSwapsKeepToTheByteLimit(t *testing.T) {
	m := &Model{}
	for i := range 4 {
		m.Brokers = append(m.Brokers, Broker{ID: int32(i), Disk: 100})
	}
	m.Partitions = []Partition{{Topic: "t", Replicas: []int32{0, 1}, Size: 7}}
	q := &planner{layout: newLayout(m), o: DefaultOptions()}
	c := q.newPass()
	c.budget = 10
	c.put(1, 2) // from 1: travels
	c.put(0, 1) // to where the other one came from: one of the two still travels
	if c.budget != 3 || q.travels() != 7 {
		t.Errorf("%d bytes left of 10, %v travel", c.budget, q.travels())
	}
}

// TestWayRoundKeepsToTheByteLimit: where nothing can go straight, replicas go
// by way of every round. What is taken back after the last one goes back to
// the model's brokers, and travels once more on that way.
func TestWayRoundKeepsToTheByteLimit(t *testing.T) {
	for _, c := range []struct {
		shape Shape
		seed  uint64
		band  float64
		limit int64
	}{
		{Shape{Brokers: 9, Partitions: 24, Use: .7, Skew: .2}, 2263, .1, 17_368_701_438},
		{Shape{Brokers: 8, Partitions: 40, Use: .9}, 296, .005, 17_700_813_368},
	} {
		t.Run(strconv.FormatUint(c.seed, 10), func(t *testing.T) {
			c.shape.RF, c.shape.PerTopic, c.shape.Spread, c.shape.Giants = []int{1, 2}, 4, .1, []float64{.2, 1.5}
			m, o := Generate(c.shape, c.seed), DefaultOptions()
			o.DiskBand, o.MaxBytes = c.band, c.limit
			if p := planAndCheck(t, m, o); p.Bytes == 0 || p.Bytes > o.MaxBytes {
				t.Errorf("%d bytes travel, %d are allowed", p.Bytes, o.MaxBytes)
			}
		})
	}
}

// TestLogDirsMayBeUnknown: a broker of which not all log dirs are known still
// gives a dir to what arrives, and one without dirs takes replicas as well.
func TestLogDirsMayBeUnknown(t *testing.T) {
	dirs := []LogDir{{Path: "/a"}, {Path: "/b"}}
	m := &Model{Brokers: []Broker{
		{ID: 0, Disk: 1000, Dirs: dirs, State: Draining}, {ID: 1, Disk: 1000, Dirs: dirs}, {ID: 2, Disk: 1000},
	}}
	for i := range int32(40) {
		m.Partitions = append(m.Partitions, Partition{Topic: "t", ID: i, Replicas: []int32{0}, Dirs: []int16{0}, Size: 10})
	}
	m.Partitions = append(m.Partitions, Partition{Topic: "u", Replicas: []int32{1}, Size: 10})
	o := DefaultOptions()
	p := planAndCheck(t, m, o)
	counts := make(map[int16]int)
	for _, c := range p.Changes {
		counts[c.ToDirs[0]]++
	}
	if counts[0] < 9 || counts[1] < 9 || counts[-1] < 19 {
		t.Errorf("replicas by dir: %v", counts)
	}
	if again := planAndCheck(t, p.Apply(m), o); !again.Empty() {
		t.Errorf("the plan for the result is not empty: %+v", again.Changes)
	}
}

// TestBoundIsNeverAboveThePlan: where nothing has a size or a rate, and where
// a broker that keeps all it has is far above the rest, the bound is still one.
func TestBoundIsNeverAboveThePlan(t *testing.T) {
	o := DefaultOptions()
	o.Goals = AllGoals
	nothing := &Model{Brokers: []Broker{{ID: 0}, {ID: 1}}, Partitions: []Partition{{Topic: "t", Replicas: []int32{0}}}}
	if p := planAndCheck(t, nothing, o); p.Bound != (Bound{Ratio: 1}) {
		t.Errorf("nothing to carry: %+v", p.Bound)
	}
	full := Generate(Shape{Brokers: 6, Racks: 3, Partitions: 100, Cordoned: 1}, 5)
	for i := range full.Partitions {
		full.Partitions[i].Hold = Excluded
	}
	if p := planAndCheck(t, full, o); p.Bound != (Bound{Ratio: 1}) {
		t.Errorf("nothing may move: %+v", p.Bound)
	}
}

// TestTinyShareOfTraffic: one broker may give a millionth of what the others do,
// perhaps by a wrong unit; planning ends all the same.
func TestTinyShareOfTraffic(t *testing.T) {
	r := rand.New(rand.NewPCG(2787, 3))
	shape := Shape{Brokers: 3 + r.IntN(6), Racks: 1, Partitions: 6 + r.IntN(34), RF: []int{2, 3}[:1+r.IntN(2)], Use: .1}
	m, o := Generate(shape, 2787), DefaultOptions()
	o.Goals = GoalDisk | GoalBytesOut
	for b := range 1 + r.IntN(2) {
		m.Brokers[b].NetOut = int64(1 + r.IntN(3))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		planAndCheck(t, m, o)
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("no end")
	}
}

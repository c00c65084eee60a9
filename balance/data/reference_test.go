package data

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// reference is what a plan for a reference cluster must reach.
type reference struct {
	name  string
	goals Goal
	band  float64
	bound float64 // bytes, in parts of the disk bound at the band reached
}

// TestReferenceClusters holds the planner to its bars on the two large
// clusters.
func TestReferenceClusters(t *testing.T) {
	for _, c := range []reference{
		{"L_skew", DefaultGoals, 0.02, 1.005},
		{"L_expand", DefaultGoals, 0.02, 1.005},
		{"L_skew", DefaultGoals, 0.005, 1.01},
		{"L_expand", DefaultGoals, 0.005, 1.01},
		{"L_skew", AllGoals, 0.02, 1.03},
		{"L_expand", AllGoals, 0.02, 1.03},
	} {
		m := loadModel(t, c.name)
		o := DefaultOptions()
		o.Goals, o.DiskBand = c.goals, c.band
		p, err := Plan(m, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(m, o, p); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if len(p.Unmet) > 0 {
			t.Errorf("%s: unmet: %+v", c.name, p.Unmet)
		}
		c.check(t, m, p)
		if c.band == 0.02 {
			sameForShuffledFiles(t, c.name, o, p)
		}
		if again, err := Plan(p.Apply(m), o); err != nil || !again.Empty() {
			t.Errorf("%s: the plan for the result is not empty (%v)", c.name, err)
		}
	}
}

// sameForShuffledFiles plans on the lines of the files in another order.
func sameForShuffledFiles(t *testing.T, name string, o Options, p *Proposal) {
	t.Helper()
	other, err := Plan(parseModel(t, name, shuffledLines(unzip(t, name+".brokers.gz")), shuffledLines(unzip(t, name+".parts.gz"))), o)
	if err != nil {
		t.Fatal(err)
	}
	a, errA := json.Marshal(p)
	b, errB := json.Marshal(other)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("%s: the plan depends on the order of lines", name)
	}
}

func shuffledLines(text []byte) []byte {
	lines := bytes.SplitAfter(text, []byte("\n"))
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(lines), reflect.Swapper(lines))
	return bytes.Join(lines, nil)
}

// check computes everything from the replica lists alone.
func (c reference) check(t *testing.T, m *Model, p *Proposal) {
	before, after, peaks := tally(m), tally(p.Apply(m)), peaksOf(m, p)
	racks := rackMeans(after)
	most, least, peak := 0.0, math.Inf(1), 0.0
	for i := range after {
		b := &after[i]
		x := b.bytes / racks[b.rack].bytes
		most, least = max(most, x), min(least, x)
		peak = max(peak, peaks[m.Brokers[i].ID]/max(before[i].bytes, b.bytes))
		c.inside(t, b, racks[b.rack], meanOf(after))
	}
	bound := 0.0
	for rack, mean := range racks {
		over, under := 0.0, 0.0
		for _, b := range before {
			if b.rack == rack {
				over += max(0, b.bytes-most*mean.bytes)
				under += max(0, least*mean.bytes-b.bytes)
			}
		}
		bound += max(over, under)
	}
	mean := meanOf(before).leaders
	over, under := 0.0, 0.0
	for _, b := range before {
		over += max(0, b.leaders-math.Ceil(mean))
		under += max(0, math.Floor(mean)-b.leaders)
	}
	ratio, leads := float64(p.Bytes)/bound, float64(p.LeaderChanges)/max(over, under)
	t.Logf("%s %s ±%v: disk [%.4f, %.4f], %d moves, %.2f TB, x %.5f, peak x %.4f, %d leaders change, x %.3f, cold %.3f",
		c.name, c.goals, c.band, least, most, p.Moves, float64(p.Bytes)/1e12, ratio, peak, p.LeaderChanges, leads, coldest(m, after))
	if most > 1+c.band || least < 1-c.band {
		t.Errorf("%s: disk in [%v, %v]", c.name, least, most)
	}
	if n := crammedRacks(p.Apply(m)); n > 0 {
		t.Errorf("%s: %d partitions with two copies in one rack", c.name, n)
	}
	if x := float64(p.Bound.Disk) / bound; math.Abs(x-1) > 1e-6 {
		t.Errorf("%s: the bound of disk is x %v of what it should be", c.name, x)
	}
	if ratio > c.bound {
		t.Errorf("%s: bytes are x %v of the bound", c.name, ratio)
	}
	if peak > 1.01 {
		t.Errorf("%s: peak x %v of the larger of start and end", c.name, peak)
	}
	if c.goals == DefaultGoals && leads > 1.3 {
		t.Errorf("%s: leader changes x %v", c.name, leads)
	}
	if b, a := crammed(m, m), crammed(m, p.Apply(m)); float64(a) > 1.02*float64(b) {
		t.Errorf("%s: %d replicas above the even spread of their topic, %d before", c.name, a, b)
	}
	if x := coldest(m, after); x < 0.65 {
		t.Errorf("%s: a new broker is cold: bytes-in x %v of the mean", c.name, x)
	}
}

// peaksOf walks through the stages by itself: in each, a replica counts on both
// sides until the stage ends.
func peaksOf(m *Model, p *Proposal) map[int32]float64 {
	size := func(c int) float64 { return float64(m.Partitions[p.Changes[c].Partition].Size) }
	now, peak, lists := make(map[int32]float64), make(map[int32]float64), make([][]int32, len(p.Changes))
	for i := range m.Partitions {
		for _, id := range m.Partitions[i].Replicas {
			now[id] += float64(m.Partitions[i].Size)
		}
	}
	for i := range lists {
		lists[i] = p.Changes[i].From
	}
	for _, stage := range p.Stages {
		both, leave := maps.Clone(now), make(map[int32]float64)
		for _, step := range stage.Steps {
			for _, id := range step.To {
				if !slices.Contains(lists[step.Change], id) {
					both[id] += size(step.Change)
				}
			}
			for _, id := range lists[step.Change] {
				if !slices.Contains(step.To, id) {
					leave[id] += size(step.Change)
				}
			}
			lists[step.Change] = step.To
		}
		for id, x := range both {
			peak[id] = max(peak[id], x)
			now[id] = x - leave[id]
		}
	}
	return peak
}

// crammedRacks counts the partitions with two copies in a rack.
func crammedRacks(m *Model) int {
	rack := make(map[int32]string)
	for _, b := range m.Brokers {
		rack[b.ID] = b.Rack
	}
	n := 0
	for i := range m.Partitions {
		seen := make(map[string]bool)
		for _, id := range m.Partitions[i].Replicas {
			seen[rack[id]] = true
		}
		if len(seen) < len(m.Partitions[i].Replicas) {
			n++
		}
	}
	return n
}

// inside checks one broker's counts and rates.
func (c reference) inside(t *testing.T, b *tallied, rack, all tallied) {
	if b.replicas < math.Floor(rack.replicas) || b.replicas > math.Ceil(rack.replicas) {
		t.Errorf("%s: a broker of rack %s has %v replicas, the mean is %v", c.name, b.rack, b.replicas, rack.replicas)
	}
	if b.leaders < math.Floor(all.leaders) || b.leaders > math.Ceil(all.leaders) {
		t.Errorf("%s: a broker has %v leaders, the mean is %v", c.name, b.leaders, all.leaders)
	}
	if c.goals.Has(GoalBytesIn) && math.Abs(b.in/rack.in-1) > 0.05 {
		t.Errorf("%s: a broker takes x %v of the mean", c.name, b.in/rack.in)
	}
	if c.goals.Has(GoalBytesOut) && math.Abs(b.out/all.out-1) > 0.05 {
		t.Errorf("%s: a broker gives x %v of the mean", c.name, b.out/all.out)
	}
}

// tallied is a broker's sums, or a mean of them.
type tallied struct {
	rack                              string
	n                                 float64
	bytes, replicas, leaders, in, out float64
}

func (s *tallied) add(o tallied) {
	s.n++
	s.bytes, s.replicas, s.leaders = s.bytes+o.bytes, s.replicas+o.replicas, s.leaders+o.leaders
	s.in, s.out = s.in+o.in, s.out+o.out
}

func (s tallied) mean() tallied {
	s.bytes, s.replicas, s.leaders, s.in, s.out = s.bytes/s.n, s.replicas/s.n, s.leaders/s.n, s.in/s.n, s.out/s.n
	return s
}

func tally(m *Model) []tallied {
	of := make(map[int32]int)
	sums := make([]tallied, len(m.Brokers))
	for i := range m.Brokers {
		of[m.Brokers[i].ID] = i
		sums[i].rack = m.Brokers[i].Rack
	}
	for i := range m.Partitions {
		p := &m.Partitions[i]
		for k, id := range p.Replicas {
			s := &sums[of[id]]
			s.bytes += float64(p.Size)
			s.replicas++
			s.in += float64(p.In)
			if k == 0 {
				s.leaders++
				s.out += float64(p.Out)
			}
		}
	}
	return sums
}

func rackMeans(brokers []tallied) map[string]tallied {
	racks := make(map[string]tallied)
	for _, b := range brokers {
		r := racks[b.rack]
		r.add(b)
		racks[b.rack] = r
	}
	for name, r := range racks {
		racks[name] = r.mean()
	}
	return racks
}

func meanOf(brokers []tallied) tallied {
	var s tallied
	for _, b := range brokers {
		s.add(b)
	}
	return s.mean()
}

// coldest returns the least bytes-in of a new broker in parts of the mean; 1
// if there is no new broker.
func coldest(m *Model, after []tallied) float64 {
	mean, least := meanOf(after).in, 1.0
	for i := range m.Brokers {
		if m.Brokers[i].State == New {
			least = min(least, after[i].in/mean)
		}
	}
	return least
}

// crammed counts the replicas that a broker holds of a topic beyond the even
// spread over all brokers.
func crammed(m, now *Model) int {
	type key struct {
		topic string
		id    int32
	}
	held, total := make(map[key]int), make(map[string]int)
	for i := range now.Partitions {
		p := &now.Partitions[i]
		total[p.Topic] += len(p.Replicas)
		for _, id := range p.Replicas {
			held[key{p.Topic, id}]++
		}
	}
	over := 0
	for k, n := range held {
		over += max(0, n-(total[k.topic]+len(m.Brokers)-1)/len(m.Brokers))
	}
	return over
}

package data

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// verdict is how good a layout is, taken from what would be reported of it.
type verdict struct {
	hard, missed int
	outside      float64
	bytes        int64
}

func (v verdict) better(w verdict) bool {
	switch {
	case v.hard != w.hard:
		return v.hard < w.hard
	case v.missed != w.missed:
		return v.missed < w.missed
	case v.outside < w.outside-1e-9 || v.outside > w.outside+1e-9:
		return v.outside < w.outside
	}
	return v.bytes < w.bytes
}

// judgeModel counts what is unmet in a model, and the bytes that it took from
// start.
func judgeModel(start, m *Model, o Options) verdict {
	q := &planner{layout: newLayout(m), o: o}
	v := verdict{outside: q.score().outside}
	for _, u := range q.unmet() {
		switch {
		case u.Hard && u.Code != CodeDiskLimit:
			for p := range m.Partitions {
				v.hard += q.wrong(int32(p))
			}
		case !u.Hard && u.Code != CodeGiant:
			v.missed += len(u.Brokers)
		}
	}
	lead, out := q.fairLeads(), q.outShares()
	for b := range q.load {
		if o.Goals.Has(GoalLeaders) {
			v.outside += lead[b].off(q.load[b].leaders)
		}
		if o.Goals.Has(GoalBytesOut) {
			v.outside += beyond(float64(q.load[b].out), out[b], o.OutBand)
		}
	}
	for i := range m.Partitions {
		for _, id := range m.Partitions[i].Replicas {
			if !slices.Contains(start.Partitions[i].Replicas, id) {
				v.bytes += m.Partitions[i].Size
			}
		}
	}
	return v
}

// everyList returns all replica lists that partition i could have.
func everyList(m *Model, i int) [][]int32 {
	rules := newLayout(m)
	p := &m.Partitions[i]
	lists := [][]int32{p.Replicas}
	var grow func(list []int32)
	grow = func(list []int32) {
		if len(list) == len(p.Replicas) {
			c := checker{m: m, ix: rules.ix, rules: rules}
			if c.change(&Change{Topic: p.Topic, ID: p.ID, From: p.Replicas, To: list}, p) == nil && !slices.Equal(list, p.Replicas) {
				lists = append(lists, slices.Clone(list))
			}
			return
		}
		for b := range m.Brokers {
			id := m.Brokers[b].ID
			// the order matters for the first only
			if !slices.Contains(list, id) && (len(list) < 2 || id > list[len(list)-1]) {
				grow(append(list, id))
			}
		}
	}
	grow(nil)
	return lists
}

// TestNoWorseThanExhaustiveSearch compares plans for tiny clusters with every
// other one.
func TestNoWorseThanExhaustiveSearch(t *testing.T) {
	most := 1500
	if proving() {
		most = 250_000 // all that five partitions on four brokers can have
	}
	setChecks(t, 60, 1000)
	rapid.Check(t, func(t *rapid.T) {
		s := Shape{
			Brokers: rapid.IntRange(1, 3).Draw(t, "brokers"), New: rapid.IntRange(0, 1).Draw(t, "new"),
			Racks: rapid.IntRange(1, 3).Draw(t, "racks"), Partitions: rapid.IntRange(1, 5).Draw(t, "partitions"),
			RF: rapid.SliceOfN(rapid.IntRange(1, 3), 1, 2).Draw(t, "rf"), PerTopic: 2, Spread: 1, Use: 0.05,
			Equal: rapid.Bool().Draw(t, "equal"), BadRacks: rapid.SampledFrom([]float64{0, 1}).Draw(t, "badRacks"),
		}
		if s.Brokers > 1 {
			s.Dead = rapid.IntRange(0, 1).Draw(t, "dead")
			s.Draining = rapid.IntRange(0, 1-s.Dead).Draw(t, "draining")
			s.Cordoned = rapid.IntRange(0, 1).Draw(t, "cordoned")
		}
		s.Capacities = rapid.SampledFrom([][]int64{{1}, {1, 2}}).Draw(t, "capacities")
		s.Held = rapid.SampledFrom([]float64{0, 0, .3}).Draw(t, "held")
		m, o := Generate(s, rapid.Uint64().Draw(t, "seed")), DefaultOptions()
		o.Goals = rapid.SampledFrom([]Goal{DefaultGoals, AllGoals, GoalDisk, GoalReplicas | GoalLeaders}).Draw(t, "goals")
		p, err := Plan(m, o)
		if err != nil {
			t.Fatal(err)
		}
		compareWithAll(t, m, o, p, most)
	})
}

func compareWithAll(t *rapid.T, m *Model, o Options, p *Proposal, most int) {
	lists, states := make([][][]int32, len(m.Partitions)), 1
	for i := range lists {
		lists[i] = everyList(m, i)
		states *= len(lists[i])
	}
	if states > most {
		t.Skip("too many layouts")
	}
	mine := judgeModel(m, p.Apply(m), o)
	best := mine
	try := &Model{Brokers: m.Brokers, Partitions: slices.Clone(m.Partitions)}
	before, looked := newLayout(m), 0
	var all func(i int)
	all = func(i int) {
		if i == len(lists) {
			v := judgeModel(m, try, o)
			if v.better(best) {
				best = v
			}
			if looked++; looked%31 == 0 { // whatever is done, the bound is below it
				if b := boundOf(o, before, newLayout(try), v.bytes); b.Bytes > v.bytes {
					t.Fatalf("%d bytes lead to %+v, the bound is %+v", v.bytes, try.Partitions, b)
				}
			}
			return
		}
		for _, list := range lists[i] {
			try.Partitions[i].Replicas = list
			all(i + 1)
		}
	}
	all(0)
	var largest int64
	for i := range m.Partitions {
		largest = max(largest, m.Partitions[i].Size)
	}
	if mine.hard > best.hard || mine.missed > best.missed || mine.outside > best.outside+1e-9 || mine.bytes > best.bytes+largest {
		t.Fatalf("the plan reaches %+v, the best is %+v", mine, best)
	}
}

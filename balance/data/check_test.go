package data

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestCheckFindsWhatIsWrong breaks a good proposal in every way that Check
// must notice.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	m := Generate(Shape{Brokers: 9, Racks: 3, Partitions: 300, New: 3, Draining: 1, Skew: 0.2, Held: 0.05, Dirs: 2}, 7)
	o := DefaultOptions()
	good, err := Plan(m, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(m, o, good); err != nil {
		t.Fatal(err)
	}
	held := 0
	for m.Partitions[held].Hold != Excluded {
		held++
	}
	for _, c := range []struct {
		name  string
		spoil func(p *Proposal)
		says  string
	}{
		{"another original list", func(p *Proposal) { p.Changes[0].From[0] = 99 }, "original list"},
		{"a broker twice", func(p *Proposal) { p.Changes[0].To[0] = p.Changes[0].To[1] }, "twice"},
		{"an unknown broker", func(p *Proposal) { p.Changes[0].To[0] = 99 }, "unknown"},
		{"a replica less", func(p *Proposal) { p.Changes[0].To = p.Changes[0].To[1:] }, "become"},
		{"an excluded partition", func(p *Proposal) {
			p.Changes[0].Partition, p.Changes[0].Topic, p.Changes[0].ID = held, m.Partitions[held].Topic, m.Partitions[held].ID
			p.Changes[0].From = m.Partitions[held].Replicas
			p.Changes = p.Changes[:1]
		}, "is excluded"},
		{"changes out of order", func(p *Proposal) { p.Changes[0], p.Changes[1] = p.Changes[1], p.Changes[0] }, "out of order"},
		{"too few bytes", func(p *Proposal) { p.Bytes-- }, "bytes"},
		{"a stage with other bytes", func(p *Proposal) { p.Stages[0].Bytes++ }, "stage 1"},
		{"a stage left out", func(p *Proposal) { p.Stages = p.Stages[1:] }, ""},
		{"too few moves", func(p *Proposal) { p.Moves-- }, "moves"},
		{"too few leader changes", func(p *Proposal) { p.LeaderChanges-- }, "leader changes"},
		{"too few dir moves", func(p *Proposal) { p.DirMoves-- }, "between log dirs"},
		{"a better peak", func(p *Proposal) { p.Brokers[3].Peak-- }, "broker 3: claims"},
		{"a better end", func(p *Proposal) { p.Brokers[3].After.Bytes-- }, "broker 3: claims"},
		{"another share", func(p *Proposal) { p.Brokers[3].Share++ }, "broker 3: claims"},
		{"log dirs more level", func(p *Proposal) { p.Brokers[3].DirsMax = 1 }, "broker 3: claims"},
		{"a step of no change", func(p *Proposal) { p.Stages[0].Steps[0].Change = len(p.Changes) }, "there is no change"},
		{"a step without log dirs", func(p *Proposal) { p.Stages[0].Steps[0].Dirs = nil }, "log dirs do not fit"},
		{"no log dirs to go back to", func(p *Proposal) { p.Changes[0].FromDirs = nil }, "original log dirs"},
		{"another log dir to go back to", func(p *Proposal) {
			for i := range p.Changes {
				c := &p.Changes[i]
				if !slices.Contains(c.To, c.From[0]) {
					c.FromDirs[0] = 1 - c.FromDirs[0]
					return
				}
			}
		}, "original log dirs"},
		{"a log dir too many", func(p *Proposal) { p.Changes[0].ToDirs = append(p.Changes[0].ToDirs, 0) }, "log dirs do not fit"},
		{"a step to a log dir that is not there", func(p *Proposal) { p.Stages[0].Steps[0].Dirs[0] = 9 }, "no log dir 9"},
		{"a last step to another log dir", func(p *Proposal) {
			last := p.Stages[len(p.Stages)-1].Steps
			for k, d := range last[0].Dirs {
				last[0].Dirs[k] = 1 - d
			}
		}, ""},
		{"another help", func(p *Proposal) { p.Unmet[0].Help = "buy more" }, "unmet"},
		{"a better bound", func(p *Proposal) { p.Bound.Bytes++ }, "bound"},
		{"a better time", func(p *Proposal) { p.Seconds /= 2 }, "seconds"},
		{"an invented demand", func(p *Proposal) { p.Unmet = append(p.Unmet, Unmet{Code: CodeRack}) }, "unmet"},
		{"a silent one", func(p *Proposal) { p.Unmet = nil }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := copyOf(t, good)
			c.spoil(p)
			if err := Check(m, o, p); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestCheckKnowsTheRules breaks the hard rules one by one.
func TestCheckKnowsTheRules(t *testing.T) {
	broker := func(id int32, rack string, s State) Broker { return Broker{ID: id, Rack: rack, Disk: 1000, State: s} }
	m := &Model{
		Brokers:    []Broker{broker(1, "a", OK), broker(2, "b", OK), broker(3, "b", OK), broker(4, "c", Cordoned), broker(5, "c", Dead)},
		Partitions: []Partition{{Topic: "t", Replicas: []int32{1, 2}, Size: 900}},
	}
	for _, c := range []struct {
		to   []int32
		says string
	}{
		{[]int32{3, 2}, "2 copies in one rack"},
		{[]int32{1, 4}, "broker 4 is cordoned"},
		{[]int32{1, 5}, "broker 5 is dead"},
		{[]int32{1, 3}, "ends with 900 bytes, 800 allowed"},
	} {
		p := &Proposal{Changes: []Change{{Topic: "t", From: []int32{1, 2}, To: c.to}}, Bytes: 900,
			Stages: []Stage{{Bytes: 900, Steps: []Step{{To: c.to}}}}}
		if err := Check(m, DefaultOptions(), p); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: got %v, want %q", c.to, err, c.says)
		}
	}
}

// TestCheckFollowsPinnedPartitions holds pinned replicas in place in every
// stage, not just at the end.
func TestCheckFollowsPinnedPartitions(t *testing.T) {
	m := &Model{
		Brokers:    []Broker{{ID: 1, Disk: 1000}, {ID: 2, Disk: 1000}, {ID: 3, Disk: 1000}},
		Partitions: []Partition{{Topic: "t", Replicas: []int32{1, 2}, Size: 100, Hold: Pinned}},
	}
	p := &Proposal{Changes: []Change{{Topic: "t", From: []int32{1, 2}, To: []int32{2, 1}}}, Bytes: 200,
		Stages: []Stage{{Bytes: 100, Steps: []Step{{To: []int32{3, 2}}}}, {Bytes: 100, Steps: []Step{{To: []int32{2, 1}}}}}}
	if err := Check(m, DefaultOptions(), p); err == nil || !strings.Contains(err.Error(), "is pinned") {
		t.Errorf("got %v", err)
	}
}

func copyOf(t *testing.T, p *Proposal) *Proposal {
	t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	c := &Proposal{}
	if err := json.Unmarshal(raw, c); err != nil {
		t.Fatal(err)
	}
	for i := range c.Changes {
		c.Changes[i].Partition = p.Changes[i].Partition
	}
	return c
}

package data

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestParseNamesThePlace shows what a person reads of a file at fault.
func TestParseNamesThePlace(t *testing.T) {
	const brokers = "1,a,1000,1,1,ok,/d0 /d1:10\n2,b,1000,1,1,ok\n"
	for name, c := range map[string]struct{ brokers, parts, says string }{
		"an id that is a word":      {"one,a,1,1,1,ok\n", "", `b:1: id: "one" is not a number from 0 to 2147483647`},
		"an id too large":           {"2147483648,a,1,1,1,ok\n", "", "b:1: id: "},
		"no id":                     {",a,1,1,1,ok\n", "", "b:1: id: missing"},
		"two dots":                  {"1,a,1.2.3,1,1,ok\n", "", `b:1: disk: "1.2.3" is not a decimal number`},
		"no disk":                   {"1,a,,1,1,ok\n", "", "b:1: disk: missing"},
		"an exponent":               {"1,a,1,1e3,1,ok\n", "", `b:1: net-in: "1e3" is not a decimal number`},
		"a negative rate":           {"1,a,1,1,-1,ok\n", "", "b:1: net-out: "},
		"a state in capitals":       {"1,a,1,1,1,OK\n", "", `b:1: state: "OK" is none of ok, new, draining, cordoned, dead`},
		"a log dir twice":           {"1,a,1,1,1,ok,/d0 /d0:5\n", "", `b:1: logdirs: "/d0" stands there twice`},
		"a log dir's size":          {"1,a,1,1,1,ok,/d0:big\n", "", `b:1: logdirs: "big" is not a decimal number`},
		"comments count as lines":   {"# id\n\n1,a,1,1\n", "", "b:3: net-out: missing"},
		"a field too many":          {"1,a,1,1,1,ok,/d0,x\n", "", "b:1: more than 7 fields"},
		"nothing but comments":      {"# 1,a,1,1,1,ok\n", "", "b: no brokers"},
		"no topic":                  {brokers, ",0,1,1,1,1\n", "p:1: topic: missing"},
		"a partition that is none":  {brokers, "t,x,1,1,1,1\n", `p:1: partition: "x" is not a number`},
		"a replica that is none":    {brokers, "t,0,1 x,1,1,1\n", `p:1: replicas: "x" is not a number`},
		"a rate that is none":       {brokers, "t,0,1,1,fast,1\n", `p:1: in: "fast" is not a decimal number`},
		"too few log dirs":          {brokers, "t,0,1 2,1,1,1,/d0\n", "p:1: logdirs: 1 log dir for 2 replicas"},
		"a log dir of another":      {brokers, "t,0,1 2,1,1,1,/d0 /d1\n", `p:1: logdirs: broker 2 has no log dir "/d1"`},
		"a partition on two lines":  {brokers, "t,0,1,1,1,1\nu,0,1,1,1,1\n# t\nt,0,2,1,1,1\n", "p:4: partition: t-0 stands on line 1 already"},
		"the second of two at once": {brokers, "t,0,1,1,1,1\nt,1,3,1,1,1\n", "p:2: replicas: broker 3 is not in the brokers file"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := ParseBrokers("b", []byte(c.brokers))
			if err == nil {
				_, err = ParsePartitions("p", []byte(c.parts), b)
			}
			var where *ParseError
			if !errors.As(err, &where) || !strings.HasPrefix(err.Error(), c.says) {
				t.Errorf("got  %v\nwant %s", err, c.says)
			}
		})
	}
	if _, err := ParsePartitions("p", []byte("t,0,1,1,1,1,/d1\n"), mustBrokers(t, brokers)); err != nil {
		t.Error(err)
	}
}

func mustBrokers(t *testing.T, text string) []Broker {
	t.Helper()
	b, err := ParseBrokers("b", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseGoals(t *testing.T) {
	for text, want := range map[string]Goal{"disk": GoalDisk, "leaders, disk": GoalDisk | GoalLeaders, AllGoals.String(): AllGoals} {
		if got, err := ParseGoals(text); err != nil || got != want {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "disk,", "Disk", "cpu"} {
		if got, err := ParseGoals(text); err == nil || !strings.Contains(err.Error(), AllGoals.String()) {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
}

// TestPlanRefuses what makes no sense, before it works on it.
func TestPlanRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		options func(*Options)
		model   func(*Model)
		says    string
	}{
		"no goals":             {options: func(o *Options) { o.Goals = 0 }, says: "no goals"},
		"a goal that is none":  {options: func(o *Options) { o.Goals = 1 << 7 }, says: "no goals"},
		"a band of all":        {options: func(o *Options) { o.InBand = 1 }, says: "bytes-in band 1"},
		"a band below noise":   {options: func(o *Options) { o.DirBand = 0.0001 }, says: "log dir band 0.0001"},
		"a disk overfilled":    {options: func(o *Options) { o.DiskLimit = 1.1 }, says: "disk limit 1.1"},
		"less than no bytes":   {options: func(o *Options) { o.MaxBytes = -1 }, says: "negative byte limit"},
		"time backwards":       {options: func(o *Options) { o.Throttle = -1 }, says: "negative byte limit or throttle"},
		"no brokers":           {model: func(m *Model) { m.Brokers = nil }, says: "no brokers"},
		"brokers out of order": {model: func(m *Model) { m.Brokers[0].ID = 2 }, says: "broker 2: twice or out of order"},
		"a negative disk":      {model: func(m *Model) { m.Brokers[1].Disk = -1 }, says: "broker 2: negative id or capacity"},
		"endless disks":        {model: func(m *Model) { m.Brokers[0].Disk, m.Brokers[1].Disk = 1<<59, 1<<59+1<<58 }, says: "broker 2: capacities sum up"},
		"a partition twice":    {model: func(m *Model) { m.Partitions[1].ID = 0 }, says: "partition t-0: twice or out of order"},
		"endless partitions":   {model: func(m *Model) { m.Partitions[0].Size = 1 << 60 }, says: "partition t-0: sizes or rates sum up"},
		"no replicas":          {model: func(m *Model) { m.Partitions[0].Replicas = nil }, says: "partition t-0: no replicas"},
		"a negative size":      {model: func(m *Model) { m.Partitions[0].Size = -1 }, says: "partition t-0: negative size"},
		"an unknown broker":    {model: func(m *Model) { m.Partitions[0].Replicas[1] = 9 }, says: "partition t-0: unknown broker 9"},
		"a broker twice":       {model: func(m *Model) { m.Partitions[0].Replicas[1] = 1 }, says: "partition t-0: broker 1 twice"},
		"too few log dirs":     {model: func(m *Model) { m.Partitions[0].Dirs = []int16{0} }, says: "partition t-0: 1 log dir for 2 replicas"},
		"an unknown log dir":   {model: func(m *Model) { m.Partitions[0].Dirs = []int16{0, 0} }, says: "partition t-0: broker 2 has no log dir 0"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &Model{
				Brokers:    []Broker{{ID: 1, Disk: 1000, Dirs: []LogDir{{Path: "/d"}}}, {ID: 2, Disk: 1000}},
				Partitions: []Partition{{Topic: "t", Replicas: []int32{1, 2}, Size: 10}, {Topic: "t", ID: 1, Replicas: []int32{2, 1}, Size: 10}},
			}
			o := DefaultOptions()
			if c.options != nil {
				c.options(&o)
			} else {
				c.model(m)
			}
			if p, err := Plan(m, o); err == nil || !strings.HasPrefix(err.Error(), c.says) {
				t.Errorf("got  %v %v\nwant %s", p, err, c.says)
			}
		})
	}
}

// TestCheckHoldsProposalsToTheirLimits: a proposal made for others is refused.
func TestCheckHoldsProposalsToTheirLimits(t *testing.T) {
	m := Generate(Shape{Brokers: 6, Racks: 3, Partitions: 120, New: 3, Dirs: 2, Skew: 0.2}, 3)
	o := DefaultOptions()
	p, err := Plan(m, o)
	if err != nil || p.Bytes == 0 {
		t.Fatal(p, err)
	}
	limited := o
	limited.MaxBytes = p.Bytes - 1
	if err := Check(m, limited, p); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "allowed") {
		t.Errorf("more bytes than may travel: %v", err)
	}
	fewer := copyOf(t, p)
	fewer.Brokers = fewer.Brokers[1:]
	if err := Check(m, o, fewer); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "figures of 8 brokers, not 9") {
		t.Errorf("a broker left out: %v", err)
	}
	unsaid := copyOf(t, p)
	for _, stage := range unsaid.Stages {
		for _, s := range stage.Steps {
			for k, id := range s.To {
				if ch := &unsaid.Changes[s.Change]; slices.Contains(ch.From, id) {
					continue
				}
				s.Dirs[k], unsaid.Changes[s.Change].ToDirs[k] = -1, -1
			}
		}
	}
	if err := Check(m, o, unsaid); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "claims") {
		t.Errorf("no log dirs said: %v", err)
	}
	held := *m
	held.Partitions = append([]Partition(nil), m.Partitions...)
	for i := range held.Partitions {
		held.Partitions[i].Hold = Pinned
	}
	if err := Check(&held, o, p); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "pinned") {
		t.Errorf("partitions held since: %v", err)
	}
}

package data

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cpuTime returns the CPU time that the process has used so far.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// readAndSort is the yardstick of every machine: it splits the input into
// fields, reads the sizes, and sorts them.
func readAndSort(brokers, parts []byte) int {
	var sizes []float64
	for line := range strings.Lines(string(brokers) + string(parts)) {
		f := strings.Split(strings.TrimSpace(line), ",")
		if x, err := strconv.ParseFloat(f[3], 64); err == nil {
			for range strings.FieldsSeq(f[2]) {
				sizes = append(sizes, x)
			}
		}
	}
	slices.Sort(sizes)
	return len(sizes)
}

// least runs fn a few times and returns the least CPU time it took.
func least(t testing.TB, n int, fn func()) time.Duration {
	best := time.Duration(1<<63 - 1)
	for range n {
		runtime.GC()
		start := cpuTime(t)
		fn()
		best = min(best, cpuTime(t)-start)
	}
	return best
}

// TestCPUBesideReadingAndSorting bounds the CPU time of a whole plan, with
// reading and checking, in times of what it takes to read and sort the input:
// about twice what it takes, and less than the proof's seconds allow.
func TestCPUBesideReadingAndSorting(t *testing.T) {
	brokers, parts := unzip(t, "L_expand.brokers.gz"), unzip(t, "L_expand.parts.gz")
	for _, c := range []struct {
		goals Goal
		times float64
	}{{DefaultGoals, 20}, {AllGoals, 90}} {
		o := DefaultOptions()
		o.Goals = c.goals
		best := math.Inf(1)
		for i := 0; i < 6 && best > c.times; i++ { // a busy machine slows down one more than the other at times
			yard := least(t, 3, func() { readAndSort(brokers, parts) })
			cpu := least(t, 1, func() { planAndCheck(t, parseModel(t, "L_expand", brokers, parts), o) })
			best = min(best, float64(cpu)/float64(yard))
			t.Logf("%s: %v CPU, reading and sorting %v, x %.1f", c.goals, cpu, yard, float64(cpu)/float64(yard))
		}
		if best > c.times {
			t.Errorf("%s: x %.1f of reading and sorting, at most %v", c.goals, best, c.times)
		}
	}
}

func planAndCheck(t testing.TB, m *Model, o Options) *Proposal {
	t.Helper()
	p, err := Plan(m, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(m, o, p); err != nil {
		t.Fatal(err)
	}
	return p
}

// textOf writes a model as the two files that it could come from.
func textOf(m *Model) (brokers, parts []byte) {
	for i := range m.Brokers {
		b := &m.Brokers[i]
		brokers = fmt.Appendf(brokers, "%d,%s,%.6f,%.3f,%.3f,%s\n", b.ID, b.Rack, float64(b.Disk)/1e6, float64(b.NetIn)/1e3, float64(b.NetOut)/1e3, b.State)
	}
	for i := range m.Partitions {
		p := &m.Partitions[i]
		parts = fmt.Appendf(parts, "%s,%d,", p.Topic, p.ID)
		parts = appendIDs(parts, p.Replicas, ' ')
		parts = fmt.Appendf(parts, ",%.6f,%.3f,%.3f\n", float64(p.Size)/1e6, float64(p.In)/1e3, float64(p.Out)/1e3)
	}
	return brokers, parts
}

// times returns m with every topic n times.
func times(m *Model, n int) *Model {
	big := &Model{Brokers: slices.Clone(m.Brokers)}
	for i := range big.Brokers {
		b := &big.Brokers[i]
		b.Disk, b.NetIn, b.NetOut = b.Disk*int64(n), b.NetIn*int64(n), b.NetOut*int64(n)
	}
	for k := range n {
		for _, p := range m.Partitions {
			p.Topic += "-" + strconv.Itoa(k)
			big.Partitions = append(big.Partitions, p)
		}
	}
	big.Sort()
	return big
}

// TestProveCPU holds absolute bars of CPU time and memory.
func TestProveCPU(t *testing.T) {
	if !proving() {
		t.Skip("depends on the machine; SLUICE_PROVE=1 runs it")
	}
	m := loadModel(t, "L_expand")
	huge := Shape{Brokers: 215, Racks: 3, Partitions: 933_334, PerTopic: 30, Skew: 0.1}
	for _, c := range []struct {
		name  string
		model func() *Model
		goals Goal
		most  time.Duration
		runs  int
	}{
		{"101,000 replicas", func() *Model { return m }, DefaultGoals, 300 * time.Millisecond, 3},
		{"101,000 replicas", func() *Model { return m }, AllGoals, 2 * time.Second, 3},
		{"306,000 replicas", func() *Model { return times(m, 3) }, DefaultGoals, 1500 * time.Millisecond, 2},
		{"306,000 replicas", func() *Model { return times(m, 3) }, AllGoals, 10 * time.Second, 2},
		{"2.8 million replicas", func() *Model { return Generate(huge, 1) }, DefaultGoals, 30 * time.Second, 1},
	} {
		brokers, parts := textOf(c.model())
		o := DefaultOptions()
		o.Goals = c.goals
		var p *Proposal
		cpu := least(t, c.runs, func() { // all that the command does
			m := parseModel(t, c.name, brokers, parts)
			p = planAndCheck(t, m, o)
			AppendPlan(nil, m, p)
		})
		var mem syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &mem); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s, %s: %v CPU, %d MB at most, %d moves, x %.4f, %d unmet", c.name, c.goals, cpu, mem.Maxrss>>10, p.Moves, p.Bound.Ratio, len(p.Unmet))
		if cpu > c.most || mem.Maxrss > 3<<20 {
			t.Errorf("%s, %s: %v CPU (at most %v), %d MB", c.name, c.goals, cpu, c.most, mem.Maxrss>>10)
		}
	}
}

func benchmarkPlan(b *testing.B, n int, goals Goal) {
	m, o := times(loadModel(b, "L_expand"), n), DefaultOptions()
	o.Goals = goals
	for b.Loop() {
		planAndCheck(b, m, o)
	}
}

func BenchmarkPlan101k(b *testing.B)     { benchmarkPlan(b, 1, DefaultGoals) }
func BenchmarkPlan101kFive(b *testing.B) { benchmarkPlan(b, 1, AllGoals) }
func BenchmarkPlan306k(b *testing.B)     { benchmarkPlan(b, 3, DefaultGoals) }
func BenchmarkPlan306kFive(b *testing.B) { benchmarkPlan(b, 3, AllGoals) }

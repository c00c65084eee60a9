package data

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// drawShape draws a cluster of any shape, mostly small.
func drawShape(t *rapid.T) Shape {
	n := rapid.IntRange(1, 12).Draw(t, "brokers")
	s := Shape{
		Brokers:    n,
		Racks:      rapid.IntRange(1, 5).Draw(t, "racks"),
		Partitions: rapid.IntRange(0, 60).Draw(t, "partitions"),
		RF:         rapid.SliceOfN(rapid.IntRange(1, 5), 1, 3).Draw(t, "rf"),
		PerTopic:   rapid.IntRange(1, 8).Draw(t, "perTopic"),
		Equal:      rapid.IntRange(0, 5).Draw(t, "equal") == 0,
		Spread:     rapid.SampledFrom([]float64{0.1, 1, 2.5}).Draw(t, "spread"),
		Giants:     rapid.SliceOfN(rapid.SampledFrom([]float64{.2, .6, 1.5}), 0, 2).Draw(t, "giants"),
		Skew:       rapid.SampledFrom([]float64{0, .2, 1}).Draw(t, "skew"),
		Capacities: rapid.SliceOfN(rapid.Int64Range(1, 3), 1, 3).Draw(t, "capacities"),
		Use:        rapid.SampledFrom([]float64{.1, .45, .7, .9}).Draw(t, "use"),
		New:        rapid.IntRange(0, 3).Draw(t, "new"),
		Dirs:       rapid.IntRange(0, 3).Draw(t, "dirs"),
		BadRacks:   rapid.SampledFrom([]float64{0, .3, 1}).Draw(t, "badRacks"),
		Held:       rapid.SampledFrom([]float64{0, 0, .1, .5}).Draw(t, "held"),
	}
	if rapid.Bool().Draw(t, "states") {
		s.Dead = rapid.IntRange(0, min(2, n-1)).Draw(t, "dead")
		s.Draining = rapid.IntRange(0, min(2, n-1-s.Dead)).Draw(t, "draining")
		s.Cordoned = rapid.IntRange(0, min(2, n-s.Dead-s.Draining)).Draw(t, "cordoned")
	}
	return s
}

func drawOptions(t *rapid.T) Options {
	o := DefaultOptions()
	if rapid.Bool().Draw(t, "otherGoals") {
		o.Goals = Goal(rapid.IntRange(1, int(AllGoals)).Draw(t, "goals"))
	}
	o.DiskBand = rapid.SampledFrom([]float64{.02, .005, .1}).Draw(t, "band")
	o.DiskLimit = rapid.SampledFrom([]float64{.8, .8, .95}).Draw(t, "limit")
	return o
}

// proving reports whether the whole proof is asked for, with SLUICE_PROVE=1.
func proving() bool { return os.Getenv("SLUICE_PROVE") == "1" }

// setChecks says how many cases rapid draws: few in every test, all in a proof.
func setChecks(t *testing.T, few, all int) {
	t.Helper()
	if proving() {
		few = all
	}
	for name, value := range map[string]string{"rapid.checks": strconv.Itoa(few), "rapid.nofailfile": "true"} {
		old := flag.Lookup(name).Value.String()
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = flag.Set(name, old) })
	}
}

// TestRandomClusters holds every promise against clusters of every shape. Its
// parts draw cases of their own, side by side where there are processors.
func TestRandomClusters(t *testing.T) {
	setChecks(t, 100, 25_000)
	for part := range 4 {
		t.Run(strconv.Itoa(part), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				checkPromises(t, Generate(drawShape(t), rapid.Uint64().Draw(t, "seed")), drawOptions(t))
			})
		})
	}
}

func checkPromises(t *rapid.T, m *Model, o Options) {
	if err := m.Validate(); err != nil {
		t.Fatalf("generated a bad model: %v", err)
	}
	p, err := Plan(m, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(m, o, p); err != nil {
		t.Fatal(err)
	}
	if v := p.Bound; p.Bytes < v.Bytes || min(v.Bytes, v.Disk, v.In, v.Replicas, v.Repair) < 0 {
		t.Fatalf("%d bytes travel, the bound is %+v", p.Bytes, p.Bound)
	}
	again, err := Plan(p.Apply(m), o)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Empty() && o.MaxBytes == 0 {
		t.Fatalf("the plan for the result has %d changes: %+v", len(again.Changes), again.Changes)
	}
	other, err := Plan(shuffled(m), o)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := encode(t, p), encode(t, other); a != b {
		t.Fatalf("permuted input gives another plan:\n%s\n%s", a, b)
	}
}

// shuffled returns the model with its parts in another order, sorted again.
func shuffled(m *Model) *Model {
	r := rand.New(rand.NewPCG(1, 2))
	c := &Model{Brokers: slices.Clone(m.Brokers), Partitions: slices.Clone(m.Partitions)}
	r.Shuffle(len(c.Brokers), reflect.Swapper(c.Brokers))
	r.Shuffle(len(c.Partitions), reflect.Swapper(c.Partitions))
	c.Sort()
	return c
}

func encode(t *rapid.T, p *Proposal) string {
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

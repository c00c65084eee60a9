package bench

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"sluice/test/system"
)

// program is a build of Sluice that is measured.
type program struct{ name, binary string }

// programs are the commit that SLUICE_BASE names and the tree as it is.
func programs(t *testing.T) [2]program {
	t.Helper()
	commit := os.Getenv("SLUICE_BASE")
	if commit == "" {
		t.Skip("SLUICE_BASE names no commit to compare with")
	}
	return [2]program{{commit, system.Build(t, commit)}, {"here", system.Build(t, "")}}
}

// series are the figures of both programs by name, each taken as often, in
// turn; smaller is better.
type series struct {
	names   []string // in the order in which they came
	figures map[string]*[2][]float64
	noted   map[string]bool // names that are not judged
}

// add keeps one figure of one program: 0 is the base.
func (s *series) add(of int, name string, figure float64) {
	if s.figures == nil {
		s.figures = map[string]*[2][]float64{}
	}
	if s.figures[name] == nil {
		s.figures[name] = new([2][]float64)
		s.names = append(s.names, name)
	}
	s.figures[name][of] = append(s.figures[name][of], figure)
}

// note is add of a figure that is only shown: what the kernel samples, or what
// the machine's disk decides, differs by far more than a few percent from run to
// run.
func (s *series) note(of int, name string, figure float64) {
	s.add(of, name, figure)
	if s.noted == nil {
		s.noted = map[string]bool{}
	}
	s.noted[name] = true
}

// ratios are the figures of one name, ours by the base's, each pair measured
// one straight after the other, sorted.
func (s *series) ratios(name string) []float64 {
	f := s.figures[name]
	out := make([]float64, len(f[0]))
	for i := range out {
		out[i] = f[1][i] / f[0][i]
	}
	slices.Sort(out)
	return out
}

// worse is how much a figure may be worse than the base's.
const worse = 1.03

// judge shows every figure and fails on those that are worse: in the median,
// and in three quarters of the pairs too, or it is the machine's noise. Fewer
// than five pairs tell nothing of a few percent, and noted figures neither.
func (s *series) judge(t *testing.T) {
	t.Helper()
	for _, name := range s.names {
		f, r := s.figures[name], s.ratios(name)
		mid := median(r)
		verdict := ""
		if !s.noted[name] && len(r) >= 5 && mid > worse && r[len(r)/4] > 1 {
			verdict = " WORSE"
			t.Errorf("%s is %.3f of the base's, at most %.2f", name, mid, worse)
		}
		t.Logf("%-34s %9.3f -> %9.3f  ratio %.3f (quarters %.3f to %.3f)%s", name, median(f[0]), median(f[1]), mid, r[len(r)/4], r[len(r)-1-len(r)/4], verdict)
	}
}

func median(of []float64) float64 {
	s := slices.Sorted(slices.Values(of))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// inTurn measures both programs n times, the one that begins changing each
// time, after a round that counts for nobody: brokers get quicker.
func inTurn(n int, measure func(of int, s *series)) *series {
	kept := &series{}
	for round := range n + 1 {
		into := kept
		if round == 0 {
			into = &series{}
		}
		for i := range 2 {
			measure((round+i)%2, into)
		}
	}
	return kept
}

func TestSeries(t *testing.T) {
	var s series
	for _, pair := range [][2]float64{{1, 2}, {2, 2}, {1, 1.5}} {
		s.add(0, "a", pair[0])
		s.add(1, "a", pair[1])
	}
	if got := fmt.Sprint(s.ratios("a"), median(s.figures["a"][1])); got != "[1 1.5 2] 2" {
		t.Error(got)
	}
}

// Package scrape reads what a Prometheus collector exports, for tests, and holds
// it against Prometheus's rules for metrics.
package scrape

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

// Samples are values by series: name{label="value",...}, labels sorted.
type Samples map[string]float64

// Of scrapes collectors. That what they describe and what they export agree,
// that no series is there twice, and that names, types and help texts are as
// Prometheus wants them, it checks.
func Of(t testing.TB, collectors ...prometheus.Collector) Samples {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	for _, c := range collectors {
		if err := reg.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	Lint(t, families)
	out := Samples{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			out[series(f.GetName(), m)] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return out
}

// Lint fails for each thing that promtool's check would find.
func Lint(t testing.TB, families []*dto.MetricFamily) {
	t.Helper()
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// Want fails for each series that has not the value; Absent is for one that must
// not be there.
func (s Samples) Want(t testing.TB, want Samples) {
	t.Helper()
	for name, value := range want {
		if got, ok := s[name]; !ok || got != value {
			t.Errorf("%s is %v (there: %v), want %v", name, got, ok, value)
		}
	}
}

// Absent fails for each series that is there.
func (s Samples) Absent(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if got, ok := s[name]; ok {
			t.Errorf("%s is %v; it is not known and must not be there", name, got)
		}
	}
}

func series(name string, m *dto.Metric) string {
	var labels []string
	for _, l := range m.GetLabel() {
		labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	if len(labels) == 0 {
		return name
	}
	slices.Sort(labels)
	return name + "{" + strings.Join(labels, ",") + "}"
}

package scrape_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/test/scrape"
)

// failures notes what is wrong and goes on.
type failures struct {
	testing.TB
	count int
}

func (f *failures) Helper()               {}
func (f *failures) Errorf(string, ...any) { f.count++ }

func TestScrapeSees(t *testing.T) {
	good := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "x_bytes", Help: "Bytes.", ConstLabels: prometheus.Labels{"a": "b"}}, func() float64 { return 7 })
	s := scrape.Of(t, good)
	s.Want(t, scrape.Samples{`x_bytes{a="b"}`: 7})
	s.Absent(t, "x_bytes")

	f := &failures{TB: t}
	s.Want(f, scrape.Samples{`x_bytes{a="b"}`: 8, "y": 0})
	s.Absent(f, `x_bytes{a="b"}`)
	if f.count != 3 {
		t.Errorf("%d of 3 differences seen", f.count)
	}
	bad := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "x_total", Help: "X."}, func() float64 { return 0 })
	if f.count = 0; len(scrape.Of(f, bad)) != 1 || f.count != 1 {
		t.Error("that a gauge is named like a counter is not seen")
	}
}

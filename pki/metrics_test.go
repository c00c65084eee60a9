package pki

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/test/certs"
)

// TestMetricsAreOfWhatIsInUse: of the new pair as soon as it is taken up; two authorities of one name are one series, the first to end; and
// files that are not taken up show.
func TestMetricsAreOfWhatIsInUse(t *testing.T) {
	s := newSite(t)
	certs.Lasting(t, s.path("other"), "Our CA", newYear(2060))
	s.write("ca.pem", s.read("ca.pem")+s.read("other/ca.pem"))
	store := s.open()
	scrape := func() map[string]string {
		t.Helper()
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(Collector(store.Held))
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, f := range families {
			for _, m := range f.Metric {
				var labels []string
				for _, l := range m.Label {
					labels = append(labels, l.GetValue())
				}
				got[strings.TrimPrefix(f.GetName(), "sluice_certificate_")+" "+strings.Join(labels, " ")] = strconv.FormatFloat(m.Gauge.GetValue(), 'f', 0, 64)
			}
		}
		return got
	}
	end := func(year int) string {
		return strconv.FormatInt(newYear(year).Unix(), 10)
	}
	expect := func(peer, refused string) {
		t.Helper()
		store.Look()
		got := scrape()
		if len(got) != 3 || got["expiration_timestamp_seconds n1 peer"] != peer || got["expiration_timestamp_seconds Our CA peer-ca"] != end(2060) || got["files_refused peer"] != refused {
			t.Errorf("%v", got)
		}
	}
	expect(end(2090), "0")
	s.issue(certs.Node{To: newYear(2050)})
	expect(end(2050), "0")
	_ = os.Remove(s.files.Key)
	expect(end(2050), "1")
}

func newYear(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }

package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"sluice/test/scrape"
)

// described is one metric as its collector describes it. What it is follows
// from its name, as Prometheus wants it: a counter ends in _total.
type described struct {
	name, help string
	labels     []string
}

func (d *described) kind() (name string, of dto.MetricType) {
	if strings.HasSuffix(d.name, "_total") {
		return "counter", dto.MetricType_COUNTER
	}
	return "gauge", dto.MetricType_GAUGE
}

// family is the metric with one sample, for those that check names.
func (d *described) family() *dto.MetricFamily {
	_, kind := d.kind()
	m := &dto.Metric{Gauge: &dto.Gauge{Value: new(1.0)}}
	if kind == dto.MetricType_COUNTER {
		m = &dto.Metric{Counter: &dto.Counter{Value: new(1.0)}}
	}
	for _, l := range d.labels {
		m.Label = append(m.Label, &dto.LabelPair{Name: &l, Value: new("x")})
	}
	return &dto.MetricFamily{Name: &d.name, Help: &d.help, Type: &kind, Metric: []*dto.Metric{m}}
}

// metricsOf are all metrics of collectors, by name.
func metricsOf(t *testing.T, collectors []prometheus.Collector) []described {
	form := regexp.MustCompile(`^Desc\{fqName: (".*?"), help: ("(?:[^"\\]|\\.)*"), .*constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)
	var out []described
	for _, c := range collectors {
		ch := make(chan *prometheus.Desc, 100)
		c.Describe(ch)
		close(ch)
		for desc := range ch {
			part := form.FindStringSubmatch(desc.String())
			if part == nil {
				t.Fatalf("%s is not understood", desc)
			}
			name, _ := strconv.Unquote(part[1])
			help, _ := strconv.Unquote(part[2])
			d := described{name: name, help: help}
			for _, l := range regexp.MustCompile(`(\w+)=`).FindAllStringSubmatch(part[3], -1) {
				d.labels = append(d.labels, l[1])
			}
			if part[4] != "" {
				d.labels = append(d.labels, strings.Split(part[4], ",")...)
			}
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b described) int { return cmp.Compare(a.name, b.name) })
	return out
}

// unstarted is a node whose parts are built, and nothing runs.
func unstarted(t *testing.T) *node {
	t.Helper()
	f := defaultFile()
	f.Name, f.DataDir, f.Peer.Listen = "n1", filepath.Join(t.TempDir(), "data"), "127.0.0.1:7400"
	f.Secrets.Folders = []string{t.TempDir()}
	cfg, found := f.configs(true)
	if len(found) > 0 {
		t.Fatal(found)
	}
	n, err := assemble(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const metricsIntro = `# Metrics

<!-- Made from the collectors of the parts: go generate ./cmd/sluice -->

Every node serves these at ` + "`/metrics`" + ` of its HTTP port, in Prometheus's format, with those of the Go runtime (` + "`go_*`" + `) and of the
process (` + "`process_*`" + `). With ` + "`http.tokenFile`" + ` set, the scrape needs the token (` + "`authorization: {credentials_file: ...}`" + ` in Prometheus).
There is no series for each partition: their number is bounded by links, topics and reason codes.

**A node shows what it owns.** Scrape all nodes, and put their series together:

| you want | ask Prometheus for |
|---|---|
| how far a topic is behind, in records | ` + "`sum by (link, topic) (sluice_link_lag_records)`" + ` |
| in seconds | ` + "`max by (link, topic) (sluice_link_lag_seconds)`" + ` |
| whether these two are the whole truth | ` + "`sum by (link, topic) (sluice_link_lag_unknown_streams) == 0`" + ` |
| bytes per second | ` + "`sum by (link, topic) (rate(sluice_link_bytes_total[5m]))`" + ` |
| when a topic was last written to | ` + "`max by (link, topic) (sluice_link_last_copied_timestamp_seconds)`" + ` |
| topics that are not copied | ` + "`sum by (link) (sluice_link_topics{state=\"not-copied\"})`" + ` |
| streams by state | ` + "`sum by (link, state) (sluice_link_streams)`" + ` |
| streams that stopped within the last hour | ` + "`sum by (link, code) (increase(sluice_link_stops_total[1h]))`" + ` |
| when the first certificate of each node ends | ` + "`min by (instance) (sluice_certificate_expiration_timestamp_seconds{use!=\"peer-ca\"})`" + ` |
| whether anything can be changed | ` + "`max(sluice_cluster_quorum) == 1`" + ` |

**A figure that is not known has no sample**; it is never 0 or -1. A topic's lag on a node is known only while that of each of its partitions there is:
a sum without one of them would look too good. What is not known is counted by ` + "`sluice_link_lag_unknown_streams`" + `, which is always there.
Streams that no living node owns are shown by the leader, so that the sum of ` + "`sluice_link_streams`" + ` over the nodes is all streams. (A node that is cut off from
the leader and can still be scraped shows them too, until it has noticed.) The states and codes are those of the [reason codes](reason-codes.md);
each of them is always there, with 0. Counters begin at 0 when a node starts, so use ` + "`rate`" + ` and ` + "`increase`" + `.
`

// metricsReference is the page about all metrics.
func metricsReference(t *testing.T) string {
	var b strings.Builder
	b.WriteString(metricsIntro)
	group := ""
	for _, d := range metricsOf(t, unstarted(t).collectors()) {
		if of := strings.Split(d.name, "_")[1]; of != group {
			group = of
			fmt.Fprintf(&b, "\n## sluice_%s\n\n| metric | type | labels | what it says |\n|---|---|---|---|\n", group)
		}
		kind, _ := d.kind()
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.name, kind, strings.Join(d.labels, ", "), d.help)
	}
	return b.String()
}

// TestMetricsAreAsPrometheusWantsThem: names, types and help texts of all, of
// those too that have no sample in a test.
func TestMetricsAreAsPrometheusWantsThem(t *testing.T) {
	all := metricsOf(t, unstarted(t).collectors())
	var families []*dto.MetricFamily
	for i := range all {
		d := &all[i]
		families = append(families, d.family())
		if !strings.HasSuffix(d.help, ".") || slices.Contains(d.labels, "partition") {
			t.Errorf("%s%v: %q", d.name, d.labels, d.help)
		}
	}
	if len(all) < 35 {
		t.Errorf("only %d metrics were found", len(all))
	}
	scrape.Lint(t, families)
}

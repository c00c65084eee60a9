package cli

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/balance/data"
)

// crowdedBrokers and crowdedParts are a cluster of which one broker holds
// nearly everything.
const (
	crowdedBrokers = `# id,rack,disk,in,out,state
3,c,1000,1000,1000,new
1,a,1000,1000,1000,ok
2,b,1000,1000,1000,ok
`
	crowdedParts = `orders,0,1 2,60,10,20
orders,1,1 2,60,10,20
orders,2,1 2,60,10,20
pay,0,1 2,60,10,20
pay,1,2 1,60,10,20
pay,2,2 1,60,10,20
`
)

// propose runs the verb on the two texts and returns what it wrote and the
// code that it ends with.
func propose(t *testing.T, brokers, parts string, args ...string) (out string, code int, err error) {
	t.Helper()
	dir := t.TempDir()
	b, p := filepath.Join(dir, "brokers.csv"), filepath.Join(dir, "parts.csv")
	for name, text := range map[string]string{b: brokers, p: parts} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var w bytes.Buffer
	a := &app{std: streams{Env: Env{Stdout: &w, Stderr: io.Discard, Getenv: func(string) string { return "" }}}}
	cmd := rootCmd(a)
	cmd.SetArgs(append([]string{"balance", "propose", "--brokers-file", b, "--parts-file", p}, args...))
	ran, err := cmd.ExecuteC()
	return w.String(), a.finish(ran, err), err
}

func TestProposeWritesThePlan(t *testing.T) {
	dir := t.TempDir()
	plan, reassignment := filepath.Join(dir, "plan.csv"), filepath.Join(dir, "r.json")
	out, code, err := propose(t, crowdedBrokers, crowdedParts, "--out", plan, "--reassignment-json", reassignment)
	if code != 0 {
		t.Fatalf("code %d: %v\n%s", code, err, out)
	}
	for _, want := range []string{"to move: 4 replicas", "No plan with this result moves less", "LEADERS", "3 c new", "need more disk on the way", "plan.csv"} {
		if !strings.Contains(out, want) {
			t.Errorf("the text lacks %q:\n%s", want, out)
		}
	}
	for i, line := range strings.Split(out, "\n") {
		if len(line) > 80 && !strings.Contains(line, "what helps") && !strings.HasPrefix(line, "changed partitions: ") && !strings.HasPrefix(line, "reassignment: ") {
			t.Errorf("line %d has %d columns: %s", i+1, len(line), line)
		}
	}
	text, err := os.ReadFile(plan)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Version    int
		Partitions []struct {
			Topic     string
			Partition int
			Replicas  []int32
		}
	}
	raw, err := os.ReadFile(reassignment)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n == 0 || n != len(doc.Partitions) || doc.Version != 1 {
		t.Errorf("%d lines in the plan, %d partitions in version %d of the reassignment", n, len(doc.Partitions), doc.Version)
	}
	// carried out, nothing is left to do
	after := crowdedParts
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ",", 3)
		for old := range strings.Lines(crowdedParts) {
			if g := strings.SplitN(strings.TrimSpace(old), ",", 4); f[0] == g[0] && f[1] == g[1] {
				after = strings.Replace(after, old, strings.Join([]string{f[0], f[1], f[2], g[3]}, ",")+"\n", 1)
			}
		}
	}
	if out, code, _ := propose(t, crowdedBrokers, after); code != 0 || !strings.HasPrefix(out, "nothing to do") {
		t.Errorf("a balanced cluster: code %d, %s", code, out)
	}
}

func TestProposeJSONIsWhatThePlannerSays(t *testing.T) {
	out, code, err := propose(t, crowdedBrokers, crowdedParts, "-o", "json")
	if code != 0 {
		t.Fatal(err)
	}
	var doc struct {
		APIVersion, Kind string
		Items            []data.Proposal
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.APIVersion != "sluice/v1" || doc.Kind != "BalanceProposal" || len(doc.Items) != 1 || doc.Items[0].Moves != 4 {
		t.Errorf("got %+v", doc)
	}
	if again, _, _ := propose(t, crowdedBrokers, crowdedParts, "-o", "json"); again != out {
		t.Error("two runs differ")
	}
}

// TestProposeJSONHasNoNulls keeps every list in the document a list.
func TestProposeJSONHasNoNulls(t *testing.T) {
	for _, parts := range []string{crowdedParts, ""} {
		if out, _, _ := propose(t, crowdedBrokers, parts, "-o", "json"); strings.Contains(out, "null") {
			t.Errorf("null in %s", out)
		}
	}
}

// TestProposeTellsFindings in both forms, also where there is nothing to do;
// they are no demand that is not met.
func TestProposeTellsFindings(t *testing.T) {
	brokers := "1,a,1000,0,0,ok\n2,,1000,0,0,ok\n3,b,1000,0,0,ok\n"
	parts := "t,0,1 2,10,0,0\nt,1,2 3,10,0,0\nt,2,3 1,10,0,0\nt,3,1 2 3,10,0,0\n"
	out, code, err := propose(t, brokers, parts)
	if code != 0 {
		t.Fatalf("code %d: %v\n%s", code, err, out)
	}
	for _, want := range []string{
		"\nnote unnamed-rack: 1 broker has no rack, while 2 others have one\n  brokers: 2\n  what helps: set broker.rack on all brokers or on none",
		"\nnote uneven-replication: topic t: partition 3 has 3 replicas; the other 3 have 2\n  what helps: perhaps a reassignment is running",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the text lacks %q:\n%s", want, out)
		}
	}
	out, _, _ = propose(t, brokers, parts, "-o", "json")
	var doc struct{ Items []data.Proposal }
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	f := doc.Items[0].Findings
	if len(f) != 2 || f[0].Code != data.CodeUnnamedRack || len(f[0].Brokers) != 1 || f[1].Topic != "t" || len(f[1].Partitions) != 1 || f[1].Partitions[0] != "t-3" {
		t.Errorf("found %+v", f)
	}
}

// TestProposeSaysNoDistanceOfACutPlan: a plan that a byte limit cut short is
// not as level as its bytes could make it, and no waste either.
func TestProposeSaysNoDistanceOfACutPlan(t *testing.T) {
	out, code, _ := propose(t, crowdedBrokers, crowdedParts, "--max-bytes", "60MB")
	if code != 10 || !strings.Contains(out, "to move: 1 replica") || strings.Contains(out, "% above") {
		t.Errorf("code %d: %s", code, out)
	}
}

// TestProposeShowsCountsWithoutSizes: where no sizes are known, counts are all
// there is to see.
func TestProposeShowsCountsWithoutSizes(t *testing.T) {
	out, code, _ := propose(t, "1,,0,0,0,ok\n2,,0,0,0,new\n", "t,0,1,0,0,0\nt,1,1,0,0,0\n")
	if code != 0 || !strings.Contains(out, "\nreplicas              0            2              1            1\n") {
		t.Errorf("code %d: %s", code, out)
	}
}

func TestProposeReadsGzip(t *testing.T) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write([]byte(crowdedParts))
	_ = w.Close()
	if out, code, err := propose(t, crowdedBrokers, z.String()); code != 0 {
		t.Errorf("code %d: %v\n%s", code, err, out)
	}
}

func TestProposeEndsByWhatItFinds(t *testing.T) {
	for _, c := range []struct {
		name, brokers, parts string
		args                 []string
		code                 int
		says                 string
	}{
		{"excluded topics stay", crowdedBrokers, crowdedParts, []string{"--exclude", "orders,pay"}, 0, "nothing to do"},
		{"a prefix", crowdedBrokers, crowdedParts, []string{"--exclude", "or*"}, 10, "cannot be met"},
		{"an unknown topic", crowdedBrokers, crowdedParts, []string{"--exclude", "odrers"}, 2, `no topic matches "odrers"`},
		{"a broken pattern", crowdedBrokers, crowdedParts, []string{"--exclude", "/(/"}, 2, "pattern"},
		{"nothing may travel", crowdedBrokers, crowdedParts, []string{"--max-bytes", "1B"}, 10, "cannot be met"},
		{"a dead broker with nowhere to go", "1,a,1000,1,1,ok\n2,b,1000,1,1,dead\n", "t,0,1 2,10,1,1\n", nil, 10, "1 replica left on brokers that should be empty"},
		{"too little disk", "1,a,100,1,1,ok\n2,b,100,1,1,ok\n", "t,0,1 2,90,1,1\n", nil, 10, "above 80 % of the disk"},
		{"an unknown goal", crowdedBrokers, crowdedParts, []string{"--goal", "disk,speed"}, 2, `no goal "speed"`},
		{"a band without a number", crowdedBrokers, crowdedParts, []string{"--band", "disk=much"}, 2, `"much" is neither`},
		{"a size without a number", crowdedBrokers, crowdedParts, []string{"--max-bytes", "ten TB"}, 2, "is no size"},
		{"an unknown output", crowdedBrokers, crowdedParts, []string{"-o", "xml"}, 2, "is none of text, wide, json, yaml, tsv"},
		{"no bytes at all", crowdedBrokers, crowdedParts, []string{"--max-bytes", "0"}, 2, "--goal leaders"},
		{"a size that is no number", crowdedBrokers, crowdedParts, []string{"--max-bytes", "NaN"}, 2, "is no size"},
		{"a band that is no number", crowdedBrokers, crowdedParts, []string{"--band", "NaN"}, 2, "must lie in"},
		{"a band of nothing", crowdedBrokers, crowdedParts, []string{"--band", "0"}, 2, "must lie in"},
		{"a limit above the disk", crowdedBrokers, crowdedParts, []string{"--disk-limit", "101%"}, 2, "must lie in"},
		{"a limit on a dead broker's bytes", "1,a,1000,1,1,ok\n2,b,1000,1,1,dead\n3,c,1000,1,1,ok\n", manyParts(60), []string{"--max-bytes", "40MB"}, 10, "raise the byte limit"},
		{"only dead copies", "1,a,1000,1,1,ok\n2,b,1000,1,1,dead\n", "t,0,2,10,1,1\n", nil, 10, "no living copy"},
		{"all dead", "1,a,1000,1,1,dead\n2,b,1000,1,1,dead\n", "t,0,1 2,10,1,1\n", nil, 10, "nothing can be done"},
		{"leads that single copies hold fast", "1,a,1000,1,1,ok\n2,a,1000,1,1,ok\n3,a,1000,1,1,ok\n4,a,1000,1,1,ok\n", singleParts(), nil, 10, "outside the band of leaders"},
		{"one broker", "1,a,1000,1,1,ok\n", "t,0,1,10,1,1\n", nil, 0, "nothing to do"},
		{"no partitions", crowdedBrokers, "", nil, 0, "nothing to do"},
		{"no brokers", "# none\n", "", nil, 1, "brokers.csv: no brokers"},
		{"a mark of the byte order", "\ufeff1,a,1000,1,1,ok\r\n", "", nil, 0, "nothing to do"},
		{"a blank before a rack", "1, a,1000,1,1,ok\n2,a,1000,1,1,ok\n", "t,0,1 2,1,1,1\n", nil, 0, "nothing to do"},
		{"unknown disks", "1,a,0,0,0,ok\n2,a,0,0,0,ok\n", "t,0,1,1,1,1\nt,1,1,1,1,1\n", nil, 0, "2000>1000             - "},
		{"broken gzip", crowdedBrokers, "\x1f\x8bno", nil, 1, "unpacking"},
		{"a negative size", crowdedBrokers, "t,0,1,-1,1,1\n", nil, 1, `parts.csv:1: size: "-1" is not a decimal number`},
		{"an endless size", crowdedBrokers, "t,0,1,99999999999999999999,1,1\n", nil, 1, "parts.csv:1: size: \"99999999999999999999\" is too large"},
		{"too much disk in all", strings.ReplaceAll("1,a,X,1,1,ok\n2,b,X,1,1,ok\n", "X", "900000000000"), "", nil, 1, "capacities sum up to more"},
		{"a replica twice on a broker", crowdedBrokers, "t,0,1 1,1,1,1\n", nil, 1, "parts.csv:1: replicas: broker 1 twice"},
		{"no replicas", crowdedBrokers, "t,0,,1,1,1\n", nil, 1, "parts.csv:1: replicas: missing"},
		{"more fields than there are", crowdedBrokers, "t,0,1,1,1,1,,\n", nil, 1, "parts.csv:1: more than 7 fields"},
		{"an unknown log dir", crowdedBrokers, "t,0,1,1,1,1,/d9\n", nil, 1, `parts.csv:1: logdirs: broker 1 has no log dir "/d9"`},
		{"a bad broker", "1,a,x,1,1,ok\n", "", nil, 1, `brokers.csv:1: disk: "x" is not a decimal number`},
		{"a bad state", "1,a,1,1,1,fine\n", "", nil, 1, `brokers.csv:1: state: "fine" is none of`},
		{"a broker twice", "1,a,1,1,1,ok\n1,a,1,1,1,ok\n", "", nil, 1, "brokers.csv:2: id: broker 1 stands on line 1 already"},
		{"an unknown broker", crowdedBrokers, "t,0,1 9,1,1,1\n", nil, 1, "parts.csv:1: replicas: broker 9 is not in the brokers file"},
		{"a missing field", crowdedBrokers, "t,0,1 2,1\n", nil, 1, "parts.csv:1: in: missing"},
		{"a partition twice", crowdedBrokers, "t,0,1,1,1,1\nt,0,2,1,1,1\n", nil, 1, "parts.csv:2: partition: t-0 stands on line 1 already"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, code, err := propose(t, c.brokers, c.parts, c.args...)
			if code != c.code {
				t.Fatalf("code %d (%v), not %d\n%s", code, err, c.code, out)
			}
			text := out
			if err != nil {
				text += err.Error()
			}
			if !strings.Contains(text, c.says) {
				t.Errorf("neither says %q:\n%s", c.says, text)
			}
		})
	}
}

// manyParts returns lines of n partitions on two brokers.
func manyParts(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "t,%d,1 2,10,1,1\n", i)
	}
	return b.String()
}

// singleParts returns lines of partitions that lie evenly but for the leads:
// two of four brokers hold nothing but partitions with one copy.
func singleParts() string {
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, "one,%d,%d,1,1,1\n", i, 1+i%2)
	}
	for i := range 20 {
		fmt.Fprintf(&b, "two,%d,%d %d,1,1,1\n", i, 3+i%2, 4-i%2)
	}
	return b.String()
}

// TestProposeShowsTheBrokersThatChangeMost, and all of them where asked.
func TestProposeShowsTheBrokersThatChangeMost(t *testing.T) {
	var brokers, parts strings.Builder
	for i := range 30 {
		fmt.Fprintf(&brokers, "%d,r%d,1000,1000,1000,%s\n", i, i%3, map[bool]string{true: "ok", false: "new"}[i < 15])
	}
	for i := range 300 {
		fmt.Fprintf(&parts, "t,%d,%d %d,5,1,1\n", i, i%15, (i+1)%15)
	}
	short, code, err := propose(t, brokers.String(), parts.String())
	if code != 0 || !strings.Contains(short, "... and 10 more that change less; all with -o wide\n") || !strings.Contains(short, "... and 5 more\n") {
		t.Errorf("code %d: %v\n%s", code, err, short)
	}
	if wide, _, _ := propose(t, brokers.String(), parts.String(), "-o", "wide"); strings.Contains(wide, "... and") || strings.Count(wide, " new  ") != 30 {
		t.Errorf("%s", wide)
	}
}

func TestProposeLevelsLogDirs(t *testing.T) {
	brokers := "1,a,1000,1,1,ok,/d0 /d1\n2,b,1000,1,1,ok,/d0 /d1\n"
	parts := "t,0,1 2,50,1,1,/d0 /d0\nt,1,2 1,50,1,1,/d0 /d0\nt,2,1 2,50,1,1,/d0 /d0\nt,3,2 1,50,1,1,/d0 /d0\n"
	plan := filepath.Join(t.TempDir(), "plan.csv")
	out, code, err := propose(t, brokers, parts, "--out", plan)
	if code != 0 || !strings.Contains(out, "between log dirs of a broker: 4 replicas") {
		t.Fatalf("code %d (%v)\n%s", code, err, out)
	}
	text, err := os.ReadFile(plan)
	if err != nil || strings.Count(string(text), "/d1") != 4 {
		t.Errorf("the plan is %q (%v)", text, err)
	}
}

// TestPatternsKeepTheirCommas: a comma ends a pattern, unless it stands in a
// regular expression.
func TestPatternsKeepTheirCommas(t *testing.T) {
	for list, want := range map[string][]string{
		"orders":               {"orders"},
		"orders,pay*":          {"orders", "pay*"},
		"/^o{1,2}$/":           {"/^o{1,2}$/"},
		"a,/^o{1,2}$/,/p,q/,b": {"a", "/^o{1,2}$/", "/p,q/", "b"},
		"/not closed{1,2}":     {"/not closed{1,2}"},
	} {
		if got := splitPatterns(list); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", list, got, want)
		}
	}
	brokers, parts := "1,a,1000,1,1,ok\n2,b,1000,1,1,new\n", "oo,0,1,10,1,1\npay,0,1,10,1,1\npay,1,1,10,1,1\n"
	for _, flag := range []string{"--exclude", "--pin"} {
		if out, code, err := propose(t, brokers, parts, flag, "/^o{1,2}$/,/^p[a,b]y$/"); code == 2 || err != nil && code != 10 {
			t.Errorf("%s: code %d: %v\n%s", flag, code, err, out)
		}
	}
}

// TestProposeWithoutHeads: --no-headers leaves the heads of all its tables out.
func TestProposeWithoutHeads(t *testing.T) {
	heads := regexp.MustCompile(`before: least|LEADERS|BROKER|RACK|PEAK`)
	brokers, parts := "1,a,1000,1,1,ok\n2,b,1000,1,1,ok\n3,c,1000,1,1,new\n", manyParts(12)
	with, _, err := propose(t, brokers, parts)
	if err != nil || len(heads.FindAllString(with, -1)) < 4 {
		t.Errorf("%v\n%s", err, with)
	}
	if out, _, err := propose(t, brokers, parts, "--no-headers"); err != nil || heads.MatchString(out) || strings.Count(out, "\n") < 8 {
		t.Errorf("%v\n%s", err, out)
	}
}

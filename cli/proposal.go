package cli

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/balance/data"
	"sluice/words"
)

// shownBrokers is how many brokers a table names unless all are asked for.
const shownBrokers = 20

// proposalText writes a proposal to be read by a person, in 80 columns unless
// names are long.
type proposalText struct {
	strings.Builder
	o data.Options
	p *data.Proposal
	style
	size unit // of all sizes in tables
	rate unit // of all rates in tables
	name int  // width of the column of names
}

// writeProposal writes p; out and reassignment are the files it was also
// written to, if any.
func writeProposal(w io.Writer, st style, o data.Options, p *data.Proposal, out, reassignment string) {
	t := &proposalText{o: o, p: p, style: st}
	t.measure()
	switch {
	case !p.Empty():
		t.summary()
	case len(p.Unmet) > 0:
		t.line("nothing can be done: no change that is allowed brings this nearer")
	default:
		t.line("nothing to do")
	}
	t.unmet()
	t.findings()
	if !p.Empty() {
		t.bands()
		t.racks()
		t.brokers()
		t.peaks()
		t.files(out, reassignment)
	}
	fmt.Fprint(w, t.String())
}

func (t *proposalText) line(format string, args ...any) {
	fmt.Fprintf(t, format+"\n", args...)
}

// heads begins a table, with its heads unless none are wanted.
func (t *proposalText) heads(format string, args ...any) {
	t.line("")
	if t.headers {
		t.line(format, args...)
	}
}

// unit is one that a column of a table is written in.
type unit struct {
	name string
	size float64
}

// unitFor returns the largest unit of which x still has so many, so that tables
// have no columns of zeros.
func unitFor(x int64, many float64) unit {
	units := []unit{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}}
	for _, u := range units {
		if float64(x) >= many*u.size {
			return u
		}
	}
	return unit{"B", 1}
}

func (u unit) of(n int64) string {
	return strconv.FormatFloat(math.Round(float64(n)/u.size)+0, 'f', 0, 64)
}

// measure chooses the units and the width of the names.
func (t *proposalText) measure() {
	var size, rate int64
	t.name = 8
	for i := range t.p.Brokers {
		b := &t.p.Brokers[i]
		size = max(size, b.Before.Bytes, b.After.Bytes)
		rate = max(rate, b.Before.In, b.After.In, b.Before.Out, b.After.Out)
		t.name = max(t.name, len(brokerName(b)))
	}
	t.size, t.rate = unitFor(size, 100), unitFor(rate, 10)
}

func brokerName(b *data.BrokerFigures) string {
	name := strings.TrimSpace(fmt.Sprintf("%d %s", b.ID, b.Rack))
	if b.State != "ok" {
		name += " " + b.State
	}
	return name
}

func (t *proposalText) summary() {
	p := t.p
	t.line("to move: %s, %s in %s; new leaders: %s", words.Count(p.Moves, "replica"),
		data.Bytes(p.Bytes), words.Count(len(p.Stages), "stage"), words.Count(p.LeaderChanges, "partition"))
	if p.DirMoves > 0 {
		t.line("between log dirs of a broker: %s, %s", words.Count(p.DirMoves, "replica"), data.Bytes(p.DirBytes))
	}
	switch {
	case t.o.MaxBytes > 0 && len(p.Unmet) > 0: // no measure of waste: the bound holds for the levels reached
		t.line("At most %s may travel; a plan cut short has no bound to compare with.", data.Bytes(t.o.MaxBytes))
	case p.Bound.Bytes > 0:
		t.line("No plan with this result moves less than %s; this one is %.2f %% above.",
			data.Bytes(p.Bound.Bytes), 100*(p.Bound.Ratio-1))
	case p.Bytes > 0:
		t.line("No lower bound is known for this result.")
	}
	if p.Seconds > 0 {
		t.line("About %s at %s/s per broker.", duration(p.Seconds), data.Bytes(t.o.Throttle))
	}
}

// files names the files that were written.
func (t *proposalText) files(out, reassignment string) {
	if out != "" {
		t.line("\nchanged partitions: %s", out)
	}
	if reassignment == "" {
		return
	}
	t.line("\nreassignment: %s", reassignment)
	if len(t.p.Stages) > 1 {
		t.line("Kafka carries it out at once, not in stages: disks may peak higher than above.")
	}
}

// duration writes seconds as the two largest units.
func duration(seconds float64) string {
	d := time.Duration(math.Min(seconds, 1e9) * float64(time.Second))
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd %dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return d.Round(time.Second).String()
}

func (t *proposalText) unmet() {
	for _, u := range t.p.Unmet {
		kind := "missed"
		if u.Hard {
			kind = "BROKEN"
		}
		t.line("\n%s %s: %s", kind, u.Code, u.What)
		if len(u.Brokers) > 0 {
			t.line("  brokers: %s", words.List(u.Brokers))
		}
		switch n := len(u.Partitions); {
		case n >= data.MaxNamed: // there may be more
			t.line("  first partitions: %s", strings.Join(u.Partitions, ", "))
		case n > 0:
			t.line("  partitions: %s", strings.Join(u.Partitions, ", "))
		}
		t.line("  what helps: %s", u.Help)
	}
}

// findings writes what is odd about the cluster, whatever the plan is.
func (t *proposalText) findings() {
	for _, f := range t.p.Findings {
		t.line("\nnote %s: %s", f.Code, f.What)
		if len(f.Brokers) > 0 {
			t.line("  brokers: %s", words.List(f.Brokers))
		}
		t.line("  what helps: %s", f.Help)
	}
}

// bands shows the extremes of every figure before and after.
func (t *proposalText) bands() {
	t.heads("%-10s %25s   %25s", "", "before: least, most", "after: least, most")
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) }
	rate := func(v float64) string { return data.Bytes(int64(v)) + "/s" }
	for _, row := range []struct {
		name string
		of   func(b *data.BrokerFigures, l *data.Load) float64
		text func(float64) string
	}{
		{"disk", func(b *data.BrokerFigures, l *data.Load) float64 { return part(l.Bytes, b.Share) },
			func(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }},
		{"replicas", func(_ *data.BrokerFigures, l *data.Load) float64 { return float64(l.Replicas) }, number},
		{"leaders", func(_ *data.BrokerFigures, l *data.Load) float64 { return float64(l.Leaders) }, number},
		{"bytes-in", func(_ *data.BrokerFigures, l *data.Load) float64 { return float64(l.In) }, rate},
		{"bytes-out", func(_ *data.BrokerFigures, l *data.Load) float64 { return float64(l.Out) }, rate},
	} {
		var was, is []float64
		for i := range t.p.Brokers {
			b := &t.p.Brokers[i]
			if b.Share == 0 && row.name == "disk" || b.State == data.Draining.String() || b.State == data.Dead.String() {
				continue
			}
			was, is = append(was, row.of(b, &b.Before)), append(is, row.of(b, &b.After))
		}
		if len(was) > 0 {
			t.line("%-10s %12s %12s   %12s %12s", row.name, row.text(slices.Min(was)), row.text(slices.Max(was)), row.text(slices.Min(is)), row.text(slices.Max(is)))
		}
	}
	t.line("(disk in parts of a broker's share)")
}

func part(x, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(x) / float64(of)
}

// row writes one line of a table: each cell is before>after.
func (t *proposalText) row(name string, disk int64, b, a data.Load) {
	free := "-" // the capacity is not known
	if disk > 0 {
		free = t.size.of(disk-b.Bytes) + ">" + t.size.of(disk-a.Bytes)
	}
	t.line("%-*s %11s %11s %13s %13s %9s %9s", t.name, name,
		fmt.Sprintf("%d>%d", b.Leaders, a.Leaders),
		fmt.Sprintf("%d>%d", b.Replicas, a.Replicas),
		t.size.of(b.Bytes)+">"+t.size.of(a.Bytes), free,
		t.rate.of(b.In)+">"+t.rate.of(a.In),
		t.rate.of(b.Out)+">"+t.rate.of(a.Out))
}

func (t *proposalText) racks() {
	var names []string
	for i := range t.p.Brokers {
		names = append(names, t.p.Brokers[i].Rack)
	}
	slices.Sort(names)
	t.head("RACK")
	for _, rack := range slices.Compact(names) {
		var disk int64
		var b, a data.Load
		known := true
		for i := range t.p.Brokers {
			if f := &t.p.Brokers[i]; f.Rack == rack {
				known = known && f.Disk > 0
				disk += f.Disk
				sum(&b, f.Before)
				sum(&a, f.After)
			}
		}
		if !known {
			disk = 0
		}
		t.row(cmp.Or(rack, "(none)"), disk, b, a)
	}
}

func sum(s *data.Load, l data.Load) {
	s.Bytes += l.Bytes
	s.Replicas += l.Replicas
	s.Leaders += l.Leaders
	s.In += l.In
	s.Out += l.Out
}

func (t *proposalText) head(first string) {
	t.heads("%-*s %11s %11s %13s %13s %9s %9s", t.name, first, "LEADERS", "REPLICAS",
		"SIZE "+t.size.name, "FREE "+t.size.name, "IN "+t.rate.name+"/s", "OUT "+t.rate.name+"/s")
}

// brokers lists the brokers, the farthest from their share first.
func (t *proposalText) brokers() {
	list := slices.Clone(t.p.Brokers)
	off := func(b *data.BrokerFigures) float64 {
		if b.Share == 0 {
			return math.Inf(1)
		}
		return math.Abs(part(b.Before.Bytes, b.Share) - 1)
	}
	slices.SortStableFunc(list, func(a, b data.BrokerFigures) int { return cmp.Compare(off(&b), off(&a)) })
	t.head("BROKER")
	n := len(list)
	if !t.wide {
		n = min(n, shownBrokers)
	}
	for i := range list[:n] {
		b := &list[i]
		t.row(brokerName(b), b.Disk, b.Before, b.After)
	}
	if n < len(list) {
		t.line("... and %d more that change less; all with -o wide", len(list)-n)
	}
}

// peaks lists the brokers that need more disk on the way than they hold now.
func (t *proposalText) peaks() {
	var list []*data.BrokerFigures
	for i := range t.p.Brokers {
		if b := &t.p.Brokers[i]; b.Peak > b.Before.Bytes {
			list = append(list, b)
		}
	}
	if list == nil {
		return
	}
	need := func(b *data.BrokerFigures) int64 { return b.Peak - b.Before.Bytes }
	slices.SortStableFunc(list, func(a, b *data.BrokerFigures) int { return cmp.Compare(need(b), need(a)) })
	t.line("\nneed more disk on the way than they use now: %s", words.Count(len(list), "broker"))
	t.heads("%-*s %11s %11s %11s %12s", t.name, "BROKER",
		"NOW "+t.size.name, "PEAK "+t.size.name, "AFTER "+t.size.name, "PEAK OF DISK")
	n := len(list)
	if !t.wide {
		n = min(n, shownBrokers/2)
	}
	for _, b := range list[:n] {
		of := "-"
		if b.Disk > 0 {
			of = fmt.Sprintf("%.0f %%", 100*part(b.Peak, b.Disk))
		}
		t.line("%-*s %11s %11s %11s %12s", t.name, brokerName(b),
			t.size.of(b.Before.Bytes), t.size.of(b.Peak), t.size.of(b.After.Bytes), of)
	}
	if n < len(list) {
		t.line("... and %d more", len(list)-n)
	}
}

package cli

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sluice/balance/data"
	"sluice/manifest"
	"sluice/words"
)

func balanceCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "balance", Short: "Level the load inside a Kafka cluster"}
	cmd.AddCommand(proposeCmd(a))
	return cmd
}

// proposeFlags is what the operator asks for, as it was written.
type proposeFlags struct {
	brokers, parts, goals, band string
	maxBytes, throttle, limit   string
	exclude, pin                []string
	out, reassignment           string
}

func proposeCmd(a *app) *cobra.Command {
	var f proposeFlags
	cmd := &cobra.Command{
		Use:   "propose --brokers-file F --parts-file F",
		Short: "Work out which replicas should move, from files",
		Long: `Work out which broker should hold which replica, with next to no byte more
than needed, and show the cluster before and after. Nothing is changed.

The files may be gzip; lines that begin with # are left out. Brokers are lines of
  id,rack,disk MB,in KB/s,out KB/s,state[,log dirs]
with the states ok, new, draining, cordoned and dead; partitions of
  topic,partition,replicas (leader first),size MB,in KB/s,out KB/s[,log dirs].

Exit codes: 0 proposed or nothing to do, 1 a file cannot be read, 2 a flag
makes no sense, 10 something that was asked for cannot be reached.`,
		Example: "  sluice balance propose --brokers-file b.csv --parts-file p.csv.gz --out plan.csv\n  sluice balance propose --brokers-file b.csv --parts-file p.csv -o wide   # all brokers",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return f.run(&a.std) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.brokers, "brokers-file", "", "the brokers (needed)")
	fl.StringVar(&f.parts, "parts-file", "", "the partitions (needed)")
	fl.StringVar(&f.goals, "goal", data.DefaultGoals.String(), "what to level, of "+data.AllGoals.String())
	fl.StringVar(&f.band, "band", "", `margin around the share, as in "1%" or "disk=1%,bytes-in=10%" (disk 2%, others 5%)`)
	fl.StringVar(&f.maxBytes, "max-bytes", "", `bytes that may travel at most, as in "10TB"`)
	fl.StringVar(&f.throttle, "throttle", "50MB", "bytes a second per broker that the time is estimated for; 0: no estimate")
	fl.StringVar(&f.limit, "disk-limit", "80%", "part of a broker's disk and of each log dir that is never exceeded, on the way neither")
	fl.StringArrayVar(&f.exclude, "exclude", nil, "topics to leave alone, by `patterns`: name, prefix*, or /regex/, several with commas")
	fl.StringArrayVar(&f.pin, "pin", nil, "topics whose replicas stay and only leaders may change, by `patterns` as in --exclude")
	fl.StringVar(&f.out, "out", "", "write the changed partitions to this file")
	fl.StringVar(&f.reassignment, "reassignment-json", "", "write a file for kafka-reassign-partitions")
	return cmd
}

func (f *proposeFlags) run(s *streams) error {
	o, err := f.options()
	if err != nil {
		return &usageError{err}
	}
	m, err := f.model()
	if err != nil {
		return err
	}
	for _, hold := range []struct {
		patterns []string
		as       data.Hold
		flag     string
	}{{f.pin, data.Pinned, "--pin"}, {f.exclude, data.Excluded, "--exclude"}} {
		if err := holdTopics(m, hold.patterns, hold.as); err != nil {
			return &usageError{fmt.Errorf("%s: %w", hold.flag, err)}
		}
	}
	p, err := data.Plan(m, o)
	if err != nil {
		return fmt.Errorf("planning: %w", err)
	}
	if err := data.Check(m, o, p); err != nil {
		return fmt.Errorf("checking the proposal (a fault of the planner; nothing was written): %w", err)
	}
	if err := f.write(s, m, o, p); err != nil {
		return err
	}
	if n := len(p.Unmet); n > 0 {
		return &badAnswer{fmt.Sprintf("%s cannot be met: %s", words.Count(n, "demand"), p.Unmet[0].What)}
	}
	return nil
}

func (f *proposeFlags) options() (data.Options, error) {
	o := data.DefaultOptions()
	var err error
	switch {
	case f.brokers == "" || f.parts == "":
		return o, fmt.Errorf("--brokers-file and --parts-file are needed")
	}
	if o.Goals, err = data.ParseGoals(f.goals); err != nil {
		return o, fmt.Errorf("--goal: %w", err)
	}
	if err = parseBands(f.band, &o); err != nil {
		return o, fmt.Errorf("--band: %w", err)
	}
	if o.DiskLimit, err = parsePart(f.limit); err != nil {
		return o, fmt.Errorf("--disk-limit: %w", err)
	}
	if o.MaxBytes, err = parseBytes(f.maxBytes); err != nil {
		return o, fmt.Errorf("--max-bytes: %w", err)
	}
	if f.maxBytes != "" && o.MaxBytes == 0 {
		return o, fmt.Errorf("--max-bytes %s: to change leaders alone, write --goal leaders", f.maxBytes)
	}
	if o.Throttle, err = parseBytes(strings.TrimSuffix(f.throttle, "/s")); err != nil {
		return o, fmt.Errorf("--throttle: %w", err)
	}
	return o, o.Validate()
}

// parseBands reads "1%" (disk) or a list of goal=part.
func parseBands(s string, o *data.Options) error {
	if s == "" {
		return nil
	}
	for word := range strings.SplitSeq(s, ",") {
		name, part, ok := strings.Cut(strings.TrimSpace(word), "=")
		if !ok {
			name, part = "disk", name
		}
		v, err := parsePart(part)
		if err != nil {
			return err
		}
		switch name {
		case "disk":
			o.DiskBand = v
		case "bytes-in":
			o.InBand = v
		case "bytes-out":
			o.OutBand = v
		case "logdirs":
			o.DirBand = v
		default:
			return fmt.Errorf("%q has no band: disk, bytes-in, bytes-out and logdirs have", name)
		}
	}
	return nil
}

// parsePart reads "2%" or "0.02".
func parsePart(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is neither a percentage nor a number", s)
	}
	if percent {
		v /= 100
	}
	return v, nil
}

// maxSize is the largest size that a flag may give, in bytes.
const maxSize = 1e18

// parseBytes reads a size such as 10TB, 50MiB or 1000; nothing is 0.
func parseBytes(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	v, err := manifest.ParseSize(s)
	if err != nil || v > maxSize {
		return 0, fmt.Errorf("%q is no size: write 10TB or 50MiB", s)
	}
	return int64(v), nil
}

func (f *proposeFlags) model() (*data.Model, error) {
	text, err := readFile(f.brokers)
	if err != nil {
		return nil, err
	}
	m := &data.Model{}
	if m.Brokers, err = data.ParseBrokers(f.brokers, text); err != nil {
		return nil, err
	}
	if text, err = readFile(f.parts); err != nil {
		return nil, err
	}
	m.Partitions, err = data.ParsePartitions(f.parts, text, m.Brokers)
	return m, err
}

// readFile reads a file, unpacked if it is gzip.
func readFile(name string) ([]byte, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if len(raw) < 2 || raw[0] != 0x1f || raw[1] != 0x8b {
		return raw, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", name, err)
	}
	text := bytes.NewBuffer(make([]byte, 0, 5*len(raw)))
	if _, err := io.Copy(text, z); err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", name, err)
	}
	return text.Bytes(), nil
}

// holdTopics holds the partitions of the topics that a pattern names. A
// pattern that names none is an error: it is likely a typo.
func holdTopics(m *data.Model, lists []string, as data.Hold) error {
	var patterns []string
	for _, list := range lists {
		patterns = append(patterns, splitPatterns(list)...)
	}
	for _, pattern := range patterns {
		match, err := topicMatcher(pattern)
		if err != nil {
			return err
		}
		n := 0
		for i := range m.Partitions {
			if match(m.Partitions[i].Topic) {
				m.Partitions[i].Hold = as
				n++
			}
		}
		if n == 0 {
			return fmt.Errorf("no topic matches %q", pattern)
		}
	}
	return nil
}

// splitPatterns splits a list at its commas, but for those inside of a regular
// expression, which ends at a slash with a comma or nothing behind it.
func splitPatterns(list string) []string {
	var out []string
	for {
		end := strings.IndexByte(list, ',')
		if strings.HasPrefix(list, "/") {
			if end = strings.Index(list[1:], "/,"); end >= 0 {
				end += 2
			}
		}
		if end < 0 {
			return append(out, list)
		}
		out, list = append(out, list[:end]), list[end+1:]
	}
}

func topicMatcher(pattern string) (func(topic string) bool, error) {
	if len(pattern) > 1 && pattern[0] == '/' && pattern[len(pattern)-1] == '/' {
		re, err := regexp.Compile(pattern[1 : len(pattern)-1])
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", pattern, err)
		}
		return re.MatchString, nil
	}
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return func(topic string) bool { return strings.HasPrefix(topic, prefix) }, nil
	}
	return func(topic string) bool { return topic == pattern }, nil
}

// write writes the files that were asked for, then what is to be read.
func (f *proposeFlags) write(s *streams, m *data.Model, o data.Options, p *data.Proposal) error {
	if f.out != "" {
		if err := os.WriteFile(f.out, data.AppendPlan(nil, m, p), 0o644); err != nil {
			return err
		}
	}
	if f.reassignment != "" {
		if err := os.WriteFile(f.reassignment, data.AppendReassignment(nil, m, p), 0o644); err != nil {
			return err
		}
	}
	answer := map[string]any{"apiVersion": "sluice/v1", "kind": "BalanceProposal", "items": []*data.Proposal{p}}
	return s.write(answer, func(w io.Writer, st style) { writeProposal(w, st, o, p, f.out, f.reassignment) }, moveTable(p))
}

package recovery

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"sluice/fsm"
	"sluice/fsm/reason"
)

var update = flag.Bool("update", false, "write docs/reference/recovery.md anew")

const tablePath = "../../docs/reference/recovery.md"

// Of the table's stream: ten records are copied, the next is source offset 10.
const (
	now        = int64(10_000_000)
	expiration = int64(1_000_000)
	young      = now - 1
	old        = int64(1)
)

// axis is one thing that a decision may depend on, with its values.
type axis struct {
	name   string
	values []string
}

var axes = []axis{
	{"phase", []string{"none yet", "dense", "translated"}},
	{"owner", []string{"confirmed", "lost", "unknown"}},
	{"guard", []string{"guarded", "unguarded"}},
	{"old requests", []string{"none", "possible"}},
}

// Endings of the names of faults that differ by what the target answered.
const (
	outOfOrder = ": the target says it does not follow"
	stateGone  = ": the target says so and has no producer state"
)

// ahead ends the name of a row whose target holds more than the checkpoint says.
const ahead = ": the target's log ends behind the checkpoint"

// faults are all that a row of the table may begin with.
func faults() []string {
	names := []string{"no fault", "no fault" + ahead}
	for _, k := range Kinds() {
		names = append(names, k.String())
		if k == Unsure {
			names = append(names, k.String()+outOfOrder, k.String()+stateGone)
		}
	}
	return names
}

// stock is the situation of a row of the table.
func stock(kind string, at []int) Situation {
	mapping := &fsm.Mapping{Version: 1, Generation: 1, Phase: fsm.PhaseDense, ProducerID: 7, Segments: []fsm.Segment{{}}}
	last := fsm.Progress{Source: 10, Target: 10, SourceEpoch: 3, Records: 10}
	s := Situation{
		Task: &fsm.Copy{Mapping: mapping, Progress: last}, Spec: &fsm.LinkSpec{}, Now: now, Expiration: expiration, ProducerID: -1,
		Memory: Memory{Version: 1, Last: last, Refused: -1, Attempts: 1, OldRequests: at[3] == 1},
	}
	switch at[0] {
	case 0:
		s.Task.Mapping, s.Task.Progress, s.Memory.Last, s.Memory.Version = nil, fsm.Progress{Source: -1, Target: -1}, fsm.Progress{Source: -1, Target: -1}, 0
	case 2:
		mapping.Phase = fsm.PhaseTranslated
	}
	if strings.Contains(kind, ahead) && at[0] != 0 {
		s.Memory.Last.Source, s.Memory.Last.Target = 8, 8
		s.Task.Progress = s.Memory.Last
	}
	kind, answered := strings.CutSuffix(kind, outOfOrder)
	kind, gone := strings.CutSuffix(kind, stateGone)
	for _, k := range Kinds() {
		if k.String() == kind {
			f := Faulty(k, "its-code", "why")
			if answered || gone {
				f.Code = fsm.CodeStarting
			}
			if gone {
				s.Memory.Refused = last.Target
			}
			switch k {
			case Gap:
				f.Source, f.Range = true, Range{10, 12}
			case Diverged:
				f.Source, f.Range, f.Epoch = true, Range{8, -1}, 3
			case Misplaced:
				s.Memory.Misplaced = []Misplacement{{Batch: Batch{Target: 10, Count: 2}, At: 13}}
			case Retry, Unsure, OldRequest, Blocked, Forgotten, TopicChanged, OutOfRange, TooLarge:
			}
			s.Fault = &f
		}
	}
	return s
}

// answer fills in what is asked for as a healthy world would.
func answer(s *Situation, g Gather, at []int) {
	time := young
	if at[2] == 1 {
		time = old
	}
	minus := int64(-1)
	switch g.What {
	case NeedPlaces:
		s.Places = &Places{}
	case NeedLog:
		s.Log = &TargetLog{High: 10, Observed: Observed{LogEnd: 10, Producer: &Producer{LastSequence: 9, LastTimestamp: time}}}
		switch {
		case s.Task.Mapping == nil:
			s.Log = &TargetLog{}
		case s.Memory.Refused >= 0:
			s.Log.Producer, s.Log.Tail = nil, &Tail{ProducerID: 7, BaseOffset: 5, BaseSequence: 5, Count: 5, LastOffset: 9, MaxTimestamp: time}
		}
	case NeedSource:
		s.Source = &SourceLog{First: 0, End: 20}
	case NeedProducer:
		s.ProducerID = 7
	case NeedNewID:
		id := int64(8)
		s.NewID = &id
	case NeedOwner:
		s.Owner = []Ownership{OwnerConfirmed, OwnerLost, OwnerUnknown}[at[1]]
	case NeedOldRequests:
		s.Waited, s.Log, s.Gaps, s.Memory.OldRequests = true, nil, Gaps{Fills: s.Gaps.Fills}, false
	case NeedEpochEnd, NeedDifference:
		s.EpochEnd, s.Difference = &minus, &minus
	case NeedOurs:
		s.Ours = []Batch{}
	case NeedAlignment:
		s.Aligned = &Alignment{Source: 10}
	}
}

// decide goes on until a step is not a Gather, and tells all of it.
func decide(t testing.TB, s Situation, at []int) (path []string, last Step) {
	t.Helper()
	for range 20 {
		step := Next(s)
		g, ok := step.(Gather)
		if !ok {
			return path, step
		}
		path = append(path, g.What.String())
		answer(&s, g, at)
	}
	t.Fatalf("it asks for ever: %v", path)
	return nil, nil
}

func describe(step Step) string {
	switch step := step.(type) {
	case Open:
		return "open a pipe at the derived position"
	case Commit:
		what := []string{fmt.Sprintf("commit mapping %d", step.Mapping.Version), step.Mapping.Phase.String()}
		if n := len(step.Mapping.Segments); n > 1 {
			seg := step.Mapping.Segments[n-1]
			what = append(what, fmt.Sprintf("source %d at target %d", seg.Source, seg.Target))
		}
		if step.Mapping.ProducerEpoch > 0 {
			what = append(what, "producer epoch raised")
		}
		return strings.Join(what, ", ")
	case Lift:
		return "lift the stop"
	case Halt:
		return "stop: " + string(step.Fault.Code)
	case Wait:
		return "show " + string(step.Code) + ", back off, look anew"
	case Restart:
		return "again, with the fault " + step.Fault.Kind.String()
	case Alone:
		return "wait until nobody else can own it"
	case End:
		return "end here: another node owns it"
	}
	return "?"
}

// row is a result and the values of each axis that lead to it, as bits.
type row struct {
	bits   []int
	result string
}

// merged joins rows of one result that differ in one axis only.
func merged(rows []row) []row {
	for i := range rows {
		for k := i + 1; k < len(rows); k++ {
			if at := differsIn(rows[i], rows[k]); at >= 0 {
				rows[i].bits[at] |= rows[k].bits[at]
				return merged(slices.Delete(rows, k, k+1))
			}
		}
	}
	return rows
}

func differsIn(a, b row) int {
	at := -1
	for i := range a.bits {
		if a.bits[i] != b.bits[i] {
			if at >= 0 {
				return -1
			}
			at = i
		}
	}
	if a.result != b.result {
		return -1
	}
	return at
}

func (r row) String() string {
	var cells []string
	for i, a := range axes {
		var values []string
		for v, name := range a.values {
			if r.bits[i]&(1<<v) != 0 {
				values = append(values, name)
			}
		}
		if len(values) == len(a.values) {
			values = []string{"any"}
		}
		cells = append(cells, strings.Join(values, " or "))
	}
	return strings.Join(cells, " | ") + " | " + r.result
}

func combinations() [][]int {
	out := [][]int{nil}
	for _, a := range axes {
		var next [][]int
		for _, at := range out {
			for v := range a.values {
				next = append(next, append(slices.Clone(at), v))
			}
		}
		out = next
	}
	return out
}

// table is the decision in every situation, as a page.
func table(t testing.TB) string {
	var b strings.Builder
	b.WriteString("# What a stream does next\n\nMade from the code by `go test ./replication/recovery -update`; do not edit. Package `replication/recovery` decides by one function, `Next`.\n" +
		"An axis that a decision does not depend on is \"any\". The stream has copied ten records; what is asked for is answered as a healthy Kafka would.\n\n" +
		"| fault | phase | owner | guard | old requests | asks for | then |\n|---|---|---|---|---|---|---|\n")
	for _, name := range faults() {
		var rows []row
		for _, at := range combinations() {
			path, step := decide(t, stock(name, at), at)
			r := row{result: strings.Join(path, "; ") + " | " + describe(step)}
			for _, v := range at {
				r.bits = append(r.bits, 1<<v)
			}
			rows = append(rows, r)
		}
		for _, r := range merged(rows) {
			fmt.Fprintf(&b, "| %s | %s |\n", name, r)
		}
	}
	b.WriteString("\nA stopped stream waits for an order, or goes on by its link's `onLoss`:\n\n| stopped by | onLoss | continue | recopy, target emptied |\n|---|---|---|---|\n")
	for _, code := range stops {
		automatic := order(&fsm.Copy{Stop: &fsm.Stop{Code: code}}, &fsm.LinkSpec{OnLoss: fsm.OnLossContinue})
		by := "goes by it"
		if automatic == "" {
			by = "an operator decides"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code, by, ordered(t, code, fsm.OrderContinue), ordered(t, code, fsm.OrderRecopy))
	}
	return b.String()
}

// stops are the codes that a stream stops by.
var stops = []fsm.Code{
	fsm.CodePositionLost, fsm.CodeSourceRecreated, fsm.CodeSourceTruncated, fsm.CodeTargetRecreated, fsm.CodeTargetTruncated, fsm.CodeForeignWriter,
	fsm.CodeRecordTooLarge, fsm.CodeTimestampRefused, fsm.CodeKeylessRecord, fsm.CodeCorruptBatch, fsm.CodeUnsupportedFormat, fsm.CodeOverBudget, fsm.CodeUnparseable,
	fsm.CodePositionUnknown, fsm.CodeIdentityLost, fsm.CodeNotEmpty, fsm.CodeSourceDeleted, fsm.CodeTargetDeleted,
}

func ordered(t testing.TB, code fsm.Code, o fsm.Order) string {
	at := []int{1, 0, 0, 0}
	switch code {
	case fsm.CodeNotEmpty:
		at[0] = 0
	case fsm.CodePositionUnknown:
		at[0] = 2
	}
	s := stock("", at)
	s.Task.Stop, s.Task.Order = &fsm.Stop{Code: code, From: 10, To: 12}, o
	if o == fsm.OrderRecopy {
		s.Log, s.Waited = &TargetLog{High: 10, Observed: Observed{LogStart: 10, LogEnd: 10}}, true
	}
	path, step := decide(t, s, at)
	c, ok := step.(Commit)
	if !ok {
		return describe(step)
	}
	what := fmt.Sprintf("source %d at target %d", c.Progress.Source, c.Progress.Target)
	if s.Task.Mapping != nil && c.Mapping.Generation > s.Task.Mapping.Generation {
		what += ", a new generation"
	}
	if c.Mapping.Phase == fsm.PhaseTranslated {
		what += ", translated"
	}
	if slices.Contains(path, NeedOldRequests.String()) {
		what = "waits for old requests; " + what
	}
	return what
}

func TestTableIsCurrent(t *testing.T) {
	got := table(t)
	if *update {
		if err := os.WriteFile(tablePath, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(tablePath)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what the code decides; if the change is meant: go test ./replication/recovery -update", tablePath)
	}
}

// TestWhatIsShownIsAState: a stream that waits or is stopped shows a code that is
// counted among the states.
func TestWhatIsShownIsAState(t *testing.T) {
	for _, name := range faults() {
		for _, at := range combinations() {
			code := fsm.CodeStarting
			switch _, step := decide(t, stock(name, at), at); step := step.(type) {
			case Wait:
				code = step.Code
			case Halt:
				code = step.Fault.Code
			}
			if code != "its-code" && !slices.Contains(reason.States(), code) { // that of the row's fault
				t.Errorf("%s %v: it shows %q, which only events tell", name, at, code)
			}
		}
	}
}

// TestFailedGatherIsNeverAnAnswer: whatever is gathered fails, and the stream waits or begins
// anew with that fault; it never goes on as if it knew.
func TestFailedGatherIsNeverAnAnswer(t *testing.T) {
	for _, name := range faults() {
		for _, at := range combinations() {
			s := stock(name, at)
			for range 20 {
				g, ok := Next(s).(Gather)
				if !ok {
					break
				}
				failed := s
				f := Faulty(Retry, fsm.CodeUnreachable, "no answer")
				failed.Failed = &f
				switch step := Next(failed).(type) {
				case Wait, Restart:
				default:
					t.Errorf("%s %v: %s could not be answered, and then: %s", name, at, g.What, describe(step))
				}
				answer(&s, g, at)
			}
		}
	}
}

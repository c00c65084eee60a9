package linear

import (
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// checkWithin bounds how long an order that explains a history is looked for;
// it takes a second or two.
const checkWithin = 5 * time.Minute

// History is what clients asked and were told.
type History struct {
	mu       sync.Mutex
	all      []porcupine.Operation
	open     []int // of unknown outcome: places in all
	versions map[version]look
	faults   []string
	counts   map[outcome]int // of acts
	longest  time.Duration
}

// version is a link at a revision, which is the same in every answer.
type version struct {
	link     string
	revision uint64
}

// NewHistory returns an empty one.
func NewHistory() *History {
	return &History{versions: map[version]look{}, counts: map[outcome]int{}}
}

// fault notes something that must not be, whatever the order.
func (h *History) fault(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, fmt.Sprintf(format, args...))
}

// add notes one answer.
func (h *History) add(client int, q question, a answer, call, end time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := porcupine.Operation{ClientId: client, Input: q, Output: a, Call: call.UnixNano(), Return: end.UnixNano()}
	if a.outcome == unknown {
		o.Return = math.MaxInt64
		h.open = append(h.open, len(h.all))
	}
	h.all = append(h.all, o)
	if q.what != read {
		h.counts[a.outcome]++
		h.longest = max(h.longest, end.Sub(call))
	}
}

// same checks that a link looks the same at a revision wherever it is asked for.
func (h *History) same(name string, l look) {
	if l.revision == 0 || l.limit == "?" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	at := version{name, l.revision}
	if old, ok := h.versions[at]; ok && old != l {
		h.faults = append(h.faults, fmt.Sprintf("link %s at revision %d: %+v and %+v", name, l.revision, old, l))
	}
	h.versions[at] = l
}

// Settled says that nothing is under way any more: what is of unknown outcome
// was made before now, or never will be.
func (h *History) Settled(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, i := range h.open {
		h.all[i].Return = now.UnixNano()
	}
	h.open = nil
}

// Check fails the test where no order explains the history. It takes the time
// of the machine: call it outside of a bubble.
func (h *History) Check(t testing.TB) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	acts := 0
	for _, n := range h.counts {
		acts += n
	}
	t.Logf("%d requests, %d acts: %d made, %d refused for what holds, %d refused, %d unknown; longest %v", len(h.all), acts, h.counts[done],
		h.counts[absent]+h.counts[leaving]+h.counts[stale], h.counts[refused], h.counts[unknown], h.longest)
	for _, text := range h.faults {
		t.Error(text)
	}
	if h.counts[done] < acts/4 {
		t.Errorf("%d of %d acts were made: that shows little", h.counts[done], acts)
	}
	m := model()
	for _, part := range byLink(h.all) {
		result, info := porcupine.CheckOperationsVerbose(m, part, checkWithin)
		if result == porcupine.Ok {
			continue
		}
		t.Errorf("link %s: %s: no order of %d requests explains all answers\n%s", part[0].Input.(question).link, result, len(part), around(part, info))
		if dir := os.Getenv("LINEAR_OUT"); dir != "" {
			if f, err := os.CreateTemp(dir, "history-*.html"); err == nil {
				_ = porcupine.Visualize(m, info, f)
				_ = f.Close()
			}
		}
	}
}

// around shows what is next to the first answer that no order reaches.
func around(part []porcupine.Operation, info porcupine.LinearizationInfo) string {
	reached := 0
	for _, partial := range info.PartialLinearizationsOperations()[0] {
		reached = max(reached, len(partial))
	}
	best := map[string]bool{}
	for _, partial := range info.PartialLinearizationsOperations()[0] {
		if len(partial) == reached {
			for _, o := range partial {
				best[line(o)] = true
			}
			break
		}
	}
	stuck := int64(math.MaxInt64)
	for _, o := range part {
		if !best[line(o)] {
			stuck = min(stuck, o.Return)
		}
	}
	var b strings.Builder
	const span = int64(8 * time.Second)
	for _, o := range part {
		if o.Call < stuck && o.Return > stuck-span {
			mark := " "
			if !best[line(o)] {
				mark = "!"
			}
			fmt.Fprintln(&b, mark, line(o))
		}
	}
	return b.String()
}

func line(o porcupine.Operation) string {
	end := "open"
	if o.Return != math.MaxInt64 {
		end = fmt.Sprintf("%.3f", float64(o.Return%1e12)/1e9)
	}
	return fmt.Sprintf("%.3f - %s client %d: %v: %v", float64(o.Call%1e12)/1e9, end, o.ClientId, o.Input, o.Output)
}

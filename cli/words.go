package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"sluice/api"
	"sluice/fsm"
	"sluice/fsm/reason"
)

// age words a duration in one unit, the way that people compare them.
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	case d < 2*time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + "d"
}

// millis is an age in milliseconds that may be unknown.
func millis(ms *int64) cell {
	if ms == nil {
		return c("-")
	}
	return cell{text: age(time.Duration(*ms) * time.Millisecond), raw: strconv.FormatInt(*ms, 10)}
}

func seconds(s *float64) cell {
	if s == nil {
		return c("-")
	}
	return cell{text: age(time.Duration(*s * float64(time.Second))), raw: strconv.FormatFloat(*s, 'f', 3, 64)}
}

// moment is a time in UTC with its age beside.
func moment(t time.Time, now time.Time) cell {
	if t.IsZero() {
		return c("-")
	}
	return cell{
		text: t.UTC().Format("2006-01-02 15:04:05Z") + " (" + age(now.Sub(t)) + ")",
		raw:  t.UTC().Format("2006-01-02T15:04:05.000Z"),
	}
}

// count words a number so that six digits are enough.
func count(n int64) string {
	switch {
	case n < 1_000_000:
		return strconv.FormatInt(n, 10)
	case n < 100_000_000:
		return scaled(float64(n)/1e6, "M")
	case n < 100_000_000_000:
		return scaled(float64(n)/1e9, "G")
	}
	return scaled(float64(n)/1e12, "T")
}

func scaled(f float64, unit string) string {
	digits := 2
	if f >= 10 {
		digits = 1
	}
	return strconv.FormatFloat(f, 'f', digits, 64) + unit
}

func number(n int64) cell { return cell{text: count(n), raw: strconv.FormatInt(n, 10)} }

func optional(n *int64) cell {
	if n == nil {
		return c("-")
	}
	return number(*n)
}

func rate(bytesPerSecond *float64) cell {
	if bytesPerSecond == nil {
		return c("-")
	}
	text := "0"
	switch b := *bytesPerSecond; {
	case b >= 1e9:
		text = scaled(b/1e9, "GB/s")
	case b >= 1e6:
		text = scaled(b/1e6, "MB/s")
	case b >= 1e3:
		text = scaled(b/1e3, "kB/s")
	case b >= 1:
		text = fmt.Sprintf("%.0fB/s", b)
	}
	return cell{text: text, raw: strconv.FormatFloat(*bytesPerSecond, 'f', 0, 64)}
}

// colored colours a reason code by how bad it is.
func colored(code fsm.Code) cell {
	x := cell{text: string(code), color: red}
	switch reason.SeverityOf(code) {
	case reason.Good:
		x.color = green
	case reason.Told:
		x.color = dim
	case reason.Working, reason.Waiting:
		x.color = yellow
	case reason.Stopped:
	}
	return x
}

// stream names a task in one word.
func stream(t api.Task) string {
	if t.Topic == "" {
		return "(" + t.Kind + ")"
	}
	return fmt.Sprintf("%s/%d", t.Topic, t.Partition)
}

// offsets words a range, "5-9" inclusive.
func offsets(from, to *int64) string {
	switch {
	case from == nil || to == nil:
		return "-"
	case *to <= *from+1:
		return strconv.FormatInt(*from, 10)
	}
	return fmt.Sprintf("%d-%d", *from, *to-1)
}

// freshness says on which facts an answer rests.
func freshness(m api.Meta) string {
	if m.AgeMillis == nil {
		return fmt.Sprintf("index %d of %s, never confirmed", m.Index, m.Node)
	}
	return fmt.Sprintf("index %d of %s, %s old", m.Index, m.Node, millis(m.AgeMillis).text)
}

// unconfirmed names the nodes that may still do what a link must not do any
// more.
func unconfirmed(link, state string, nodes []string) string {
	return fmt.Sprintf("link %s is %s; %s not confirmed", link, being(state), strings.Join(nodes, ", "))
}

// being words a state after "is".
func being(state string) string {
	if state == "deleting" {
		return "being deleted"
	}
	return state
}

// advise says who can do what about a reason code of a link.
func advise(w io.Writer, link string, r reason.Row) {
	advice := strings.NewReplacer("LINK", link, "`", "").Replace(r.Advice)
	for _, l := range wrap(fmt.Sprintf("%s: %s", r.Acts, advice), 78) {
		fmt.Fprintln(w, "  "+l)
	}
}

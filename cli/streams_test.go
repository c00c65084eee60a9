package cli

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/fsm"
)

func plainStyle() style {
	return style{headers: true, paint: func(_ color, s string) string { return s }}
}

// TestTablesFit: whatever the names are, no line is wider than 80 columns, and
// nothing but flexible columns is cut.
func TestTablesFit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		word := rapid.StringMatching(`[a-zä-ü0-9._-]{1,90}`)
		tab := &table{cols: []column{
			{key: "a", head: "NAME", flex: true}, {key: "b", head: "STATE"}, {key: "n", head: "N", right: true}, {key: "m", head: "MESSAGE", flex: true, wrap: true},
		}}
		state := "not-enough-replicas"
		for range rapid.IntRange(1, 4).Draw(rt, "rows") {
			message := strings.Join(rapid.SliceOfN(word, 0, 12).Draw(rt, "message"), " ")
			tab.add(c(word.Draw(rt, "name")), c(state), c("1234567"), c(message))
		}
		var b strings.Builder
		tab.text(&b, plainStyle())
		for line := range strings.Lines(b.String()) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > textWidth {
				rt.Fatalf("%d columns: %s", n, line)
			}
		}
		if !strings.Contains(b.String(), state) || !strings.Contains(b.String(), "1234567") {
			rt.Fatalf("a fixed column was cut:\n%s", b.String())
		}
	})
}

func TestWrapKeepsEveryWord(t *testing.T) {
	text := "records 5 to 8 are gone from the source"
	got := wrap(text, 12)
	if strings.Join(got, " ") != text {
		t.Errorf("%q", got)
	}
	for _, line := range got {
		if len(line) > 12 {
			t.Errorf("%q", line)
		}
	}
}

func TestTSVIsOneLineARow(t *testing.T) {
	tab := &table{cols: []column{{key: "a"}, {key: "b"}}}
	tab.add(c("x\ty\nz"), cell{text: "1.5k", raw: "1536"})
	if got := tab.tsv(true); got != "a\tb\nx y z\t1536\n" {
		t.Errorf("%q", got)
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0s", 1500 * time.Millisecond: "1.5s", 70 * time.Second: "70s", 90 * time.Minute: "90m", 30 * time.Hour: "30h", 72 * time.Hour: "3d", -time.Second: "0s",
	} {
		if got := age(d); got != want {
			t.Errorf("%v: %s, not %s", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999_999: "999999", 1_234_567: "1.23M", 12_345_678: "12.3M", 5_000_000_000: "5.00G", 2_500_000_000_000: "2.50T"} {
		if got := count(n); got != want {
			t.Errorf("%d: %s, not %s", n, got, want)
		}
	}
	for r, want := range map[[2]int64]string{{5, 9}: "5-8", {5, 6}: "5"} {
		if got := offsets(&r[0], &r[1]); got != want {
			t.Errorf("offsets %s, not %s", got, want)
		}
	}
	for b, want := range map[float64]string{0: "0", 0.4: "0", 12: "12B/s", 4096: "4.10kB/s", 25e6: "25.0MB/s", 1.5e9: "1.50GB/s"} {
		if got := rate(&b).text; got != want {
			t.Errorf("%v: %s, not %s", b, got, want)
		}
	}
	for s, want := range map[float64]string{59: "59s", 3 * 3600: "3h 0m", 30 * 3600: "30h 0m", 75 * 3600: "3d 3h"} {
		if got := duration(s); got != want {
			t.Errorf("%v: %s, not %s", s, got, want)
		}
	}
	if colored("something-new").color != red || colored(fsm.CodeIdle).color != green {
		t.Error("colours")
	}
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	if got, err := parseSince("2d", now); err != nil || got.Day() != 29 {
		t.Errorf("%v %v", got, err)
	}
}

// TestStderrGoesByItself: what is written there depends on where it goes, not
// on where the data goes.
func TestStderrGoesByItself(t *testing.T) {
	for _, watched := range []bool{false, true} {
		var out bytes.Buffer
		a := &app{std: streams{Env: Env{Stderr: &out, Terminal: !watched, Watched: watched, Getenv: func(string) string { return "" }}, color: "auto"}, started: true}
		a.finish(rootCmd(a), errors.New("broken"))
		p := a.std.progress()
		p.say("one")
		p.say("two")
		p.end()
		if got := strings.Contains(out.String(), "\x1b["); got != watched {
			t.Errorf("stderr is a terminal: %v, and gets %q", watched, out.String())
		}
		if got := strings.Contains(out.String(), "one\ntwo\n"); got == watched {
			t.Errorf("stderr is a terminal: %v, and gets %q", watched, out.String())
		}
	}
}

// TestNullIsNoTerminal: nobody can be asked there.
func TestNullIsNoTerminal(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if isTerminal(f) {
		t.Error(os.DevNull + " is taken for a terminal")
	}
}

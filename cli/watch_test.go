package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/fsm"
)

// onTerminal is a person before a screen.
func onTerminal(address string, columns, rows int) *person {
	s := newPerson(address)
	s.env.Terminal, s.env.Size = true, func() (int, int) { return columns, rows }
	return s
}

// screenOf is what the last picture shows.
func screenOf(out string) []string {
	out = out[strings.LastIndex(out, "\x1b[H")+3:]
	out, _, _ = strings.Cut(out, "\x1b[J")
	return strings.Split(strings.ReplaceAll(out, "\x1b[K", ""), "\n")
}

// TestWatchDrawsInPlace: a terminal shows one picture, no higher and no wider
// than itself, and what was there before when it ends.
func TestWatchDrawsInPlace(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(40)
	f.Report(fsm.CodePositionLost, 7)
	srv, _ := f.Serve(nil)
	for _, c := range []struct{ columns, rows int }{{80, 24}, {40, 10}, {200, 60}, {80, 2}, {0, 0}} {
		ctx, stop := context.WithCancel(t.Context())
		s := onTerminal(srv.URL, c.columns, c.rows)
		s.out.steps = []step{{"\x1b[J", stop}}
		if code := s.run(ctx, t, "status", "--watch", "--tasks", "-1", "--color", "always"); code != exitGood {
			t.Errorf("code %d: %s", code, &s.err)
		}
		out := s.out.String()
		if !strings.HasPrefix(out, "\x1b[?1049h\x1b[?25l\x1b[H") || !strings.HasSuffix(out, "\x1b[J\x1b[?25h\x1b[?1049l") {
			t.Errorf("%q", out)
		}
		columns, rows := c.columns, c.rows
		if rows == 0 {
			columns, rows = 80, 24
		}
		lines := screenOf(out)
		if len(lines) > rows || plainLen(lines[len(lines)-1]) != len("q leaves") {
			t.Errorf("%d rows for %d:\n%s", len(lines), rows, strings.Join(lines, "\n"))
		}
		for _, line := range lines {
			if n := plainLen(line); n > columns {
				t.Errorf("%d columns for %d: %s", n, columns, line)
			}
		}
		if text := strings.Join(lines, "\n"); rows == 24 && (!strings.Contains(text, "more tasks") || !strings.Contains(text, "EVENT") || !strings.Contains(text, "us-eu")) {
			t.Errorf("%d rows:\n%s", rows, text)
		}
	}
}

// TestEveryPartOfThePictureStays: what is long gives way, the lowest first.
func TestEveryPartOfThePictureStays(t *testing.T) {
	s := &api.Status{TaskCount: 900}
	for i := range 300 {
		s.Problems = append(s.Problems, fmt.Sprintf("problem %d", i))
		s.Nodes = append(s.Nodes, api.Node{Name: fmt.Sprintf("n%d", i)})
		s.Links = append(s.Links, api.Link{Name: fmt.Sprintf("l%d", i)})
		s.Tasks = append(s.Tasks, api.Task{Link: fmt.Sprintf("l%d", i)})
		s.Events = append(s.Events, api.Event{Message: strings.Repeat("word ", 40)})
	}
	for most := 22; most < 60; most++ {
		lines := statusLines(plainStyle(), s, most)
		text := strings.Join(lines, "\n")
		if len(lines) > most {
			t.Fatalf("%d lines, %d fit:\n%s", len(lines), most, text)
		}
		for _, want := range []string{"! problem 0", "more problems", "n0", "more nodes", "l0", "more links", "more tasks", "more events"} {
			if !strings.Contains(text, want) {
				t.Fatalf("%d lines without %q:\n%s", most, want, text)
			}
		}
	}
	if few := statusLines(plainStyle(), &api.Status{Problems: []string{"one"}}, 24); len(few) != 2 || few[1] != "! one" {
		t.Errorf("%q", few)
	}
}

// TestQLeavesTheWatch, other keys do not, and the terminal is as it was.
func TestQLeavesTheWatch(t *testing.T) {
	f := apitest.New(t)
	srv, _ := f.Serve(nil)
	keys, pressed := io.Pipe()
	s := onTerminal(srv.URL, 80, 24)
	restored := 0
	s.env.Interactive, s.env.Stdin = true, keys
	s.env.Keys = func() (func(), error) { return func() { restored++ }, nil }
	s.out.steps = []step{
		{"\x1b[J", func() { go func() { _, _ = pressed.Write([]byte("xz\n")) }() }},
		{"\x1b[J", func() { go func() { _, _ = pressed.Write([]byte("q")) }() }},
	}
	began := time.Now()
	if code := s.run(t.Context(), t, "status", "--watch", "--every", "1ms"); code != exitGood || restored != 1 || time.Since(began) > 30*time.Second {
		t.Errorf("code %d, restored %d times: %s", code, restored, &s.err)
	}
}

// TestWatchSaysWhyThereIsNoAnswer in the width of the screen.
func TestWatchSaysWhyThereIsNoAnswer(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	s := onTerminal("127.0.0.1:1", 30, 24)
	s.out.steps = []step{{"\x1b[J", stop}}
	if code := s.run(ctx, t, "status", "--watch"); code != exitGood {
		t.Errorf("code %d: %s", code, &s.err)
	}
	if text := strings.Join(screenOf(s.out.String()), " "); !strings.HasPrefix(text, "no answer: 127.0.0.1:1 refuses connections") {
		t.Errorf("%s", text)
	}
}

func TestPaintedLinesAreCut(t *testing.T) {
	for in, want := range map[string]string{
		"abcde":                 "abcde",
		"abcdefg":               "abcd…\x1b[0m",
		"abcd":                  "abcd",
		"\x1b[31mabc\x1b[0md":   "\x1b[31mabc\x1b[0md",
		"\x1b[31mabcdef\x1b[0m": "\x1b[31mabcd…\x1b[0m",
		"":                      "",
	} {
		if got := cutPainted(in, 5); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

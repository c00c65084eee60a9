package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml"

	"sluice/api"
)

// Env is what a command line runs in.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Terminal       bool                       // Stdout is one
	Watched        bool                       // Stderr is one
	Size           func() (columns, rows int) // of the terminal, now; 0: unknown
	Interactive    bool                       // Stdin is one: a person can be asked
	// Keys makes Stdin give each key as it is pressed, until restore.
	Keys func() (restore func(), err error)
}

// OSEnv is the environment of this process.
func OSEnv() Env {
	return Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
		Terminal: terminal(os.Stdout), Watched: terminal(os.Stderr), Interactive: terminal(os.Stdin), Size: func() (columns, rows int) { return size(os.Stdout) },
		Keys: func() (restore func(), err error) { return singleKeys(os.Stdin) },
	}
}

func terminal(f *os.File) bool { return isTerminal(f) && os.Getenv("TERM") != "dumb" }

// streams are where a command line reads and writes, and in which form: data
// to stdout, all else to stderr.
type streams struct {
	Env
	format    string // text, wide, json, yaml, tsv
	color     string // auto, always, never
	noHeaders bool
	yes       bool
	quiet     bool
}

// write writes an answer as -o asks: data as JSON or YAML, text for a person,
// rows as a table of tab-separated values. A nil rows means that the answer
// has no such form, a nil text that a person reads the rows.
func (s *streams) write(data any, text func(io.Writer, style), rows *table) error {
	switch s.format {
	case "json", "yaml":
		b, err := json.MarshalIndent(data, "", "  ")
		if err == nil && s.format == "yaml" {
			b, err = yaml.JSONToYAML(b)
			b = []byte(strings.TrimRight(string(b), "\n"))
		}
		if err != nil {
			return fmt.Errorf("writing the answer: %w", err)
		}
		return s.put(string(b) + "\n")
	case "tsv":
		if rows == nil {
			return s.noTable()
		}
		return s.put(rows.tsv(!s.noHeaders))
	}
	if text == nil {
		text = rows.text
	}
	var b strings.Builder
	text(&b, s.style())
	return s.put(b.String())
}

// say writes an answer that is one line for a person, and no table.
func (s *streams) say(data any, format string, args ...any) error {
	return s.write(data, func(w io.Writer, _ style) { fmt.Fprintf(w, format+"\n", args...) }, nil)
}

// noTable refuses -o tsv. A verb that changes something asks before it does.
func (s *streams) noTable() error {
	if s.format == "tsv" {
		return &usageError{errors.New("this answer is no table; choose -o json")}
	}
	return nil
}

func (s *streams) put(text string) error {
	if _, err := io.WriteString(s.Stdout, text); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

func (s *streams) style() style {
	return style{wide: s.format == "wide", headers: !s.noHeaders, paint: s.painter(s.Terminal)}
}

// painter colours text where a terminal shows it.
func (s *streams) painter(terminal bool) func(color, string) string {
	on := s.color == "always" || s.color == "auto" && terminal && s.Getenv("NO_COLOR") == ""
	return func(c color, text string) string {
		if !on || c == plain || text == "" {
			return text
		}
		return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
	}
}

// note tells something on the side; it is not data.
func (s *streams) note(format string, args ...any) {
	if !s.quiet {
		fmt.Fprintf(s.Stderr, format+"\n", args...)
	}
}

// warn is note for what a person should not overlook.
func (s *streams) warn(what any) { s.note("%s %s", s.painter(s.Watched)(yellow, "warning:"), what) }

// problem writes what went wrong: a person's words, or with -o json the
// object that a script reads.
func (s *streams) problem(p *api.Problem) {
	if s.format == "json" {
		if p.Type == "" {
			p.Type, p.Title = "about:blank", "Error"
		}
		enc := json.NewEncoder(s.Stderr)
		enc.SetIndent("", "  ")
		_ = enc.Encode(p) // nobody is left to tell
		return
	}
	fmt.Fprintf(s.Stderr, "%s %s\n", s.painter(s.Watched)(red, "error:"), p.Detail)
	if p.Next != "" {
		fmt.Fprintf(s.Stderr, "       %s\n", p.Next)
	}
}

// confirm makes sure that a person wants what is about to happen.
func (s *streams) confirm(format string, args ...any) error {
	if s.yes {
		return nil
	}
	what := fmt.Sprintf(format, args...)
	if !s.Interactive {
		return &usageError{fmt.Errorf("%s; nobody can be asked here: give --yes to do it, or --dry-run to look", what)}
	}
	fmt.Fprintf(s.Stderr, "%s\nGo on? [y/N] ", what)
	answer, err := bufio.NewReader(s.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer: %w; nothing was changed", err)
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("not confirmed; nothing was changed")
	}
	return nil
}

// progress is one line on stderr that long work keeps current. Where stderr
// is not watched on a terminal, each new text is a line of its own.
type progress struct {
	std  *streams
	last string // the line that is shown
}

func (s *streams) progress() *progress { return &progress{std: s} }

func (p *progress) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if p.std.quiet || text == p.last {
		return
	}
	p.last = text
	if p.std.Watched {
		fmt.Fprintf(p.std.Stderr, "\r\x1b[K%s", text)
	} else {
		fmt.Fprintln(p.std.Stderr, text)
	}
}

// end takes the line away; it may be called often.
func (p *progress) end() {
	if p.last != "" && p.std.Watched {
		fmt.Fprint(p.std.Stderr, "\r\x1b[K")
	}
	p.last = ""
}

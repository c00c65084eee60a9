package data

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"sluice/words"
)

// ParseError names the place in a file that cannot be read.
type ParseError struct {
	File  string
	Line  int    // from 1; 0: the file as a whole
	Field string // the column's name; empty: the line as a whole
	Err   error
}

// Error returns "file:line: field: what".
func (e *ParseError) Error() string {
	s := e.File
	if e.Line > 0 {
		s += ":" + strconv.Itoa(e.Line)
	}
	if e.Field != "" {
		s += ": " + e.Field
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *ParseError) Unwrap() error { return e.Err }

var errMissing = fmt.Errorf("missing")

// lines walks over the lines of a file that hold something; a line that
// begins with # is a comment.
type lines struct {
	file, rest, line string
	number           int
	columns          []string // names, for errors
}

func (l *lines) next() bool {
	if l.number == 0 {
		l.rest = strings.TrimPrefix(l.rest, "\ufeff") // as some editors begin files
	}
	for len(l.rest) > 0 {
		line, rest, _ := strings.Cut(l.rest, "\n")
		l.rest = rest
		l.number++
		line = strings.TrimSuffix(line, "\r")
		if line != "" && line[0] != '#' {
			l.line = line
			return true
		}
	}
	return false
}

// fields splits the line at commas into out; at least need of them.
func (l *lines) fields(out []string, need int) (int, error) {
	rest, n := l.line, 0
	for {
		if n == len(out) {
			return 0, l.fail("", fmt.Errorf("more than %d fields", len(out)))
		}
		i := strings.IndexByte(rest, ',')
		if i < 0 {
			out[n] = rest
			n++
			break
		}
		out[n] = rest[:i]
		n++
		rest = rest[i+1:]
	}
	if n < need {
		return 0, l.fail(l.columns[n], errMissing)
	}
	for i := n; i < len(out); i++ {
		out[i] = ""
	}
	return n, nil
}

func (l *lines) fail(field string, err error) error {
	return &ParseError{File: l.file, Line: l.number, Field: field, Err: err}
}

// ParseBrokers reads lines of
//
//	id,rack,disk MB,in KB/s,out KB/s,state[,log dirs]
//
// where log dirs are path or path:MB, separated by blanks. Brokers come back
// in ascending order of id. Errors are *ParseError.
func ParseBrokers(file string, data []byte) ([]Broker, error) {
	l := lines{file: file, rest: string(data),
		columns: []string{"id", "rack", "disk", "net-in", "net-out", "state", "logdirs"}}
	var brokers []Broker
	seen := make(map[int32]int)
	var f [7]string
	for l.next() {
		if _, err := l.fields(f[:], 6); err != nil {
			return nil, err
		}
		for i := range f {
			f[i] = strings.TrimSpace(f[i])
		}
		b, field, err := parseBroker(&f)
		if err != nil {
			return nil, l.fail(field, err)
		}
		if first, ok := seen[b.ID]; ok {
			return nil, l.fail("id", fmt.Errorf("broker %d stands on line %d already", b.ID, first))
		}
		seen[b.ID] = l.number
		brokers = append(brokers, b)
	}
	if len(brokers) == 0 {
		return nil, &ParseError{File: file, Err: fmt.Errorf("no brokers")}
	}
	m := Model{Brokers: brokers}
	m.Sort()
	return brokers, nil
}

func parseBroker(f *[7]string) (b Broker, field string, err error) {
	if b.ID, err = parseID(f[0]); err != nil {
		return b, "id", err
	}
	b.Rack = f[1]
	if b.Disk, err = parseFixed(f[2], 6); err != nil {
		return b, "disk", err
	}
	if b.NetIn, err = parseFixed(f[3], 3); err != nil {
		return b, "net-in", err
	}
	if b.NetOut, err = parseFixed(f[4], 3); err != nil {
		return b, "net-out", err
	}
	var ok bool
	if b.State, ok = ParseState(f[5]); !ok {
		return b, "state", fmt.Errorf("%q is none of %s", f[5], strings.Join(stateNames[:], ", "))
	}
	for word := range strings.FieldsSeq(f[6]) {
		d := LogDir{Path: word}
		if i := strings.LastIndexByte(word, ':'); i >= 0 {
			d.Path = word[:i]
			if d.Capacity, err = parseFixed(word[i+1:], 6); err != nil {
				return b, "logdirs", err
			}
		}
		if slices.ContainsFunc(b.Dirs, func(o LogDir) bool { return o.Path == d.Path }) {
			return b, "logdirs", fmt.Errorf("%q stands there twice", d.Path)
		}
		b.Dirs = append(b.Dirs, d)
	}
	return b, "", nil
}

// ParsePartitions reads lines of
//
//	topic,partition,replicas,size MB,in KB/s,out KB/s[,log dirs]
//
// where replicas are broker ids and log dirs their paths or "any" where one is
// not known, separated by blanks, leader first. Partitions come back ascending by topic and partition. Errors
// are *ParseError.
func ParsePartitions(file string, data []byte, brokers []Broker) ([]Partition, error) {
	p := partParser{brokers: brokers, ix: newBrokerIndex(brokers), l: lines{file: file, rest: string(data),
		columns: []string{"topic", "partition", "replicas", "size", "in", "out", "logdirs"}}}
	n := strings.Count(p.l.rest, "\n") + 1
	p.arena = make([]int32, 0, 3*n)
	parts := make([]Partition, 0, n)
	for p.l.next() {
		part, field, err := p.parse()
		if err != nil {
			return nil, p.l.fail(field, err)
		}
		parts = append(parts, part)
	}
	m := Model{Partitions: parts}
	m.Sort()
	for i := 1; i < len(parts); i++ {
		if comparePartitions(parts[i-1], parts[i]) == 0 {
			return nil, twice(file, data, &parts[i])
		}
	}
	return parts, nil
}

// twice finds the lines on which a partition stands. It is for errors only:
// remembering every line would cost more than all of the parsing.
func twice(file string, data []byte, p *Partition) error {
	l := lines{file: file, rest: string(data)}
	first := 0
	for l.next() {
		f := strings.SplitN(l.line, ",", 3)
		if id, err := parseID(f[1]); err != nil || f[0] != p.Topic || id != p.ID {
			continue
		}
		if first > 0 {
			return l.fail("partition", fmt.Errorf("%s stands on line %d already", p.Name(), first))
		}
		first = l.number
	}
	return nil
}

type partParser struct {
	l       lines
	brokers []Broker
	ix      brokerIndex
	arena   []int32
	topic   string
}

func (r *partParser) parse() (p Partition, field string, err error) {
	var f [7]string
	n, err := r.l.fields(f[:], 6)
	if err != nil {
		pe, _ := errors.AsType[*ParseError](err) // fields gives no other
		return p, pe.Field, pe.Err
	}
	if f[0] == "" {
		return p, "topic", errMissing
	}
	if f[0] != r.topic {
		r.topic = f[0]
	}
	p.Topic = r.topic
	if p.ID, err = parseID(f[1]); err != nil {
		return p, "partition", err
	}
	if p.Replicas, err = r.replicas(f[2]); err != nil {
		return p, "replicas", err
	}
	if p.Size, err = parseFixed(f[3], 6); err != nil {
		return p, "size", err
	}
	if p.In, err = parseFixed(f[4], 3); err != nil {
		return p, "in", err
	}
	if p.Out, err = parseFixed(f[5], 3); err != nil {
		return p, "out", err
	}
	if n == 7 && f[6] != "" {
		if p.Dirs, err = r.dirs(f[6], p.Replicas); err != nil {
			return p, "logdirs", err
		}
	}
	return p, "", nil
}

func (r *partParser) replicas(s string) ([]int32, error) {
	start := len(r.arena)
	for len(s) > 0 {
		if s[0] == ' ' {
			s = s[1:]
			continue
		}
		word := s
		if i := strings.IndexByte(s, ' '); i >= 0 {
			word = s[:i]
		}
		s = s[len(word):]
		id, err := parseID(word)
		if err != nil {
			return nil, err
		}
		if r.ix.of(id) < 0 {
			return nil, fmt.Errorf("broker %d is not in the brokers file", id)
		}
		if slices.Contains(r.arena[start:], id) {
			return nil, fmt.Errorf("broker %d twice", id)
		}
		r.arena = append(r.arena, id)
	}
	if len(r.arena) == start {
		return nil, errMissing
	}
	return r.arena[start:len(r.arena):len(r.arena)], nil
}

func (r *partParser) dirs(s string, replicas []int32) ([]int16, error) {
	names := strings.Fields(s)
	if len(names) != len(replicas) {
		return nil, fmt.Errorf("%s for %s", words.Count(len(names), "log dir"), words.Count(len(replicas), "replica"))
	}
	dirs := make([]int16, len(names))
	for k, w := range names {
		b := &r.brokers[r.ix.of(replicas[k])]
		if w == anyDir {
			dirs[k] = -1
			continue
		}
		d := slices.IndexFunc(b.Dirs, func(d LogDir) bool { return d.Path == w })
		if d < 0 {
			return nil, fmt.Errorf("broker %d has no log dir %q", b.ID, w)
		}
		dirs[k] = int16(d)
	}
	return dirs, nil
}

func parseID(s string) (int32, error) {
	if s == "" {
		return 0, errMissing
	}
	var v int64
	for i := range len(s) {
		c := s[i] - '0'
		if v = v*10 + int64(c); c > 9 || v > math.MaxInt32 {
			return 0, fmt.Errorf("%q is not a number from 0 to %d", s, math.MaxInt32)
		}
	}
	return int32(v), nil
}

// parseFixed reads a decimal number as a count of 10^-digits, rounding half up.
func parseFixed(s string, digits int) (int64, error) {
	if s == "" {
		return 0, errMissing
	}
	var v int64
	point, i := -1, 0
	for ; i < len(s); i++ {
		if s[i] == '.' && point < 0 && len(s) > 1 {
			point = i
			continue
		}
		c := s[i] - '0'
		if c > 9 {
			return 0, fmt.Errorf("%q is not a decimal number such as 1500 or 0.25", s)
		}
		if v > math.MaxInt64/100 {
			return 0, fmt.Errorf("%q is too large", s)
		}
		if point >= 0 && i-point > digits {
			if i-point == digits+1 && c >= 5 {
				v++
			}
			continue
		}
		v = v*10 + int64(c)
	}
	have := 0
	if point >= 0 {
		have = min(len(s)-1-point, digits)
	}
	for ; have < digits; have++ {
		if v > math.MaxInt64/100 {
			return 0, fmt.Errorf("%q is too large", s)
		}
		v *= 10
	}
	return v, nil
}

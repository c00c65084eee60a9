package data

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// ErrBroken is what every finding of Check wraps.
var ErrBroken = errors.New("proposal breaks a rule")

// checker replays a proposal on its own figures: it shares no state with the
// planner, only the definitions of shares, caps and bounds.
type checker struct {
	m     *Model
	o     Options
	p     *Proposal
	ix    brokerIndex
	rules *layout // the model's racks and caps
}

// Check reports the first hard rule that the proposal breaks and the first
// figure in it that is not true; nil if there is none. The errors wrap
// ErrBroken. A rule that was broken before may stay broken only if the
// proposal says so, and never gets worse.
func Check(m *Model, o Options, p *Proposal) error {
	c := &checker{m: m, o: o, p: p, ix: newBrokerIndex(m.Brokers), rules: newLayout(m)}
	for _, step := range []func() error{c.changes, c.stages, c.logDirs, c.end, c.figures, c.claims} {
		if err := step(); err != nil {
			return fmt.Errorf("%w: %w", ErrBroken, err)
		}
	}
	return nil
}

// changes checks every change by itself.
func (c *checker) changes() error {
	last := -1
	for i := range c.p.Changes {
		ch := &c.p.Changes[i]
		if ch.Partition <= last || ch.Partition >= len(c.m.Partitions) {
			return fmt.Errorf("change %d: partitions out of order", i)
		}
		last = ch.Partition
		part := &c.m.Partitions[ch.Partition]
		if err := c.change(ch, part); err != nil {
			return fmt.Errorf("%s: %w", part.Name(), err)
		}
	}
	return nil
}

func (c *checker) change(ch *Change, part *Partition) error {
	if ch.Topic != part.Topic || ch.ID != part.ID || !slices.Equal(ch.From, part.Replicas) {
		return fmt.Errorf("the original list is not the model's")
	}
	if !slices.Equal(ch.FromDirs, part.Dirs) {
		return fmt.Errorf("the original log dirs are not the model's")
	}
	if part.Hold == Excluded {
		return fmt.Errorf("is excluded")
	}
	if !c.readable(part.Replicas) {
		return fmt.Errorf("has no living copy to read from")
	}
	if err := c.list(part, ch.To); err != nil {
		return err
	}
	return c.dirs(part, ch.To, ch.ToDirs)
}

// dirs checks the log dirs that go with a list of replicas.
func (c *checker) dirs(part *Partition, to []int32, dirs []int16) error {
	if len(dirs) != len(part.Dirs) {
		return fmt.Errorf("log dirs do not fit its replicas")
	}
	for k, dir := range dirs {
		if b := &c.m.Brokers[c.ix.of(to[k])]; dir < -1 || int(dir) >= len(b.Dirs) {
			return fmt.Errorf("broker %d has no log dir %d", b.ID, dir)
		}
	}
	return nil
}

// list checks a list of replicas that the proposal asks for.
func (c *checker) list(part *Partition, to []int32) error {
	if len(to) != len(part.Replicas) {
		return fmt.Errorf("%d replicas become %d", len(part.Replicas), len(to))
	}
	if part.Hold == Pinned && !sameSet(part.Replicas, to) {
		return fmt.Errorf("is pinned")
	}
	for k, id := range to {
		b := c.ix.of(id)
		if b < 0 || slices.Contains(to[:k], id) {
			return fmt.Errorf("broker %d is unknown or stands there twice", id)
		}
		if !slices.Contains(part.Replicas, id) && !c.m.Brokers[b].State.gains() {
			return fmt.Errorf("broker %d is %s and may take nothing", id, c.m.Brokers[b].State)
		}
	}
	for _, id := range to {
		rack := c.rackOf(id)
		limit := max(int(c.rules.caps[len(to)]), c.copies(part.Replicas, rack))
		if n := c.copies(to, rack); n > limit {
			return fmt.Errorf("%d copies in one rack, %d allowed", n, limit)
		}
	}
	return nil
}

func (c *checker) rackOf(id int32) int32 { return c.rules.rackOf[c.ix.of(id)] }

// copies counts the brokers of a list that stand in a rack.
func (c *checker) copies(list []int32, rack int32) int {
	n := 0
	for _, id := range list {
		if c.rackOf(id) == rack {
			n++
		}
	}
	return n
}

// stages checks that the steps are legal on the way and lead to the changes.
func (c *checker) stages() error {
	lists := make([][]int32, len(c.p.Changes))
	dirs, touched := make([][]int16, len(lists)), make([]bool, len(lists))
	for i := range lists {
		lists[i] = c.p.Changes[i].From
	}
	total := int64(0)
	for n, stage := range c.p.Stages {
		moved := int64(0)
		for _, step := range stage.Steps {
			bytes, err := c.step(step, lists)
			if err != nil {
				return fmt.Errorf("stage %d: %w", n+1, err)
			}
			moved += bytes
			lists[step.Change], dirs[step.Change], touched[step.Change] = step.To, step.Dirs, true
		}
		if moved != stage.Bytes {
			return fmt.Errorf("stage %d: claims %d bytes, moves %d", n+1, stage.Bytes, moved)
		}
		total += moved
	}
	for i := range lists {
		if ch := &c.p.Changes[i]; !touched[i] || !slices.Equal(lists[i], ch.To) || !slices.Equal(dirs[i], ch.ToDirs) {
			return fmt.Errorf("%s: the stages end at %v %v, not %v %v", c.m.Partitions[ch.Partition].Name(), lists[i], dirs[i], ch.To, ch.ToDirs)
		}
	}
	if total != c.p.Bytes {
		return fmt.Errorf("claims %d bytes, moves %d", c.p.Bytes, total)
	}
	if c.o.MaxBytes > 0 && total > c.o.MaxBytes {
		return fmt.Errorf("moves %d bytes, at most %d allowed", total, c.o.MaxBytes)
	}
	return nil
}

// step checks one step, given the lists of all changes before it, and returns
// the bytes that it moves.
func (c *checker) step(step Step, lists [][]int32) (int64, error) {
	if step.Change < 0 || step.Change >= len(lists) {
		return 0, fmt.Errorf("there is no change %d", step.Change)
	}
	part := &c.m.Partitions[c.p.Changes[step.Change].Partition]
	if err := c.list(part, step.To); err != nil {
		return 0, fmt.Errorf("%s: %w", part.Name(), err)
	}
	if err := c.dirs(part, step.To, step.Dirs); err != nil {
		return 0, fmt.Errorf("%s: %w", part.Name(), err)
	}
	if !c.readable(step.To) {
		return 0, fmt.Errorf("%s: no living copy is left", part.Name())
	}
	bytes := int64(0)
	for _, id := range step.To {
		if !slices.Contains(lists[step.Change], id) {
			bytes += part.Size
		}
	}
	return bytes, nil
}

// logDirs checks what log dirs hold on the way.
func (c *checker) logDirs() error { return replayDirs(c.m, c.o, c.p) }

// readable reports whether one of the brokers is alive.
func (c *checker) readable(list []int32) bool {
	return slices.ContainsFunc(list, func(id int32) bool { return c.m.Brokers[c.ix.of(id)].State != Dead })
}

// end checks the hard rules where the proposal ends: what still breaks one
// must be said.
func (c *checker) end() error {
	after := newLayout(c.p.Apply(c.m))
	said := func(code string) bool {
		return slices.ContainsFunc(c.p.Unmet, func(u Unmet) bool { return u.Code == code && u.Hard })
	}
	t := after.targets(c.o)
	for b := range after.load {
		x, id := float64(after.load[b].bytes), c.m.Brokers[b].ID
		if after.leaves(int32(b)) || x <= t.limit[b] {
			continue
		}
		if after.load[b].bytes > c.rules.load[b].bytes || !said(CodeDiskLimit) {
			return fmt.Errorf("broker %d ends with %.0f bytes, %.0f allowed", id, x, t.limit[b])
		}
	}
	for r := range after.at {
		b, part := after.at[r], &c.m.Partitions[after.part[r]]
		if after.leaves(b) && !said(c.stays(part)) {
			return fmt.Errorf("broker %d should be empty and holds %s, which is not said as %s", c.m.Brokers[b].ID, part.Name(), c.stays(part))
		}
		if !after.leaves(b) && after.overCap(int32(r)) && !said(CodeRack) {
			return fmt.Errorf("%s has too many copies in one rack", part.Name())
		}
	}
	return nil
}

// stays is what must be said of a partition that stays on a broker that should
// be empty.
func (c *checker) stays(part *Partition) string {
	if !c.readable(part.Replicas) {
		return CodeNoSource
	}
	return CodeNoPlace
}

// figures checks the brokers' figures and peaks, and the counts of moves.
func (c *checker) figures() error {
	after := newLayout(c.p.Apply(c.m))
	peaks := replayPeaks(c.m, c.ix, c.p)
	if len(c.p.Brokers) != len(c.m.Brokers) {
		return fmt.Errorf("figures of %d brokers, not %d", len(c.p.Brokers), len(c.m.Brokers))
	}
	t, dirs := after.targets(c.o), dirLoads(after.m)
	for b, f := range c.p.Brokers {
		want := c.m.Brokers[b].figures(int64(t.disk[b]), c.rules.load[b], after.load[b], peaks[b], dirs[b])
		if f != want {
			return fmt.Errorf("broker %d: claims %+v, has %+v", f.ID, f, want)
		}
		if p := float64(f.Peak); p > t.limit[b] && f.Peak > f.Before.Bytes {
			return fmt.Errorf("broker %d: peak of %d bytes, %.0f allowed", f.ID, f.Peak, t.limit[b])
		}
	}
	if err := c.dirFigures(); err != nil {
		return err
	}
	moves, leaders := 0, 0
	for i := range c.p.Changes {
		ch := &c.p.Changes[i]
		for _, id := range ch.To {
			if !slices.Contains(ch.From, id) {
				moves++
			}
		}
		if ch.From[0] != ch.To[0] {
			leaders++
		}
	}
	if moves != c.p.Moves || leaders != c.p.LeaderChanges {
		return fmt.Errorf("claims %d moves and %d leader changes, has %d and %d", c.p.Moves, c.p.LeaderChanges, moves, leaders)
	}
	return nil
}

// claims checks the bound, the estimate and what is said to be unmet.
func (c *checker) claims() error {
	after := newLayout(c.p.Apply(c.m))
	if b := boundOf(c.o, c.rules, after, c.p.Bytes); b != c.p.Bound {
		return fmt.Errorf("claims the bound %+v, is %+v", c.p.Bound, b)
	}
	if c.o.Throttle > 0 {
		if s := estimate(c.m, c.ix, c.p, c.o.Throttle); s != c.p.Seconds {
			return fmt.Errorf("claims %v seconds, is %v", c.p.Seconds, s)
		}
	}
	unmet := unmetOf(c.o, after, dirLoads(after.m))
	if !slices.EqualFunc(unmet, c.p.Unmet, func(a, b Unmet) bool { return reflect.DeepEqual(a, b) }) {
		return fmt.Errorf("what is unmet is not as claimed: %v instead of %v", c.p.Unmet, unmet)
	}
	if found := findingsOf(c.m); !slices.EqualFunc(found, c.p.Findings, func(a, b Finding) bool { return reflect.DeepEqual(a, b) }) {
		return fmt.Errorf("what is found is not as claimed: %v instead of %v", c.p.Findings, found)
	}
	return nil
}

// dirFigures checks the log dirs: known ones, counted moves.
func (c *checker) dirFigures() error {
	moves, bytes := 0, int64(0)
	for i := range c.p.Changes {
		ch := &c.p.Changes[i]
		part := &c.m.Partitions[ch.Partition]
		for k, dir := range ch.ToDirs {
			b := &c.m.Brokers[c.ix.of(ch.To[k])]
			old := slices.Index(ch.From, ch.To[k])
			if dir < 0 && len(b.Dirs) > 0 && (old < 0 || ch.FromDirs[old] >= 0) {
				return fmt.Errorf("%s: no log dir is said for broker %d", part.Name(), b.ID)
			}
			if old >= 0 && ch.FromDirs[old] != dir {
				moves++
				bytes += part.Size
				if part.Hold != Free {
					return fmt.Errorf("%s: is held and changes log dirs", part.Name())
				}
			}
		}
	}
	if moves != c.p.DirMoves || bytes != c.p.DirBytes {
		return fmt.Errorf("claims %d moves and %d bytes between log dirs, has %d and %d", c.p.DirMoves, c.p.DirBytes, moves, bytes)
	}
	return nil
}

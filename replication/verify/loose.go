package verify

import (
	"fmt"
	"slices"
)

// noteMissing is about a source record that is not where it should be.
func (c *comparison) noteMissing(s item) {
	if c.compacted {
		c.counts.Compacted++
		return
	}
	if t, ok := take(&c.extra, s); ok {
		c.counts.Extra--
		c.misordered(s.offset, t.offset, t.fault)
		return
	}
	c.counts.Missing++
	c.missing = push(c.missing, loose{s, c.fault(Missing, s.offset, -1, "not at the target")})
}

// noteExtra is about a target record that belongs to no source record.
func (c *comparison) noteExtra(t item) {
	if c.compacted {
		c.counts.Compacted++
		return
	}
	if s, ok := take(&c.missing, t); ok {
		c.counts.Missing--
		c.misordered(s.offset, t.offset, s.fault)
		return
	}
	c.counts.Extra++
	message := "not at the source"
	if at, ok := c.seen(t); ok {
		message = fmt.Sprintf("a duplicate of target offset %d", at)
	}
	c.extra = push(c.extra, loose{t, c.fault(Extra, -1, t.offset, message)})
}

// differ is about two records at the same place that are not equal.
func (c *comparison) differ(s, t item) {
	c.counts.Differing++
	c.fault(Differing, s.offset, t.offset, s.differences(t)+" differ")
}

// misordered turns the fault of a record that was thought missing or extra.
func (c *comparison) misordered(source, target int64, fault int) {
	c.counts.Misordered++
	if fault >= 0 {
		f := &c.faults[fault]
		f.Kind, f.Source, f.Target, f.Message = Misordered, source, target, "out of order"
	}
}

// fault keeps one of the first faults and returns its index, -1: not kept.
func (c *comparison) fault(k Kind, source, target int64, message string) int {
	if len(c.faults) >= c.maxFaults {
		return -1
	}
	c.faults = append(c.faults, Fault{Kind: k, Topic: c.topic, Partition: c.partition, Source: source, Target: target, Message: message})
	return len(c.faults) - 1
}

// remember keeps a matched target record for a while.
func (c *comparison) remember(t item) {
	if len(c.recent) < memory {
		c.recent = append(c.recent, t)
		return
	}
	c.recent[c.recentNext] = t
	c.recentNext = (c.recentNext + 1) % memory
}

// seen finds an equal record among those matched a while ago.
func (c *comparison) seen(t item) (offset int64, ok bool) {
	i := slices.IndexFunc(c.recent, func(r item) bool { return r.same(t) })
	if i < 0 {
		return 0, false
	}
	return c.recent[i].offset, true
}

// take removes the first equal record.
func take(list *[]loose, it item) (loose, bool) {
	i := slices.IndexFunc(*list, func(l loose) bool { return l.same(it) })
	if i < 0 {
		return loose{}, false
	}
	found := (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	return found, true
}

// push appends and forgets the oldest beyond memory.
func push(list []loose, l loose) []loose {
	if len(list) >= memory {
		list = slices.Delete(list, 0, 1)
	}
	return append(list, l)
}

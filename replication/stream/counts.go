package stream

import (
	"maps"
	"slices"
	"sync"

	"sluice/fsm"
	"sluice/replication/filter"
	"sluice/replication/wire"
)

// counts are what this node did since it started, by link and topic.
type counts struct {
	mu     sync.Mutex
	copied map[topicOf]*wire.Copied
	stops  map[stopOf]int64

	filtered map[topicOf]filter.Counts // of topics whose link has a filter

	asked map[fsm.TaskID]asked // stops of which it is not known yet whether the facts hold them
}

// topicOf is a source topic of a link.
type topicOf struct {
	link  fsm.LinkID
	topic string
}

// stopOf is a code that stopped streams of a link.
type stopOf struct {
	link fsm.LinkID
	code fsm.Code
}

// asked is a stop that a stream has proposed, once or several times.
type asked struct {
	turn        uint64
	first, last int64 // Stop.At of the tries
}

func newCounts() *counts {
	return &counts{copied: map[topicOf]*wire.Copied{}, stops: map[stopOf]int64{}, filtered: map[topicOf]filter.Counts{}, asked: map[fsm.TaskID]asked{}}
}

// of is where the streams of a topic count.
func (c *counts) of(link fsm.LinkID, topic string) *wire.Copied {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := topicOf{link, topic}
	if c.copied[k] == nil {
		c.copied[k] = new(wire.Copied)
	}
	return c.copied[k]
}

// addFiltered counts what a filter did with records of a topic.
func (c *counts) addFiltered(of topicOf, more filter.Counts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.filtered[of] = c.filtered[of].Plus(more)
}

// ask notes that a stop is about to be proposed.
func (c *counts) ask(stop *fsm.TaskStop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := asked{stop.Turn, stop.Stop.At, stop.Stop.At}
	if was, ok := c.asked[stop.Task]; ok && was.turn == stop.Turn {
		a.first = was.first
	}
	c.asked[stop.Task] = a
}

// settle counts the stop of a task once the facts hold it, also where the
// answer to the proposal was lost. After an answer nothing is left to be asked.
func (c *counts) settle(v *fsm.View, id fsm.TaskID, answered bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.asked[id]
	if !ok {
		return
	}
	t := v.Task(id)
	if t != nil && t.Copy.Stop != nil && a.first <= t.Copy.Stop.At && t.Copy.Stop.At <= a.last {
		c.stops[stopOf{t.Link, t.Copy.Stop.Code}]++
		answered = true
	}
	if answered || t == nil || t.Turn != a.turn { // what was not taken by now never is
		delete(c.asked, id)
	}
}

// stopsOf is how often a code stopped a stream of the link.
func (c *counts) stopsOf(link fsm.LinkID, code fsm.Code) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stops[stopOf{link, code}]
}

// unsettled are the tasks whose stop is not known to be in the facts.
func (c *counts) unsettled() []fsm.TaskID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.asked))
}

// forget drops what is about topics and links that are gone, and returns what is
// left of the topics.
func (c *counts) forget(v *fsm.View) (map[topicOf]*wire.Copied, map[topicOf]filter.Counts) {
	there := map[topicOf]bool{}
	for t := range v.Tasks {
		if t.Kind == fsm.KindCopy {
			there[topicOf{t.Link, t.Copy.Stream.Topic}] = true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	left := make(map[topicOf]*wire.Copied, len(c.copied))
	for k, n := range c.copied {
		if there[k] {
			left[k] = n
		} else {
			delete(c.copied, k)
		}
	}
	for k := range c.filtered {
		if !there[k] {
			delete(c.filtered, k)
		}
	}
	for k := range c.stops {
		if v.Link(k.link) == nil {
			delete(c.stops, k)
		}
	}
	return left, maps.Clone(c.filtered)
}

package stream

import (
	"sync"

	"sluice/fsm"
	"sluice/replication/wire"
)

// counts are what this node did since it started, by link and topic.
type counts struct {
	mu     sync.Mutex
	copied map[topicOf]*wire.Copied
	stops  map[stopOf]int64
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

func newCounts() *counts {
	return &counts{copied: map[topicOf]*wire.Copied{}, stops: map[stopOf]int64{}}
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

// stopped counts a stop that is in the facts.
func (c *counts) stopped(link fsm.LinkID, code fsm.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stops[stopOf{link, code}]++
}

// stopsOf is how often a code stopped a stream of the link.
func (c *counts) stopsOf(link fsm.LinkID, code fsm.Code) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stops[stopOf{link, code}]
}

// forget drops what is about topics and links that are gone, and returns what is
// left of the topics.
func (c *counts) forget(v *fsm.View) map[topicOf]*wire.Copied {
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
	for k := range c.stops {
		if v.Link(k.link) == nil {
			delete(c.stops, k)
		}
	}
	return left
}

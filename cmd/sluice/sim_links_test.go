package main

import (
	"testing"
	"time"

	"sluice/fsm"
)

// TestSimTwoLinks: two links read the same partitions through the same nodes,
// and neither starves the other.
func TestSimTwoLinks(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.begin()
		s.propose(&fsm.Objects{Links: []fsm.LinkPut{linkOf("copies", "copy.{topic}")}})
		behind := func() int {
			n := 0
			s.load.each(func(topic string, p int32) {
				if endOf(s.eu, "copy."+topic, p) < endOf(s.us, topic, p) {
					n++
				}
			})
			return n
		}
		s.watch(20 * time.Second)
		i := s.any()
		s.kill(i)
		s.watch(10 * time.Second)
		s.start(i)
		s.finish()
		s.until("the second link is not behind", time.Minute, func() bool { return behind() == 0 })
	})
}

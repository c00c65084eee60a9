package link

import (
	"fmt"
	"time"

	"sluice/fsm"
	"sluice/words"
)

// pace is how many target topics the next request creates or raises, and when. The first
// ones are few, so that something is copied soon; a controller that refuses by
// its quota is asked for no more than it took, once the throttle time is over.
type pace struct {
	size  int       // of the next request, 0: not begun
	after time.Time // no request before
}

const (
	firstTopics  = 10
	topicsAtOnce = 100         // of one request, at most
	leastPause   = time.Second // after a refusal by quota
)

// next is the size of a request that is sent now, 0: none is.
func (p *pace) next(now time.Time) int {
	if now.Before(p.after) {
		return 0
	}
	return max(p.size, 1)
}

// answered takes in how a request for so many topics went.
func (p *pace) answered(now time.Time, asked, throttled int, throttle time.Duration) {
	if throttled > 0 || throttle > 0 {
		p.size, p.after = max(1, asked-throttled), now.Add(max(throttle, leastPause))
		return
	}
	p.size = min(2*max(p.size, asked), topicsAtOnce)
}

// throttled are the topics that wait for the quota of the target's controller.
func throttled(target string, list []topicAction, wait time.Duration) []Refused {
	out := make([]Refused, len(list))
	for i, a := range list {
		what := "created"
		if a.grow > 0 {
			what = "raised to " + words.Count(a.grow, "partition")
		}
		out[i] = Refused{a.topic, fsm.CodeQuotaThrottled, fmt.Sprintf("the target topic %s waits to be %s: Kafka cluster %s bounds by a quota "+
			"(controller_mutation_rate) how many partitions are created a second; the next request is sent in %v", a.target, what, target, wait.Round(time.Second))}
	}
	return out
}

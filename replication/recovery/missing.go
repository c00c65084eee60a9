package recovery

import (
	"time"

	"sluice/fsm"
)

// stays shows the stop until there is an order.
func stays(stop *fsm.Stop) Wait {
	return Wait{Code: stop.Code, Message: stop.Message, For: stoppedLook, Facts: true}
}

// missing reports whether a stop is about a topic that is not there.
func missing(code fsm.Code) bool {
	return code == fsm.CodeSourceDeleted || code == fsm.CodeTargetDeleted
}

// lookForTopic looks now and then whether the topic that stopped the stream is
// there again. The same one lifts the stop; another one is a stop of its own.
func lookForTopic(s *Situation) Step {
	since := s.Now - s.Memory.Looked // below 0: the clock was put back
	switch {
	case s.Places == nil && since >= 0 && since < goneLook:
		w := stays(s.Task.Stop)
		w.For = time.Duration(goneLook-since) * time.Millisecond
		return w
	case s.Places == nil:
		return Gather{What: NeedPlaces}
	case s.Task.Mapping == nil:
		return Lift{}
	}
	if f := s.otherTopic(); f != nil {
		return Halt{*f}
	}
	return Lift{}
}

// ofTopic is what an order is about: a topic that was missing and is another one
// now was recreated.
func ofTopic(s *Situation) fsm.Stop {
	stop := *s.Task.Stop
	if f := s.otherTopic(); f != nil && missing(stop.Code) {
		stop.Code = f.Code
	}
	return stop
}

package recovery

import "sluice/fsm"

// Next decides. Asked again with the same Situation it gives the same step.
func Next(s Situation) Step {
	s.Memory = s.Memory.adopted(s.Task)
	switch {
	case s.Failed != nil:
		return s.failed()
	case s.Task.Stop != nil:
		return s.stopped()
	case s.Task.Unsure && (s.Fault == nil || s.Fault.Kind != Retry):
		return adopt(&s)
	case s.Fault != nil:
		return s.after(*s.Fault)
	}
	return s.open()
}

// failed is about a Gather or Commit that could not be done.
func (s *Situation) failed() Step {
	f := *s.Failed
	switch {
	case s.Task.Stop != nil && order(s.Task, s.Spec) == "":
		return stays(s.Task.Stop) // it was looked at on the chance
	case s.Task.Stop != nil:
		return s.notYet(f.Message)
	case s.Fault == nil:
		return Restart{f}
	case s.Fault.Kind == TopicChanged && f.Kind == TopicChanged:
		return s.gone(f)
	}
	return s.later(f)
}

// gone waits for a topic that is not there, and stops the stream when it stays
// away. Brokers that have just started may not know it yet. Before a stream
// begins, nothing is lost with its target topic, which is created a moment
// before the stream: brokers may take long over many, and where it is deleted
// the link creates it again.
func (s *Situation) gone(f Fault) Step {
	if s.Task.Mapping == nil && !f.Source {
		return Wait{Code: fsm.CodeStarting, Message: "the target topic is not there yet: " + f.Message, For: Backoff(s.Memory.Attempts)}
	}
	f.Kind, f.Code, f.Range = Blocked, fsm.CodeTargetDeleted, Range{-1, -1}
	if f.Source {
		f.Code = fsm.CodeSourceDeleted
	}
	if s.Memory.Attempts >= goneTries {
		return Halt{f}
	}
	return Wait{Code: fsm.CodeUnreachable, Message: f.Message, For: Backoff(s.Memory.Attempts)} // not a stop yet, which has a way out
}

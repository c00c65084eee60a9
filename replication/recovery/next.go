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
	case s.Fault != nil:
		return s.after(*s.Fault)
	}
	return s.open()
}

// failed is about a Gather or Commit that could not be done.
func (s *Situation) failed() Step {
	f := *s.Failed
	switch {
	case s.Task.Stop != nil:
		return s.notYet(f.Message)
	case s.Fault == nil:
		return Restart{f}
	case s.Fault.Kind == TopicChanged && f.Kind == TopicChanged:
		return s.gone(f)
	}
	return s.later(f)
}

// gone waits for a topic that is not there.
func (s *Situation) gone(f Fault) Step {
	w := Wait{Code: fsm.CodeTargetDeleted, Message: f.Message, For: Backoff(s.Memory.Attempts)}
	if f.Source {
		w.Code = fsm.CodeSourceDeleted
	}
	if s.Memory.Attempts == goneTries {
		w.Event = &fsm.Event{Code: w.Code, From: -1, To: -1, Message: f.Message}
	}
	return w
}

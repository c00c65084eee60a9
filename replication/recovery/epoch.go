package recovery

import "sluice/fsm"

// lastEpoch is the last one that a producer id has.
const lastEpoch = 1<<15 - 1

// commitRaised commits a mapping under which sequence 0 of an unused producer
// epoch stands where the progress is.
func (s *Situation) commitRaised(m fsm.Mapping, p fsm.Progress, c Commit) Step {
	m.SequenceZero, m.ProducerEpoch = p.Target, max(m.ProducerEpoch, seenEpoch(s, m.ProducerID))
	switch {
	case m.ProducerEpoch < lastEpoch:
		m.ProducerEpoch++
	case s.NewID == nil:
		return Gather{What: NeedNewID}
	default:
		m.ProducerID, m.ProducerEpoch = *s.NewID, 0
	}
	c.Mapping, c.Progress = m, p
	return c
}

// seenEpoch is the highest epoch of a producer id that the target has shown, -1: none.
func seenEpoch(s *Situation, producer int64) int16 {
	epoch := int16(-1)
	if s.Log == nil || Basis(s) == nil || Basis(s).ProducerID != producer {
		return epoch
	}
	if p := s.Log.Producer; p != nil {
		epoch = p.Epoch
	}
	if t := s.Log.Tail; t != nil && t.ProducerID == producer {
		epoch = max(epoch, t.Epoch)
	}
	return epoch
}

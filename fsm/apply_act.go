package fsm

import "strings"

// maxDeed bounds the text of a deed, in bytes.
const maxDeed = 500

// HasActs reports whether commands may say who asked for them; below that
// feature level not every node could read it.
func (v *View) HasActs() bool { return v.Feature >= featureActs }

// actOf is what a command says about who asked for it; nil: nothing.
func actOf(c Command) *Act {
	switch c := c.(type) {
	case *Objects:
		return c.Act
	case *LinkState:
		return c.Act
	case *LinkAdopt:
		return c.Act
	case *TaskOrder:
		return c.Act
	case *StreamsEnd:
		return c.Act
	case *NodePut:
		return c.Act
	case *NodeRemove:
		return c.Act
	case *BanLift:
		return c.Act
	case *TokenPut:
		return c.Act
	case *TokenRevoke:
		return c.Act
	}
	return nil
}

// apply makes the events of an act that was carried out.
func (a *Act) apply(e *edit) {
	for _, d := range a.Did {
		ev := Event{
			Node: a.Node, Code: CodeOperatorAct, Message: d.Text, Who: a.Who, Client: a.Client,
			Part: -1, From: -1, To: -1, First: a.At, Last: a.At,
		}
		if len(ev.Message) > maxDeed {
			ev.Message = strings.ToValidUTF8(ev.Message[:maxDeed], "") + " ..."
		}
		if l := e.v.LinkNamed(d.Link); d.Link != "" && l != nil {
			ev.Link = l.ID
		}
		e.event(ev)
	}
}

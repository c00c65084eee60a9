package fsm

// apply holds a link that has copied.
func (c *LinkHold) apply(e *edit) Result {
	l := e.v.Link(c.Link)
	switch {
	case l == nil || l.Deleting:
		return refuse(RefusedNotFound, "the link (id %d) is gone", c.Link)
	case l.Held != "":
		return Result{}
	case e.v.Feature < featureRescue:
		return refuse(RefusedInvalid, "a node of the cluster is too old to know of links that are held")
	}
	held := *l
	held.Held, held.Revision = c.By, e.index
	e.v.Links = put(e.v.Links, &held, byLink)
	e.event(Event{
		Link: l.ID, Code: CodeClaimed, Part: -1, From: -1, To: -1, First: c.At, Last: c.At,
		Message: "the Sluice cluster " + c.By + " has taken the link over; nothing is copied here any more",
	})
	return Result{}
}

// apply takes a link over. Its stops and orders may be as old as its positions:
// each stream looks anew.
func (c *LinkAdopt) apply(e *edit) Result {
	l := e.v.Link(c.Link)
	switch {
	case l == nil || l.Deleting:
		return refuse(RefusedNotFound, "the link (id %d) is gone", c.Link)
	case c.From == "" || c.From == e.v.ClusterID:
		return refuse(RefusedInvalid, "link %s belongs to no other Sluice cluster", l.Spec.Name)
	case l.Held == "" && l.Adopted == c.From:
		return Result{} // done already
	case e.v.Feature < featureRescue:
		return refuse(RefusedInvalid, "a node of the cluster is too old to know of links that are taken over")
	}
	adopted := *l
	adopted.Held, adopted.Adopted, adopted.Revision = "", c.From, e.index
	if c.ProducerID >= 0 && c.ProducerID != l.ProducerID {
		e.spend(l, l.ProducerID)
		adopted.ProducerID = c.ProducerID
	}
	e.v.Links = put(e.v.Links, &adopted, byLink)
	for t := range e.State.view.Tasks {
		if t.Link != l.ID || t.Copy == nil {
			continue
		}
		n := t.edited()
		n.Copy.Stop, n.Copy.Order, n.Copy.Unsure = nil, "", true
		n.Copy.Attempt++
		n.Copy.touch(e)
		e.set(t.ID, n)
	}
	return Result{}
}

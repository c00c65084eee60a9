package api

import "sluice/fsm"

// LinkPath names a link in the path.
type LinkPath struct {
	Name string `path:"name" maxLength:"63"`
}

// ack shows what holds for a link now.
func ack(p *picture, name, kind string) Ack {
	a := Ack{Meta: p.meta(kind), Name: name, State: "deleted", Revision: p.v.Index, Unconfirmed: []string{}}
	if l := p.v.LinkNamed(name); l != nil {
		a.State, a.Revision, a.Unconfirmed = l.Spec.State, l.Revision, p.unconfirmed(l)
		if l.Deleting {
			a.State = "deleting"
			if o := p.v.OperationOn(l.ID, fsm.OperationDeleteLink); o != nil {
				a.Operation = &o.ID
			}
		}
	}
	return a
}

package cluster

import (
	"time"

	"sluice/transport"
)

// A node that is started with a copy of another one's data dir shows its
// identity at another address. Were it let in, it would vote a second time for
// one server, and take that one's place in gossip and in reports. So whoever
// hears the living one refuses it, and it ends for good (founder.watchTwin). A
// node that has moved is let in as soon as its former address is silent.

// twin says where the node of an identity is alive, if not where the one is
// that shows it: a report from there came lately, or it is this node.
func (l *liveness) twin(who transport.Identity, running bool) *transport.TwinError {
	if who.ServerID == l.self.ServerID {
		if who.Advertise == l.self.Advertise || !running {
			return nil
		}
		return &transport.TwinError{Name: l.cfg.Name, Alive: l.self.Advertise}
	}
	at := l.aliveAt(who.ServerID)
	if at == "" || at == who.Advertise {
		return nil
	}
	return &transport.TwinError{Name: who.Name, Alive: at}
}

// aliveAt is the address from which a member has reported lately; empty: it has
// not.
func (l *liveness) aliveAt(id string) string {
	to, err := l.members.targetOf(id)
	if err != nil {
		return ""
	}
	if r := l.reports.get(id); r.Refused || r.At.IsZero() || time.Since(r.At) >= l.t.silent {
		return ""
	}
	return to.Address
}

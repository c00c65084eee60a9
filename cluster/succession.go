package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/raft"

	"sluice/fsm"
	"sluice/transport"
)

// succession hands leadership over: a leader's own when it leaves or ends, and
// any leader's, by whichever node is asked for it.
type succession struct {
	*local
	consensus *consensus
	liveness  *liveness
	calls     *transport.Client
	record    func(fsm.Event)
}

// handOver gives the leadership of this node to another voter: to the one named
// by its ServerID, or to the one that is best off. Raft brings it up to date
// first. It returns when this node has given leadership up.
func (s *succession) handOver(ctx context.Context, id string) error {
	r := s.consensus.raft.Load()
	if id = cmp.Or(id, s.heir()); id == "" {
		return r.ask(r.LeadershipTransfer).wait(ctx)
	}
	to, err := s.consensus.targetOf(id)
	if err != nil {
		return err
	}
	return r.ask(func() raft.Future {
		return r.LeadershipTransferToServer(raft.ServerID(id), raft.ServerAddress(to.Address))
	}).wait(ctx)
}

// heir is the voter that is best off to lead: alive, with a disk that takes
// writes, and the furthest; of several the first by id. Empty: none is known to
// be well. Raft itself would pick by what it has sent, also to one that is dead.
func (s *succession) heir() string {
	var best Report
	for _, id := range others(votersOf(s.consensus.servers()), s.self.ServerID) {
		r := s.liveness.reports.get(string(id))
		if s.unfit(string(id)) == "" && (best.ServerID == "" || r.Index > best.Index) {
			best = r
		}
	}
	return best.ServerID
}

// unfit says why a voter cannot lead now; empty: it can.
func (s *succession) unfit(id string) string {
	r := s.liveness.reports.get(id)
	switch life := s.liveness.life(id, s.liveness.began); {
	case r.Disk != nil && r.Disk.Why != "":
		return "cannot write (" + r.Disk.Why + ")"
	case life != LifeAlive:
		return "is " + string(life)
	}
	return ""
}

// pathTransfer asks a leader to hand leadership over; it takes a transferral.
const pathTransfer = "/transfer"

// transferral is whom leadership is to be handed to.
type transferral struct {
	To string `json:"to"` // ServerID; empty: whom the leader finds best
}

// handleTransfer does so on the leader. It answers with whom it was handed to.
func (s *succession) handleTransfer(ctx context.Context, t transferral) (transferral, error) {
	ctx, cancel := context.WithTimeout(ctx, s.t.propose)
	defer cancel()
	if s.consensus.leading.Load() == nil {
		return t, remoteError(ErrNoLeader)
	}
	if t.To == "" {
		if t.To = s.heir(); t.To == "" {
			return t, remoteError(errors.New("no other voter is well enough to lead; see `sluice cluster health`"))
		}
	}
	name, server := s.consensus.nameOf(t.To), s.consensus.server(t.To)
	switch why := s.unfit(t.To); {
	case t.To == s.self.ServerID:
		return t, nil
	case server == nil:
		return t, remoteError(fmt.Errorf("node %s is no member of the cluster any more", name))
	case server.Suffrage != raft.Voter:
		return t, remoteError(fmt.Errorf("node %s has no vote, and only a voter can lead; see `sluice cluster members`", name))
	case why != "":
		return t, remoteError(fmt.Errorf("node %s %s and cannot lead now; see `sluice cluster health`", name, why))
	}
	s.log.Info("handing leadership over", "to", name)
	if err := s.handOver(ctx, t.To); err != nil && s.consensus.raft.Load().State() == raft.Leader {
		return t, remoteError(fmt.Errorf("node %s still leads, for node %s did not take leadership (%w); try again", s.cfg.Name, name, err))
	}
	return t, nil
}

// request lets the leader, whoever that is, hand leadership to a voter, named or
// by ServerID, or to the one that it finds best. It returns who led, and who
// leads, once that one has proven it; they are the same where it led already.
func (s *succession) request(ctx context.Context, nameOrID string, act *fsm.Act) (from, to string, err error) {
	t := transferral{}
	if nameOrID != "" {
		if t.To, err = s.consensus.named(nameOrID); err != nil {
			return "", "", err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.t.propose)
	defer cancel()
	if _, err := s.consensus.confirmed(ctx); err != nil { // somebody leads, not only did
		return "", "", err
	}
	leader, err := s.consensus.leader()
	switch {
	case err != nil:
		return "", "", err
	case leader.ServerID == t.To:
		return t.To, t.To, nil
	case leader.ServerID == s.self.ServerID:
		t, err = s.handleTransfer(ctx, t)
	default:
		err = s.calls.Call(ctx, leader, pathTransfer, t, &t)
	}
	if err = transferError(err, s.consensus.nameOf(leader.ServerID)); err != nil && (!errors.Is(err, ErrAmbiguous) || t.To == "") {
		return "", "", err
	}
	if err := s.awaitLeader(ctx, t.To); err != nil {
		return "", "", err
	}
	if act != nil && leader.ServerID != t.To {
		s.record(fsm.Event{
			Code: fsm.CodeOperatorAct, Node: act.Node, Who: act.Who, Client: act.Client, Part: -1, From: -1, To: -1, First: act.At,
			Message: fmt.Sprintf("hand leadership over from node %s to node %s", s.consensus.nameOf(leader.ServerID), s.consensus.nameOf(t.To)),
		})
	}
	return leader.ServerID, t.To, nil
}

// transferError words what a leader answered.
func transferError(err error, leader string) error {
	remote, answered := errors.AsType[*transport.RemoteError](err)
	switch {
	case answered && remote.Status == http.StatusNotFound:
		return fmt.Errorf("%w: the leader, node %s, is of an older version that does not hand leadership over when it is asked to", ErrLevel, leader)
	case answered && remote.Code == codeNotLeader:
		return fmt.Errorf("%w: %w", ErrNoLeader, err)
	}
	return classify(err)
}

// awaitLeader waits until a node has proven that it leads. Errors wrap
// ErrAmbiguous: it may still come to lead.
func (s *succession) awaitLeader(ctx context.Context, id string) error {
	for {
		_, err := s.consensus.confirmedOnce(ctx)
		leader, unknown := s.consensus.leader()
		if err == nil && unknown == nil && leader.ServerID == id {
			return nil
		}
		if sleep(ctx, proposeRetry) == nil {
			continue
		}
		if unknown == nil {
			return fmt.Errorf("%w: leadership was handed to node %s, and node %s leads", ErrAmbiguous, s.consensus.nameOf(id), s.consensus.nameOf(leader.ServerID))
		}
		return fmt.Errorf("%w: leadership was handed to node %s, which has not proven yet that it leads", ErrAmbiguous, s.consensus.nameOf(id))
	}
}

package fsm

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
)

// Apply applies the encoded command at a Raft index. An error (ErrCorrupt,
// ErrUnknown) means that this node can no longer be equal to the others and
// must stop; the state is unchanged then.
func (s *State) Apply(index uint64, data []byte) (Result, error) {
	c, err := Decode(data)
	if err != nil {
		return Result{}, fmt.Errorf("applying index %d: %w", index, err)
	}
	next := *s.view
	next.Index = index
	e := &edit{State: s, v: &next, index: index, own: map[int]bool{}}
	r := e.apply(c)
	r.Index = index
	if r.Refused != RefusedNot {
		// A refused command changes nothing but the index.
		kept := *s.view
		kept.Index = index
		s.view = &kept
		return r, nil
	}
	for _, f := range e.keys {
		f(s.byKey)
	}
	if a := actOf(c); a != nil {
		a.apply(e)
	}
	if c.Type() != TypeBarrier {
		next.changed = index
	}
	s.view = &next
	return r, nil
}

// apply carries out one command on the edit.
func (e *edit) apply(c Command) Result {
	switch c := c.(type) {
	case *ClusterInit:
		return e.clusterInit(c)
	case *NodePut:
		return e.nodePut(c)
	case *NodeRemove:
		return e.nodeRemove(c)
	case *FeatureRaise:
		e.featureRaise(c)
	case *Objects:
		return e.objects(c)
	case *KafkaPin:
		return e.kafkaPin(c)
	case *LinkState:
		return e.linkState(c)
	case *LinkPurge:
		return e.linkPurge(c)
	case *LinkProducer:
		return e.linkProducer(c)
	case *LinkHold:
		return c.apply(e)
	case *LinkAdopt:
		return c.apply(e)
	case *StreamsAdd:
		return e.streamsAdd(c)
	case *StreamsEnd:
		return c.apply(e)
	case *Assign:
		return e.assign(c)
	case *MappingPut:
		return e.mappingPut(c)
	case *ProgressBatch:
		return e.progress(c)
	case *TaskStop:
		return e.taskStop(c)
	case *TaskOrder:
		return e.taskOrder(c)
	case *EventsAdd:
		for _, ev := range c.Events {
			if ev.Link == 0 || e.v.Link(ev.Link) != nil || e.v.LinkEvents(ev.Link).Name != "" {
				e.event(ev)
			}
		}
	case *OperationStep:
		return e.operationStep(c)
	case *BanLift:
		return c.apply(e)
	case *TokenPut:
		return c.apply(e)
	case *TokenRevoke:
		return c.apply(e)
	case *Barrier:
	}
	return Result{}
}

func (e *edit) featureRaise(c *FeatureRaise) {
	before := e.v.Feature
	e.v.Feature = max(before, c.Level)
	if before < featureSpentByCluster && e.v.Feature >= featureSpentByCluster {
		e.spentByCluster()
	}
	if before < featureOperations && e.v.Feature >= featureOperations {
		e.operationsBegin()
	}
	if before < featureExpected && e.v.Feature >= featureExpected {
		e.v.Kafka = slices.Clone(e.v.Kafka)
		for i := range e.v.Kafka {
			e.v.Kafka[i].Revision = e.index
		}
	}
}

func (e *edit) clusterInit(c *ClusterInit) Result {
	if e.v.ClusterID != "" && e.v.ClusterID != c.ClusterID {
		return refuse(RefusedInvalid, "the cluster already has the id %s", e.v.ClusterID)
	}
	e.v.ClusterID = c.ClusterID
	return Result{}
}

func (e *edit) nodePut(c *NodePut) Result {
	old := e.v.Node(c.Node.ID)
	for _, n := range e.v.Nodes {
		if n.Name == c.Node.Name && n.ID != c.Node.ID {
			return refuse(RefusedInvalid, "the name %s belongs to the node %s", n.Name, n.ID)
		}
	}
	if r := c.use(e); r.Refused != RefusedNot {
		return r
	}
	e.v.Nodes = put(e.v.Nodes, c.Node, byNode)
	if old == nil {
		e.event(Event{Node: c.Node.Name, Code: CodeNodeJoined, Message: c.Node.Name + " joined", From: -1, To: -1, First: c.At, Last: c.At})
	}
	return Result{}
}

func (e *edit) nodeRemove(c *NodeRemove) Result {
	n := e.v.Node(c.ID)
	if n == nil {
		return Result{}
	}
	e.event(Event{Node: n.Name, Code: CodeNodeLeft, Message: n.Name + " left", From: -1, To: -1, First: c.At, Last: c.At})
	if c.Ban {
		e.v.Bans = put(e.v.Bans, Ban{Name: n.Name, Key: n.Key, At: c.At}, byBan)
	}
	e.v.Nodes = drop(e.v.Nodes, func(n Node) bool { return n.ID == c.ID })
	return Result{}
}

func (e *edit) kafkaPin(c *KafkaPin) Result {
	k := e.v.KafkaCluster(c.Name)
	switch {
	case k == nil:
		return refuse(RefusedNotFound, "no Kafka cluster %s", c.Name)
	case c.Revision != 0 && c.Revision != k.Revision:
		return refuse(RefusedTurn, "KafkaCluster %s has changed meanwhile", c.Name)
	case k.ClusterID != "" && k.ClusterID != c.ClusterID:
		return refuse(RefusedInvalid, "Kafka cluster %s is pinned to the cluster id %s, not %s", c.Name, k.ClusterID, c.ClusterID)
	}
	pinned := *k
	pinned.ClusterID = c.ClusterID
	e.v.Kafka = put(e.v.Kafka, pinned, byKafka)
	return Result{}
}

// objects applies deletions first, so that a link can be replaced by one of
// the same name.
func (e *edit) objects(c *Objects) Result {
	for _, x := range c.Expect {
		if what, holds := x.holds(e.v); !holds {
			return refuse(RefusedTurn, "%s has changed meanwhile", what)
		}
	}
	for _, name := range c.DeleteLinks {
		l := e.v.LinkNamed(name)
		if l == nil || l.Deleting {
			return refuse(RefusedNotFound, "no link %s", name)
		}
		gone := *l
		gone.Deleting, gone.Revision = true, e.index
		e.v.Links = put(e.v.Links, &gone, byLink)
		e.beginDeletion(&gone, c.By, c.At)
	}
	for _, k := range c.Kafka {
		if r := k.put(e); r.Refused != RefusedNot {
			return r
		}
	}
	for _, l := range c.Links {
		if r := e.linkPut(l, c.At); r.Refused != RefusedNot {
			return r
		}
	}
	return e.deleteKafka(c.DeleteKafka)
}

// put declares the Kafka cluster, or changes it.
func (k KafkaCluster) put(e *edit) Result {
	k.Revision = 0
	old := e.v.KafkaCluster(k.Name)
	if old != nil {
		if old.ClusterID != "" && k.ClusterID != "" && k.ClusterID != old.ClusterID {
			return refuse(RefusedInvalid, "Kafka cluster %s is pinned to the cluster id %s", k.Name, old.ClusterID)
		}
		k.ClusterID, k.Revision = cmp.Or(old.ClusterID, k.ClusterID), old.Revision
	}
	if e.v.Feature >= featureExpected && (old == nil || !reflect.DeepEqual(*old, k)) {
		k.Revision = e.index
	}
	e.v.Kafka = put(e.v.Kafka, k, byKafka)
	return Result{}
}

func (e *edit) deleteKafka(names []string) Result {
	for _, name := range names {
		if e.v.KafkaCluster(name) == nil {
			return refuse(RefusedNotFound, "no Kafka cluster %s", name)
		}
		for _, l := range e.v.Links {
			if l.Spec.Source == name || l.Spec.Target == name {
				return refuse(RefusedInvalid, "Kafka cluster %s is used by link %s", name, l.Spec.Name)
			}
		}
		for t := range e.v.Tasks {
			if t.Kafka == name {
				return refuse(RefusedInvalid, "Kafka cluster %s is used by task %d (%s)", name, t.ID, t.Kind)
			}
		}
		e.v.Kafka = drop(e.v.Kafka, func(k KafkaCluster) bool { return k.Name == name })
	}
	return Result{}
}

func (e *edit) linkPut(p LinkPut, at int64) Result {
	for _, name := range []string{p.Spec.Source, p.Spec.Target} {
		if e.v.KafkaCluster(name) == nil {
			return refuse(RefusedNotFound, "link %s: no Kafka cluster %s", p.Spec.Name, name)
		}
	}
	old := e.v.LinkNamed(p.Spec.Name)
	if old != nil && !old.Deleting {
		o, n := old.Spec, p.Spec
		if o.Source != n.Source || o.Target != n.Target || o.Rename != n.Rename {
			return refuse(RefusedInvalid, "link %s: source, target and rename cannot change; delete the link and create another", n.Name)
		}
		if reflect.DeepEqual(o, n) {
			return Result{}
		}
		changed := *old
		changed.Spec, changed.Revision = p.Spec, e.index
		e.v.Links = put(e.v.Links, &changed, byLink)
		return Result{}
	}
	l := &Link{ID: e.v.nextLink, Spec: p.Spec, CreatedAt: at, Revision: e.index, ProducerID: -1, Starts: p.Starts}
	e.v.nextLink++
	e.v.Links = put(e.v.Links, l, byLink)
	e.add(Task{Kind: KindLink, Link: l.ID}, nil)
	return Result{}
}

func (e *edit) linkState(c *LinkState) Result {
	l := e.v.Link(c.Link)
	if l == nil || l.Deleting {
		return refuse(RefusedNotFound, "the link (id %d) is gone", c.Link)
	}
	if c.State != StateRunning && c.State != StatePaused {
		return refuse(RefusedInvalid, "no such state of a link: %q", c.State)
	}
	if l.Spec.State == c.State {
		return Result{}
	}
	changed := *l
	changed.Spec.State, changed.Revision = c.State, e.index
	e.v.Links = put(e.v.Links, &changed, byLink)
	return Result{}
}

func (e *edit) linkPurge(c *LinkPurge) Result {
	l := e.v.Link(c.Link)
	if l == nil {
		return Result{}
	}
	if !l.Deleting {
		return refuse(RefusedInvalid, "link %s is not being deleted", l.Spec.Name)
	}
	ids := []int64{l.ProducerID}
	var tasks []*Task
	for t := range e.State.view.Tasks {
		if t.Link != l.ID {
			continue
		}
		if t.Copy != nil && t.Copy.Mapping != nil && !slices.Contains(ids, t.Copy.Mapping.ProducerID) {
			ids = append(ids, t.Copy.Mapping.ProducerID)
		}
		tasks = append(tasks, t)
	}
	l.end(e, tasks)
	e.spend(l, ids...)
	e.v.Links = drop(e.v.Links, func(o *Link) bool { return o.ID == l.ID })
	l.keepEvents(e)
	return Result{}
}

func (e *edit) linkProducer(c *LinkProducer) Result {
	l := e.v.Link(c.Link)
	switch {
	case l == nil:
		return refuse(RefusedNotFound, "the link (id %d) is gone", c.Link)
	case l.ProducerID == c.ProducerID:
		return Result{}
	case l.ProducerID != c.Prev:
		return refuse(RefusedTurn, "link %s already has the producer id %d", l.Spec.Name, l.ProducerID)
	}
	changed := *l
	changed.ProducerID = c.ProducerID
	e.spend(l, l.ProducerID)
	e.v.Links = put(e.v.Links, &changed, byLink)
	return Result{}
}

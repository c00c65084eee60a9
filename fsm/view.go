package fsm

import (
	"cmp"
	"slices"
)

// View is the whole state after one command. It never changes: readers keep
// the pointer as long as they like and take no lock. Slices are sorted and
// must not be written to.
type View struct {
	Index     uint64 // Raft index of the last applied command
	ClusterID string // empty before ClusterInit
	Feature   uint32
	Nodes     []Node         // by ID
	Kafka     []KafkaCluster // by Name
	Links     []*Link        // by ID
	Spent     []SpentID
	Events    []LinkEvents // by Link; 0 is the cluster's own

	Ended []*EndedStream // by Kafka clusters and stream: the last MaxEnded

	Bans   Bans
	Tokens Tokens

	Operations []*Operation // by ID: those that run, and the last MaxFinished that do not

	changed       uint64 // index of the last command that changed anything but Index, as far as this process knows
	nextLink      LinkID
	nextTask      TaskID
	nextEvent     uint64
	lastOperation OperationID
	chunks        []*chunk
	count         int
}

// chunkSize tasks are copied together when one of them changes.
const chunkSize = 256

type chunk [chunkSize]*Task

// Changed is the index of a command since which nothing but Index has changed:
// Views of one node that agree in it agree in all facts.
func (v *View) Changed() uint64 { return v.changed }

// Task returns a task, nil when there is none of that id.
func (v *View) Task(id TaskID) *Task {
	c := int(id / chunkSize)
	if c >= len(v.chunks) || v.chunks[c] == nil {
		return nil
	}
	return v.chunks[c][id%chunkSize]
}

// TaskCount is the number of tasks.
func (v *View) TaskCount() int { return v.count }

// Tasks yields all tasks in the order of their ids.
func (v *View) Tasks(yield func(*Task) bool) {
	for _, c := range v.chunks {
		if c == nil {
			continue
		}
		for _, t := range c {
			if t != nil && !yield(t) {
				return
			}
		}
	}
}

// Link returns the link of an id, nil when there is none.
func (v *View) Link(id LinkID) *Link {
	i, ok := slices.BinarySearchFunc(v.Links, id, func(l *Link, id LinkID) int { return cmp.Compare(l.ID, id) })
	if !ok {
		return nil
	}
	return v.Links[i]
}

// LinkNamed returns the link of a name that is not being deleted, or else the
// one that is, nil when there is none.
func (v *View) LinkNamed(name string) *Link {
	var found *Link
	for _, l := range v.Links {
		if l.Spec.Name == name && (found == nil || !l.Deleting) {
			found = l
		}
	}
	return found
}

// Node returns the node of an id, nil when there is none.
func (v *View) Node(id string) *Node {
	i, ok := slices.BinarySearchFunc(v.Nodes, id, func(n Node, id string) int { return cmp.Compare(n.ID, id) })
	if !ok {
		return nil
	}
	return &v.Nodes[i]
}

// KafkaCluster returns the Kafka cluster of a name, nil when there is none.
func (v *View) KafkaCluster(name string) *KafkaCluster {
	i, ok := slices.BinarySearchFunc(v.Kafka, name, func(k KafkaCluster, n string) int { return cmp.Compare(k.Name, n) })
	if !ok {
		return nil
	}
	return &v.Kafka[i]
}

// LinkEvents returns the ring of a link.
func (v *View) LinkEvents(id LinkID) LinkEvents {
	for _, r := range v.Events {
		if r.Link == id {
			return r
		}
	}
	return LinkEvents{Link: id}
}

// Operation returns the operation of an id, nil when there is none.
func (v *View) Operation(id OperationID) *Operation {
	i, ok := slices.BinarySearchFunc(v.Operations, id, func(o *Operation, id OperationID) int { return cmp.Compare(o.ID, id) })
	if !ok {
		return nil
	}
	return v.Operations[i]
}

// OperationOn returns the last operation of a kind about a link, nil when there
// is none.
func (v *View) OperationOn(link LinkID, kind OperationKind) *Operation {
	for _, o := range slices.Backward(v.Operations) {
		if o.Link == link && o.Kind == kind {
			return o
		}
	}
	return nil
}

// HasOperations reports whether the facts hold operations; below their feature
// level they do not.
func (v *View) HasOperations() bool { return v.Feature >= featureOperations }

// NamesMembers reports whether every node of the cluster tells the others who
// belongs to it; below that feature level some do not.
func (v *View) NamesMembers() bool { return v.Feature >= featureIdentity }

// Behind names the nodes that do not know a feature level yet, sorted.
func (v *View) Behind(level uint32) []string {
	var out []string
	for _, n := range v.Nodes {
		if n.Feature < level {
			out = append(out, n.Name)
		}
	}
	slices.Sort(out)
	return out
}

// Active reports whether the task should run now: it has an owner, its link
// runs and it is not stopped. A stopped stream's owner still watches it.
func (v *View) Active(t *Task) bool {
	if t.Owner == "" {
		return false
	}
	if t.Link == 0 {
		return true
	}
	l := v.Link(t.Link)
	return l != nil && l.Running()
}

// put returns a sorted copy of s in which item replaces the one that compares
// equal, or is inserted.
func put[T any](s []T, item T, cmp func(a, b T) int) []T {
	i, ok := slices.BinarySearchFunc(s, item, cmp)
	out := slices.Clone(s)
	if ok {
		out[i] = item
		return out
	}
	return slices.Insert(out, i, item)
}

// drop returns a copy of s without the items that match.
func drop[T any](s []T, match func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(s), match)
}

func byNode(a, b Node) int          { return cmp.Compare(a.ID, b.ID) }
func byKafka(a, b KafkaCluster) int { return cmp.Compare(a.Name, b.Name) }
func byLink(a, b *Link) int         { return cmp.Compare(a.ID, b.ID) }
func byRing(a, b LinkEvents) int    { return cmp.Compare(a.Link, b.Link) }

func byOperation(a, b *Operation) int { return cmp.Compare(a.ID, b.ID) }

// FillsHeads reports whether all nodes know of streams that are filling.
func FillsHeads(v *View) bool { return v.Feature >= featureHeads }

// Fills reports whether gaps of transactions may be filled for a link: all nodes
// know of it, and nobody else writes to its targets.
func Fills(v *View, l *LinkSpec) bool {
	return v.Feature >= featureFilled && l.Gaps == GapsFill && l.Writers != WritersShared && !l.Translated()
}

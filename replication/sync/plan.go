package sync

import (
	"cmp"
	"fmt"
	"slices"

	"sluice/fsm"
)

// Topic is what a Kafka cluster's metadata tells of a topic.
type Topic struct {
	Name       string
	ID         fsm.TopicID // zero: the brokers have no topic ids
	Partitions int32
	Internal   bool
}

// Copied is what the facts tell of the streams of one source topic.
type Copied struct {
	Partitions map[int32]bool
	SourceID   fsm.TopicID // of the mappings, zero: unknown
	TargetID   fsm.TopicID
	Mapped     bool // some stream has a mapping, so the target has its records
	Recopy     bool // every stream waits to be copied again into an emptied target
}

// Maker is who created a target topic, according to the ledger.
type Maker struct {
	ID   fsm.TopicID // of the topic that was created
	Ours bool        // this Sluice cluster, this link
	Name string      // of Sluice cluster and link, for a message
}

// Input is all that a Plan rests on.
type Input struct {
	Spec        fsm.LinkSpec
	Selector    *fsm.Selector
	SameCluster bool // source and target are one Kafka cluster
	Source      []Topic
	Target      map[string]Topic
	Copied      map[string]Copied // by source topic
	Taken       map[string]string // target topic -> other link that writes to it
	Made        map[string]Maker  // by target topic
	Empty       map[string][]bool // by target topic and partition: holds no record; only of topics that were examined
}

// Action is what to do for one source topic, in this order.
type Action struct {
	Topic, Target string
	Create        int32   // create the target topic with so many partitions; 0: it is there
	Grow          int32   // raise the target topic to so many partitions; 0: it has enough
	Add           []int32 // partitions that become streams
}

// Refused is a topic that cannot be copied as things stand.
type Refused struct {
	Topic   string
	Code    fsm.Code
	Message string
}

// Plan is what a round has to do.
type Plan struct {
	Actions []Action  // by topic
	Refused []Refused // by topic
	// Examine names target topics of which Empty must be known first; what
	// concerns them is in no other field.
	Examine []string
	Topics  int // selected topics
	Streams int // partitions of selected topics that are or will be copied
}

// Decide makes the plan. Deciding again on what has been carried out gives no
// action.
func Decide(in Input) Plan {
	var p Plan
	owner := map[string]string{} // target topic -> source topic
	topics := slices.SortedFunc(slices.Values(in.Source), func(a, b Topic) int { return cmp.Compare(a.Name, b.Name) })
	for _, t := range topics {
		if !in.selects(t) {
			continue
		}
		p.Topics++
		target := in.Spec.TargetTopic(t.Name)
		if first, ok := owner[target]; ok {
			p.refuse(t, fsm.CodeNotEmpty, "the topic %s becomes %s at the target too", first, target)
			continue
		}
		owner[target] = t.Name
		if c, ok := in.Copied[t.Name]; ok {
			in.decideKnown(&p, t, target, c)
		} else {
			in.decideNew(&p, t, target)
		}
		p.Streams += len(in.Copied[t.Name].Partitions)
	}
	for _, a := range p.Actions {
		p.Streams += len(a.Add)
	}
	return p
}

// selects: internal topics are taken by their exact name alone, whatever the
// broker calls internal.
func (in *Input) selects(t Topic) bool {
	if !in.Selector.Selects(t.Name) {
		return false
	}
	return !t.Internal || slices.Contains(in.Spec.Include, t.Name)
}

// decideNew is about a topic without streams.
func (in *Input) decideNew(p *Plan, t Topic, target string) {
	if r, ok := in.forbidden(t, target); ok {
		p.Refused = append(p.Refused, r)
		return
	}
	have, exists := in.Target[target]
	a := Action{Topic: t.Name, Target: target, Add: upTo(t.Partitions, nil)}
	maker := in.Made[target]
	made := exists && maker.ID != fsm.TopicID{} && maker.ID == have.ID
	switch {
	case !exists:
		a.Create = t.Partitions
	case made && !maker.Ours:
		p.refuse(t, fsm.CodeForeignWriter, "the target topic %s was made by %s", target, maker.Name)
		return
	case have.Partitions < t.Partitions && made:
		a.Grow = t.Partitions // the source grew before the streams were added
	case have.Partitions != t.Partitions:
		p.refuse(t, fsm.CodePartitionMismatch, "the target topic %s exists with %d partitions, the source has %d", target, have.Partitions, t.Partitions)
		return
	}
	if exists && !in.emptyOrShared(p, t, target, upTo(have.Partitions, nil)) {
		return
	}
	p.Actions = append(p.Actions, a)
}

// decideKnown is about a topic that has streams already. A source or target
// topic that was recreated is left to the streams' owners, which stop.
func (in *Input) decideKnown(p *Plan, t Topic, target string, c Copied) {
	if differ(c.SourceID, t.ID) {
		return
	}
	a := Action{Topic: t.Name, Target: target, Add: upTo(t.Partitions, c.Partitions)}
	have, exists := in.Target[target]
	fresh := !c.Mapped || c.Recopy
	switch {
	case !exists && fresh:
		a.Create = t.Partitions
	case !exists || !fresh && differ(c.TargetID, have.ID):
		return
	case have.Partitions < t.Partitions:
		a.Grow = t.Partitions
	case !in.emptyOrShared(p, t, target, a.Add):
		return
	}
	if a.Create > 0 || a.Grow > 0 || len(a.Add) > 0 {
		p.Actions = append(p.Actions, a)
	}
}

// forbidden tells what no look at the target can mend.
func (in *Input) forbidden(t Topic, target string) (Refused, bool) {
	refused := func(code fsm.Code, format string, args ...any) (Refused, bool) {
		return Refused{t.Name, code, fmt.Sprintf(format, args...)}, true
	}
	switch other := in.Taken[target]; {
	case !fsm.ValidTopic(target):
		return refused(fsm.CodePartitionMismatch, "its name at the target, %q, is none that Kafka takes", target)
	case in.SameCluster && target == t.Name:
		return refused(fsm.CodeForeignWriter, "source and target are the same topic of the same Kafka cluster")
	case in.SameCluster && in.Selector.Selects(target):
		return refused(fsm.CodeForeignWriter, "its copy %s would be copied too, without end", target)
	case other != "" && in.Spec.Writers != fsm.WritersShared:
		return refused(fsm.CodeNotEmpty, "the link %s writes to the target topic %s", other, target)
	}
	return Refused{}, false
}

// emptyOrShared reports whether the partitions of an existing target topic may
// be written to, and notes in p what stands against it.
func (in *Input) emptyOrShared(p *Plan, t Topic, target string, partitions []int32) bool {
	if len(partitions) == 0 || in.Spec.Writers == fsm.WritersShared {
		return true
	}
	empty, known := in.Empty[target]
	if !known {
		p.Examine = append(p.Examine, target)
		return false
	}
	for _, n := range partitions {
		if int(n) >= len(empty) || !empty[n] {
			p.refuse(t, fsm.CodeNotEmpty, "partition %d of the existing target topic %s holds records that are not from this link", n, target)
			return false
		}
	}
	return true
}

func (p *Plan) refuse(t Topic, code fsm.Code, format string, args ...any) {
	p.Refused = append(p.Refused, Refused{t.Name, code, fmt.Sprintf(format, args...)})
}

// upTo lists 0 to n-1 without those in have.
func upTo(n int32, have map[int32]bool) []int32 {
	var out []int32
	for i := range n {
		if !have[i] {
			out = append(out, i)
		}
	}
	return out
}

// differ reports whether two topic ids are known and unequal.
func differ(a, b fsm.TopicID) bool {
	return a != fsm.TopicID{} && b != fsm.TopicID{} && a != b
}

// maxStreamsAdd bounds one StreamsAdd in the log, in bytes.
const maxStreamsAdd = 60 << 10

// streamsAdds makes commands of at most 64 KiB each.
func streamsAdds(link fsm.LinkID, streams []fsm.StreamKey, at int64) []*fsm.StreamsAdd {
	var out []*fsm.StreamsAdd
	size := maxStreamsAdd
	for _, s := range streams {
		n := len(s.Topic) + len(s.TargetTopic) + len(`{"topic":"","partition":2147483647,"targetTopic":""},`)
		if size+n > maxStreamsAdd {
			out = append(out, &fsm.StreamsAdd{Link: link, At: at})
			size = 0
		}
		last := out[len(out)-1]
		last.Streams = append(last.Streams, s)
		size += n
	}
	return out
}

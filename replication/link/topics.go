package link

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/task"
	"sluice/words"
)

// topicsInput is all that a topicsPlan rests on.
type topicsInput struct {
	spec        fsm.LinkSpec
	selector    *fsm.Selector
	claim       Key  // of the link: what this Sluice cluster makes for it, it makes under this
	heads       bool // nodes take the offsets before a source's first record at the target
	sameCluster bool // source and target are one Kafka cluster
	source      []kafka.TopicMetadata
	target      map[string]kafka.TopicMetadata
	copied      map[string]copied // by source topic
	adopted     string            // the Sluice cluster that wrote what is in the target, empty: none
	taken       map[string]string // target topic -> other link that writes to it
	made        map[string]maker  // by target topic
	empty       map[string][]bool // by target topic and partition: holds no record; only of topics that were examined
	unknown     map[string]error  // why that is not known of a topic that was examined
	ended       func(fsm.StreamKey) *fsm.EndedStream
}

// copied is what the facts tell of the streams of one source topic.
type copied struct {
	partitions map[int32]bool
	sourceID   fsm.TopicID // of the mappings, zero: unknown
	targetID   fsm.TopicID
	mapped     bool // some stream has a mapping, so the target has its records
	recopy     bool // every stream waits to be copied again into an emptied target
	anew       bool // some stream has an order that needs a target topic, whatever it stopped for
	sourceGone bool // every stream is stopped because the source topic is gone
}

// newTopicsInput puts together what a snapshot and the ledger tell.
func newTopicsInput(s *snapshot, made map[string]maker) (topicsInput, error) {
	in := topicsInput{
		spec: s.link.Spec, claim: s.claim(), made: made, adopted: s.link.Adopted,
		sameCluster: s.source.meta.ClusterID != "" && s.source.meta.ClusterID == s.target.meta.ClusterID,
		target:      map[string]kafka.TopicMetadata{},
	}
	for _, t := range s.source.meta.Topics {
		if t.Err == nil {
			in.source = append(in.source, t)
		}
	}
	slices.SortFunc(in.source, func(a, b kafka.TopicMetadata) int { return cmp.Compare(a.Name, b.Name) })
	for _, t := range s.target.meta.Topics {
		if t.Err == nil {
			in.target[t.Name] = t
		}
	}
	in.heads = fsm.FillsHeads(s.view)
	in.copied, in.taken = copies(s.view, s.link)
	source, target := s.source.meta.ClusterID, s.target.meta.ClusterID
	in.ended = func(key fsm.StreamKey) *fsm.EndedStream { return s.view.EndedStream(source, target, key) }
	var err error
	in.selector, err = s.link.Spec.Selector()
	return in, err
}

// copies summarises the streams of a link by source topic, and tells which
// target topics other links write to on the same target.
func copies(v *fsm.View, link *fsm.Link) (mine map[string]copied, taken map[string]string) {
	mine, taken = map[string]copied{}, map[string]string{}
	rivals := map[fsm.LinkID]string{}
	for _, l := range v.Links {
		if l.ID != link.ID && !l.Deleting && l.Spec.Target == link.Spec.Target {
			rivals[l.ID] = l.Spec.Name
		}
	}
	for t := range v.Tasks {
		if t.Kind != fsm.KindCopy {
			continue
		}
		if name, ok := rivals[t.Link]; ok {
			taken[t.Copy.Stream.TargetTopic] = name
		}
		if t.Link == link.ID {
			mine[t.Copy.Stream.Topic] = mine[t.Copy.Stream.Topic].with(t)
		}
	}
	return mine, taken
}

// with adds what one stream tells.
func (c copied) with(t *fsm.Task) copied {
	if c.partitions == nil {
		c.partitions, c.recopy, c.sourceGone = map[int32]bool{}, true, true
	}
	c.partitions[t.Copy.Stream.Partition] = true
	stop := cmp.Or(t.Copy.Stop, &fsm.Stop{})
	c.recopy = c.recopy && t.Copy.Order == fsm.OrderRecopy
	c.anew = c.anew || t.Copy.Order == fsm.OrderRecopy || t.Copy.Order == fsm.OrderContinue
	c.sourceGone = c.sourceGone && stop.Code == fsm.CodeSourceDeleted
	if t.Copy.Mapping != nil {
		c.mapped = true
		c.sourceID, c.targetID = t.Copy.Mapping.SourceTopicID, t.Copy.Mapping.TargetTopicID
	}
	return c
}

// topicAction is what to do for one source topic, in this order.
type topicAction struct {
	topic, target string
	create        int32   // create the target topic with so many partitions; 0: it is there
	grow          int32   // raise the target topic to so many partitions; 0: it has enough
	add           []int32 // partitions that become streams
	again         []int32 // those of add that go on where an earlier stream ended
}

// topicsPlan is what a round has to do.
type topicsPlan struct {
	actions []topicAction // by topic
	refused []Refused     // by topic
	ends    []topicEnd    // by topic
	leftOut []task.TopicLeftOut
	// examine names target topics of which empty must be known first; what
	// concerns them is in no other field.
	examine []string
	topics  int // selected topics
	streams int // partitions of selected topics that are or will be copied
}

// basis is what a plan rests on: the answers of both sides, the facts, and the
// ledger.
type basis struct {
	source, target *kafka.TopicMetadata
	facts          uint64 // fsm.View.Changed
	ledgerAt       time.Time
}

// decideTopics makes the plan. Deciding again on what has been applied gives no
// action.
func decideTopics(in topicsInput) topicsPlan {
	var p topicsPlan
	owner := map[string]string{} // target topic -> source topic
	for i := range in.source {
		t := &in.source[i]
		if !in.selects(t) {
			continue
		}
		p.topics++
		target := in.spec.TargetTopic(t.Name)
		if first, ok := owner[target]; ok {
			p.refuse(t, fsm.CodeNotEmpty, "the topic %s becomes %s at the target too", first, target)
			continue
		}
		owner[target] = t.Name
		if c, ok := in.copied[t.Name]; ok {
			in.decideKnown(&p, t, target, c)
		} else {
			in.decideNew(&p, t, target)
		}
		p.streams += len(in.copied[t.Name].partitions)
	}
	for _, a := range p.actions {
		p.streams += len(a.add)
	}
	in.decideAbsent(&p)
	return p
}

// topicEnd is a topic whose streams end, and why.
type topicEnd struct {
	topic, reason string
	gone          bool // end only those that are stopped because their source topic is gone
}

// decideAbsent is about topics that are not at the source, or not selected any
// more.
func (in *topicsInput) decideAbsent(p *topicsPlan) {
	there := map[string]bool{}
	for i := range in.source {
		there[in.source[i].Name] = true
		if rule := in.leftOut(&in.source[i]); rule != "" {
			p.leftOut = append(p.leftOut, task.TopicLeftOut{Topic: in.source[i].Name, Rule: rule})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in.copied)) {
		switch c := in.copied[name]; {
		case fsm.Reserved(name): // told by leftOut
		case !in.selector.Selects(name):
			p.ends = append(p.ends, topicEnd{topic: name, reason: "the link's topics do not name it any more"})
		case !there[name] && c.sourceGone && in.spec.OnSourceDeleted == fsm.OnSourceDeletedEnd:
			p.ends = append(p.ends, topicEnd{topic: name, reason: "the source topic was deleted (onSourceDeleted: " + fsm.OnSourceDeletedEnd + ")", gone: true})
		}
	}
	for _, name := range in.selector.Exact() {
		if _, streams := in.copied[name]; !there[name] && !streams {
			p.topics++
			p.refused = append(p.refused, Refused{name, fsm.CodeTopicMissing, fmt.Sprintf("the topic %s is not at Kafka cluster %s, or its user may not see it", name, in.spec.Source)})
		}
	}
	slices.SortFunc(p.refused, func(a, b Refused) int { return cmp.Compare(a.Topic, b.Topic) })
}

// leftOut says by which rule a topic of the source is not copied although a
// pattern means it.
func (in *topicsInput) leftOut(t *kafka.TopicMetadata) string {
	rule := in.selector.LeftOut(t.Name)
	switch _, streams := in.copied[t.Name]; {
	case rule != "" && streams && fsm.Reserved(t.Name):
		return "a topic of Kafka itself that was copied before: its streams go on, and it gets no new ones"
	case rule == "" && t.Internal && in.selector.Selects(t.Name):
		return "the brokers call it internal: it is never copied"
	}
	return rule
}

// selects: what the broker calls internal is never taken.
func (in *topicsInput) selects(t *kafka.TopicMetadata) bool {
	return !t.Internal && in.selector.Selects(t.Name)
}

// decideNew is about a topic without streams.
func (in *topicsInput) decideNew(p *topicsPlan, t *kafka.TopicMetadata, target string) {
	if r, ok := in.forbidden(t, target); ok {
		p.refused = append(p.refused, r)
		return
	}
	have, exists := in.target[target]
	a := topicAction{topic: t.Name, target: target, add: upTo(count(t), nil)}
	if exists {
		a.again = in.endedOf(t, &have)
	}
	maker := in.made[target]
	made := exists && maker.id != fsm.TopicID{} && maker.id == have.ID
	ours := made && (maker.ours(in.claim) || maker.ours(in.claim.of(in.adopted)))
	switch {
	case !exists:
		a.create = count(t)
	case made && !ours && !maker.left:
		p.refuse(t, fsm.CodeForeignWriter, "the target topic %s was made by %s", target, maker)
		return
	case count(&have) < count(t) && (ours || len(a.again) > 0):
		a.grow = count(t) // the source grew before the streams were added
	case count(&have) != count(t):
		p.refuse(t, fsm.CodePartitionMismatch, "the target topic %s exists with %s, the source has %d", target, words.Count(count(&have), "partition"), count(t))
		return
	}
	if exists && !in.emptyOrShared(p, t, target, without(upTo(count(&have), nil), a.again)) {
		return
	}
	p.actions = append(p.actions, a)
}

// endedOf lists the partitions of a topic that were copied to the same target
// topic before: what stands there is their own.
func (in *topicsInput) endedOf(t, target *kafka.TopicMetadata) (partitions []int32) {
	for i := range count(t) {
		old := in.ended(fsm.StreamKey{Topic: t.Name, Partition: i, TargetTopic: target.Name})
		if old != nil && !differ(old.Mapping.SourceTopicID, t.ID) && !differ(old.Mapping.TargetTopicID, target.ID) {
			partitions = append(partitions, i)
		}
	}
	return partitions
}

// decideKnown is about a topic that has streams already. A source or target
// topic that was recreated is left to the streams' owners, which stop.
func (in *topicsInput) decideKnown(p *topicsPlan, t *kafka.TopicMetadata, target string, c copied) {
	have, exists := in.target[target]
	if differ(c.sourceID, t.ID) {
		if !exists && c.anew { // the order is about both
			p.actions = append(p.actions, topicAction{topic: t.Name, target: target, create: count(t)})
		}
		return
	}
	a := topicAction{topic: t.Name, target: target, add: upTo(count(t), c.partitions)}
	fresh := !c.mapped || c.recopy
	switch {
	case !exists && (fresh || c.anew):
		a.create = count(t)
	case !exists || !fresh && differ(c.targetID, have.ID):
		return
	case count(&have) < count(t):
		a.grow = count(t)
	case !in.emptyOrShared(p, t, target, a.add):
		return
	}
	if a.create > 0 || a.grow > 0 || len(a.add) > 0 {
		p.actions = append(p.actions, a)
	}
}

// forbidden tells what no look at the target can mend.
func (in *topicsInput) forbidden(t *kafka.TopicMetadata, target string) (Refused, bool) {
	refused := func(code fsm.Code, format string, args ...any) (Refused, bool) {
		return Refused{t.Name, code, fmt.Sprintf(format, args...)}, true
	}
	switch other := in.taken[target]; {
	case !fsm.ValidTopic(target):
		return refused(fsm.CodePartitionMismatch, "its name at the target, %q, is none that Kafka takes", target)
	case fsm.Reserved(target):
		return refused(fsm.CodePartitionMismatch, "its name at the target, %s, would be one of Kafka's or Sluice's own", target)
	case in.sameCluster && target == t.Name:
		return refused(fsm.CodeForeignWriter, "source and target are the same topic of the same Kafka cluster")
	case in.sameCluster && in.selector.Selects(target):
		return refused(fsm.CodeForeignWriter, "its copy %s would be copied too, without end", target)
	case other != "" && in.spec.Writers != fsm.WritersShared:
		return refused(fsm.CodeNotEmpty, "the link %s writes to the target topic %s", other, target)
	}
	return Refused{}, false
}

// emptyOrShared reports whether the partitions of an existing target topic may
// be written to, and notes in p what stands against it. Streams of an adopted link
// find out themselves whether the records there are theirs.
func (in *topicsInput) emptyOrShared(p *topicsPlan, t *kafka.TopicMetadata, target string, partitions []int32) bool {
	if len(partitions) == 0 || in.spec.Writers == fsm.WritersShared || in.adopted != "" {
		return true
	}
	if err := in.unknown[target]; err != nil {
		p.refuse(t, codeOf(err), "%s", kafka.Explain(err))
		return false
	}
	empty, known := in.empty[target]
	if !known {
		p.examine = append(p.examine, target)
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

func (p *topicsPlan) refuse(t *kafka.TopicMetadata, code fsm.Code, format string, args ...any) {
	p.refused = append(p.refused, Refused{t.Name, code, fmt.Sprintf(format, args...)})
}

// Refused is a topic that cannot be copied as things stand.
type Refused struct {
	Topic   string
	Code    fsm.Code
	Message string
}

// codeOf is the reason code of an error that ends a round or concerns a topic.
func codeOf(err error) fsm.Code {
	if errors.Is(err, ErrClaimed) {
		return fsm.CodeForeignWriter
	}
	code := kafka.Code(err)
	var refused *kerr.Error
	if code == fsm.CodeUnreachable && errors.As(err, &refused) && !refused.Retriable {
		return fsm.CodeTopicRefused
	}
	return code
}

// targetTopic is the topic to create for an action, by the source's configs.
func targetTopic(a topicAction, source []kafka.ConfigEntry, rules targetRules, replication int16) (kafka.CreateTopic, []Changed) {
	configs, changed := targetConfigs(source, rules)
	if replication == 0 {
		replication = -1
	}
	return kafka.CreateTopic{Name: a.target, Partitions: a.create, ReplicationFactor: replication, Configs: configs}, changed
}

// count is the number of a topic's partitions.
func count(t *kafka.TopicMetadata) int32 { return int32(len(t.Partitions)) }

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

// without gives the elements of list that are not in out.
func without(list, out []int32) []int32 {
	return slices.DeleteFunc(list, func(n int32) bool { return slices.Contains(out, n) })
}

// differ reports whether two topic ids are known and unequal.
func differ(a, b fsm.TopicID) bool {
	return a != fsm.TopicID{} && b != fsm.TopicID{} && a != b
}

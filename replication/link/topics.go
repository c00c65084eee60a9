package link

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
)

// topicsInput is all that a topicsPlan rests on.
type topicsInput struct {
	spec        fsm.LinkSpec
	selector    *fsm.Selector
	claim       Key  // of the link: what this Sluice cluster makes for it, it makes under this
	sameCluster bool // source and target are one Kafka cluster
	source      []kafka.TopicMetadata
	target      map[string]kafka.TopicMetadata
	copied      map[string]copied // by source topic
	taken       map[string]string // target topic -> other link that writes to it
	made        map[string]maker  // by target topic
	empty       map[string][]bool // by target topic and partition: holds no record; only of topics that were examined
}

// copied is what the facts tell of the streams of one source topic.
type copied struct {
	partitions map[int32]bool
	sourceID   fsm.TopicID // of the mappings, zero: unknown
	targetID   fsm.TopicID
	mapped     bool // some stream has a mapping, so the target has its records
	recopy     bool // every stream waits to be copied again into an emptied target
}

// newTopicsInput puts together what a snapshot and the ledger tell.
func newTopicsInput(s *snapshot, made map[string]maker) (topicsInput, error) {
	in := topicsInput{
		spec: s.link.Spec, claim: s.claim(), made: made,
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
	in.copied, in.taken = copies(s.view, s.link)
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
		c.partitions, c.recopy = map[int32]bool{}, true
	}
	c.partitions[t.Copy.Stream.Partition] = true
	c.recopy = c.recopy && t.Copy.Order == fsm.OrderRecopy
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
}

// topicsPlan is what a round has to do.
type topicsPlan struct {
	actions []topicAction // by topic
	refused []Refused     // by topic
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
	index          uint64
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
	return p
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
	maker := in.made[target]
	made := exists && maker.id != fsm.TopicID{} && maker.id == have.ID
	switch {
	case !exists:
		a.create = count(t)
	case made && !maker.ours(in.claim):
		p.refuse(t, fsm.CodeForeignWriter, "the target topic %s was made by %s", target, maker)
		return
	case count(&have) < count(t) && made:
		a.grow = count(t) // the source grew before the streams were added
	case count(&have) != count(t):
		p.refuse(t, fsm.CodePartitionMismatch, "the target topic %s exists with %d partitions, the source has %d", target, count(&have), count(t))
		return
	}
	if exists && !in.emptyOrShared(p, t, target, upTo(count(&have), nil)) {
		return
	}
	p.actions = append(p.actions, a)
}

// decideKnown is about a topic that has streams already. A source or target
// topic that was recreated is left to the streams' owners, which stop.
func (in *topicsInput) decideKnown(p *topicsPlan, t *kafka.TopicMetadata, target string, c copied) {
	if differ(c.sourceID, t.ID) {
		return
	}
	a := topicAction{topic: t.Name, target: target, add: upTo(count(t), c.partitions)}
	have, exists := in.target[target]
	fresh := !c.mapped || c.recopy
	switch {
	case !exists && fresh:
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
// be written to, and notes in p what stands against it.
func (in *topicsInput) emptyOrShared(p *topicsPlan, t *kafka.TopicMetadata, target string, partitions []int32) bool {
	if len(partitions) == 0 || in.spec.Writers == fsm.WritersShared {
		return true
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

// differ reports whether two topic ids are known and unequal.
func differ(a, b fsm.TopicID) bool {
	return a != fsm.TopicID{} && b != fsm.TopicID{} && a != b
}

// outcome is what became of one action.
type outcome struct {
	note  string // what was done, for the event
	err   error
	later bool // look again in the next round
}

// sum gives the streams of the actions that went well, and the topics that
// cannot be copied as things stand.
func sum(actions []topicAction, outcomes []outcome) (streams []fsm.StreamKey, refused []Refused) {
	for i, a := range actions {
		switch o := outcomes[i]; {
		case o.later:
		case o.err != nil:
			refused = append(refused, Refused{a.topic, codeOf(o.err), o.err.Error()})
		default:
			for _, p := range a.add {
				streams = append(streams, fsm.StreamKey{Topic: a.topic, Partition: p, TargetTopic: a.target})
			}
		}
	}
	return streams, refused
}

// grown, created and added are the outcomes of what an action does.
func grown(a topicAction, err error) outcome {
	return outcome{note: fmt.Sprintf("%s raised to %d partitions", a.target, a.grow), err: err}
}

func added(a topicAction) outcome {
	return outcome{note: fmt.Sprintf("%d partitions of %s are copied to %s", len(a.add), a.topic, a.target)}
}

func created(a topicAction, changed []Changed, err error) outcome {
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return outcome{later: true} // it appeared meanwhile: whose is it?
	}
	note := fmt.Sprintf("%s created with %d partitions", a.target, a.create)
	var diffs []string
	for _, c := range changed {
		diffs = append(diffs, fmt.Sprintf("%s %s (source: %s)", c.Name, cmp.Or(c.Target, "the target's default"), c.Source))
	}
	if len(diffs) > 0 {
		note += "; other than at the source: " + strings.Join(diffs, ", ")
	}
	return outcome{note: note, err: err}
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

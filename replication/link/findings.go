package link

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/fsm"
	"sluice/fsm/reason"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/replication/offsets"
	"sluice/words"
)

// TopicCheck is a topic that the link would copy.
type TopicCheck struct {
	Topic, Target string
	Partitions    int32
	Exists        bool     // the target topic is there already
	Copied        bool     // by this link already; nothing of what follows is told then
	Bytes         int64    // to be copied, about, as the source holds them; -1: unknown
	Settings      []string // what is set or differs at the target, in sentences
}

// findings are what Preflight tells, in sentences.
type findings struct {
	refusals, warnings []string
}

func (f *findings) refuse(format string, args ...any) {
	f.refusals = append(f.refusals, fmt.Sprintf(format, args...))
}

func (f *findings) warn(format string, args ...any) {
	f.warnings = append(f.warnings, fmt.Sprintf(format, args...))
}

// explain says what an operator can do about an error of reaching a cluster.
func explain(k fsm.KafkaCluster, err error) string {
	text := kafka.Explain(err)
	if text == err.Error() && !errors.Is(err, ErrClaimed) {
		text += "; is it up, and are its bootstrap addresses right from here: " + strings.Join(k.Bootstrap, ", ") + "?"
	}
	return fmt.Sprintf("Kafka cluster %s: %s", k.Name, text)
}

// addresses tells which bootstrap addresses do not answer while others do.
func (f *findings) addresses(k fsm.KafkaCluster, silent map[string]error) {
	for _, addr := range slices.Sorted(maps.Keys(silent)) {
		f.warn("Kafka cluster %s: its bootstrap address %s does not answer as others do: %s", k.Name, addr, kafka.Explain(silent[addr]))
	}
}

// farAway is the round trip from which on a plan tells what it costs.
const farAway = 30 * time.Millisecond

// distance tells what a long way to the target costs.
func (f *findings) distance(k fsm.KafkaCluster, trip time.Duration) {
	if trip < farAway {
		return
	}
	const inFlight, large = 5, 256 << 10 // batches of a partition, bytes of one
	where := "nodes near it (datacenter in node.yaml and in the KafkaCluster)"
	if k.Datacenter != "" {
		where = "nodes with datacenter " + k.Datacenter
	}
	f.warn("Kafka cluster %s: a round trip takes %v from the node that was asked; with five batches of a partition under way, large ones (256 KB) are copied at %.1f MB/s a partition at most; "+
		"a long way costs less where it is read over: %s copy to it, if there are any", k.Name, trip.Round(time.Millisecond), inFlight*large/1e6/trip.Seconds(), where)
}

// silent tells which partitions of the source do not answer; they are copied
// once they do. unset: where they start is not known either.
func (f *findings) silent(spec fsm.LinkSpec, failed map[catalog.Partition]error, unset bool) {
	var told fold
	why := map[string]error{}
	for _, p := range slices.SortedFunc(maps.Keys(failed), func(a, b catalog.Partition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Number, b.Number))
	}) {
		code := string(codeOf(failed[p]))
		told.add(fmt.Sprintf("%s/%d", p.Topic, p.Number), code)
		why[code] = cmp.Or(why[code], failed[p])
	}
	then := "what is there is copied as soon as it answers"
	if unset {
		then += ", from its log start, since start: " + spec.Start + " cannot be found out now"
	}
	for _, code := range told.texts {
		f.warn("Kafka cluster %s: %s without an answer (%s: %s): %s", spec.Source, words.Named("partition", told.topics[code]), code, kafka.Explain(why[code]), then)
	}
}

// selection lists what the link would copy now, by name, with the topics of the
// source.
func (f *findings) selection(in *topicsInput) (checks []TopicCheck, topics []kafka.TopicMetadata) {
	for i := range in.source {
		t := &in.source[i]
		if !in.selects(t) {
			continue
		}
		target := in.spec.TargetTopic(t.Name)
		_, exists := in.target[target]
		_, copied := in.copied[t.Name]
		topics = append(topics, *t)
		checks = append(checks, TopicCheck{Topic: t.Name, Target: target, Partitions: count(t), Exists: exists, Copied: copied, Bytes: -1})
	}
	for _, name := range in.spec.Include {
		if slices.ContainsFunc(in.source, func(t kafka.TopicMetadata) bool { return t.Internal && t.Name == name }) {
			f.warn("topic %s of Kafka cluster %s is an internal one of Kafka's; no link copies it", name, in.spec.Source)
			continue
		}
	}
	if len(checks) == 0 {
		f.warn("no topic of Kafka cluster %s is selected yet", in.spec.Source)
	}
	return checks, topics
}

// unfit tells which topics cannot be copied, and which are copied no more.
func (f *findings) unfit(p *topicsPlan) {
	for _, e := range p.ends {
		f.warn("topic %s: its streams end, because %s; the target keeps its records", e.topic, e.reason)
	}
	for _, r := range p.refused {
		switch {
		case r.Code == fsm.CodeTopicMissing:
			f.warn("%s; it is copied from its start as soon as it appears", r.Message)
			continue
		case reason.SeverityOf(r.Code) < reason.Stopped:
			f.warn("topic %s waits (%s): %s; it is copied as soon as that has passed", r.Topic, r.Code, r.Message)
			continue
		}
		f.refuse("topic %s (%s): %s; %s", r.Topic, r.Code, r.Message, reason.Of(r.Code).Advice)
	}
}

// fold is what is told of several topics in the same words, in the order in
// which it came.
type fold struct {
	texts  []string
	topics map[string][]string // by text
}

func (f *fold) add(topic, text string) {
	if f.topics == nil {
		f.topics = map[string][]string{}
	}
	if f.topics[text] == nil {
		f.texts = append(f.texts, text)
	}
	f.topics[text] = append(f.topics[text], topic)
}

// settings tells what is found of the settings of target topics, of those that
// exist and those that will be created.
func (f *findings) settings(existing, created fold) {
	for _, text := range existing.texts {
		f.warn("target %s: %s", words.Named("topic", existing.topics[text]), text)
	}
	for _, text := range created.texts {
		f.warn("target %s: created with %s", words.Named("topic", created.topics[text]), text)
	}
}

// tellExisting tells which settings of an existing target topic would refuse,
// change or remove records of the source.
func tellExisting(told *fold, topic string, source, target kafka.ConfigsResult) (texts []string) {
	if err := cmp.Or(source.Err, target.Err); err != nil {
		texts = []string{fmt.Sprintf("its settings cannot be compared with the source's: %s", kafka.Explain(err))}
	} else {
		texts = compareConfigs(source.Entries, target.Entries)
	}
	for _, text := range texts {
		told.add(topic, text)
	}
	return texts
}

// tellCreated tells what a target topic gets so that it has what the source's
// topic has by its brokers' defaults.
func tellCreated(told *fold, topic string, source []kafka.ConfigEntry, rules targetRules) (texts []string) {
	configs, _ := targetConfigs(source, rules)
	for _, e := range source {
		v, set := configs[e.Name]
		if have := rules.defaults[e.Name]; set && e.Default && have != "" && v != have && slices.Contains(carried(), e.Name) {
			text := fmt.Sprintf("%s=%s as at the source, where the target's default is %s", e.Name, v, have)
			told.add(topic, text)
			texts = append(texts, "created with "+text)
		}
	}
	return texts
}

// offsetsAt is one offset of each partition.
type offsetsAt = map[catalog.Partition]int64

// startOffsets is where each partition starts: latest is the last stable
// offset, for a transaction that is open now is copied whole from there on; a
// time after the last record (-1) means the same.
func startOffsets(latest, found offsetsAt) offsetsAt {
	for p, offset := range found { // in any order
		if offset < 0 {
			found[p] = latest[p]
		}
	}
	return found
}

func startsOf(topics []TopicCheck, at offsetsAt) []fsm.StartAt {
	out := make([]fsm.StartAt, 0, len(topics))
	for _, t := range topics {
		s := fsm.StartAt{Topic: t.Topic, Offsets: make([]int64, t.Partitions)}
		for i := range s.Offsets {
			s.Offsets[i] = at[catalog.Partition{Topic: t.Topic, Number: int32(i)}]
		}
		out = append(out, s)
	}
	return out
}

// shift: a stream that does not begin at offset 0 of its source begins at another
// offset at the target, or, where offsets are to be identical, has those before it
// taken first.
func (f *findings) shift(in *topicsInput, topics []TopicCheck, heads, starts offsetsAt) {
	shifted, example := 0, ""
	var all, most int64 // offsets before the streams' starts
	for _, t := range topics {
		for i := range t.Partitions {
			p := catalog.Partition{Topic: t.Topic, Number: i}
			at := max(heads[p], starts[p])
			if in.copied[t.Topic].partitions[i] || at == 0 { // its start was decided long ago
				continue
			}
			if shifted == 0 {
				example = fmt.Sprintf("%s/%d begins at %d", t.Topic, i, at)
			}
			shifted++
			all, most = all+at, max(most, at)
		}
	}
	switch {
	case shifted == 0:
	case in.spec.Offsets == fsm.OffsetsIdentical && !in.heads:
		f.refuse("offsets: identical cannot be kept for %s (%s): first records are gone or left out, and some nodes are too old to take their offsets; use offsets: auto", words.Count(shifted, "partition"), example)
	case in.spec.Offsets == fsm.OffsetsIdentical && most > offsets.MostFilled:
		f.refuse("offsets: identical cannot be kept for %s (%s): first records are gone, and more than %d offsets would have to be taken at the target before the first one; use offsets: auto",
			words.Count(shifted, "partition"), example, int64(offsets.MostFilled))
	case in.spec.Offsets == fsm.OffsetsIdentical:
		f.warn("%s %s copied after %s of records that are gone at the source %s taken at the target (%s), in about %v with one node; the target's user needs DELETE on these topics",
			words.Count(shifted, "partition"), words.Verb(shifted, "is", "are"), words.Count(all, "offset"), words.Verb(all, "is", "are"), example,
			(time.Duration(all/offsets.FilledPerSecond)*time.Second + time.Second).Round(time.Second))
	case in.spec.Offsets == fsm.OffsetsAuto:
		f.warn("%s %s shifted offsets at the target (%s)", words.Count(shifted, "partition"), words.Verb(shifted, "gets", "get"), example)
	}
}

// shortExpiry is how long brokers should remember an idle producer at least:
// where it is less, streams that rest for a while wait at every takeover.
const shortExpiry = 4 * time.Hour

// expiryWarning is about how long brokers remember an idle producer, in ms; 0:
// unknown.
func expiryWarning(ms int) string {
	if d := time.Duration(ms) * time.Millisecond; ms > 0 && d < shortExpiry {
		return fmt.Sprintf("%s is %v, where brokers have 24 h by default: a stream whose last record is older waits some seconds longer when another node takes it over", brokerPIDExpiry, d)
	}
	return ""
}

// brokers is about what the target's brokers are set to.
func (f *findings) brokers(spec fsm.LinkSpec, brokers int, rules targetRules, err error) {
	if n := int(spec.ReplicationFactor); n > brokers {
		f.refuse("targetTopics.replicationFactor is %d, Kafka cluster %s has %s", n, spec.Target, words.Count(brokers, "broker"))
	}
	if err != nil {
		f.warn("Kafka cluster %s: its broker settings cannot be read, so topics are created with the broker's defaults for what the source does not set itself: %s", spec.Target, kafka.Explain(err))
	}
	if text := expiryWarning(rules.expiry); text != "" {
		f.warn("Kafka cluster %s: %s", spec.Target, text)
	}
}

// claims is about whether another Sluice cluster copies the link. One that is
// paused may be taken over.
func (f *findings) claims(l *fsm.Link, st standing, err error) {
	spec := l.Spec
	switch {
	case err != nil:
		f.warn("Kafka cluster %s: topic %s cannot be read; the link's user needs CREATE, READ and WRITE on it: %s", spec.Target, LedgerTopic, kafka.Explain(err))
	case st.other == "" || st.other == l.Adopted || st.other == l.Held:
	case spec.State == fsm.StatePaused:
		f.warn("link %s is claimed by the Sluice cluster %s (record in topic %s of Kafka cluster %s): nothing is copied before it is deleted there, or, where that cluster is lost for good, taken over with `sluice link adopt %s`",
			spec.Name, st.other, LedgerTopic, spec.Target, spec.Name)
	default:
		f.refuse("link %s is claimed by the Sluice cluster %s (record in topic %s of Kafka cluster %s): delete it there first; where that cluster is lost for good, apply the link with state: paused, then `sluice link adopt %s`",
			spec.Name, st.other, LedgerTopic, spec.Target, spec.Name)
	}
}

// compareConfigs tells which settings of an existing target topic would
// refuse or change records of the source.
func compareConfigs(source, target []kafka.ConfigEntry) []string {
	var out []string
	if have, need := number(target, cfgMaxBytes), number(source, cfgMaxBytes); have > 0 && have < need {
		out = append(out, fmt.Sprintf("%s is %d, the source's %d: larger batches are split, and a larger record stops its stream (record-too-large); raise it", cfgMaxBytes, have, need))
	}
	if value(target, cfgTimestampType) == "LogAppendTime" {
		out = append(out, cfgTimestampType+" is LogAppendTime: records get new timestamps; set it to CreateTime")
	}
	if need, have := value(source, cfgCleanup), value(target, cfgCleanup); need != "" && have != "" && !sameValue(cfgCleanup, need, have) {
		out = append(out, fmt.Sprintf("%s is %s, the source's %s: %s", cfgCleanup, have, need, cleanupMeans(need, have)))
	}
	for _, name := range []string{cfgRetentionMs, cfgRetentionBytes} {
		if value(source, cfgCleanup) == "compact" && value(target, cfgCleanup) == "compact" {
			break // retention is for what is deleted
		}
		if need, have := value(source, name), value(target, name); need != "" && have != "" && need != have {
			out = append(out, fmt.Sprintf("%s is %s, the source's %s: the two sides keep records for different lengths; set it to %s", name, have, need, need))
		}
	}
	if c := value(target, cfgCompression); c != "" && c != "producer" {
		out = append(out, fmt.Sprintf("%s is %s: the broker compresses every batch anew; set it to producer", cfgCompression, c))
	}
	for _, name := range []string{cfgTimestampBefore, cfgTimestampAfter, cfgTimestampDiff} {
		if name == cfgTimestampAfter && value(source, name) != "" && number(target, name) >= number(source, name) {
			continue // what the source took is not too far ahead
		}
		if v := value(target, name); v != "" && v != widest {
			out = append(out, fmt.Sprintf("%s is %s ms: other timestamps stop their stream (timestamp-refused); raise it to %s", name, v, widest))
		}
	}
	return out
}

// cleanupMeans says what a cleanup.policy does at the target that is not the
// source's.
func cleanupMeans(source, target string) string {
	switch {
	case strings.Contains(target, "compact") && !strings.Contains(source, "compact"):
		return "records with the key of a later one are removed, and records without a key stop their stream (keyless-record); set it to " + source
	case strings.Contains(target, "delete") && !strings.Contains(source, "delete"):
		return "the target removes records by age and size that the source keeps; set it to " + source
	}
	return "the target keeps records that the source removes; set it to " + source
}

// newToLink lists the topics that the link does not copy yet.
func newToLink(topics []TopicCheck) (list []*TopicCheck) {
	for i := range topics {
		if !topics[i].Copied {
			list = append(list, &topics[i])
		}
	}
	return list
}

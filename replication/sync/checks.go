package sync

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/fsm/reason"
	"sluice/kafka"
)

// checkTargets holds the selected topics against what is at the target.
func (f *preflight) checkTargets(ctx context.Context) {
	p := Decide(f.in)
	if len(p.Examine) > 0 {
		empty, err := examine(ctx, f.target.client, f.target.meta, p.Examine)
		if err != nil {
			f.refuse("Kafka cluster %s: %v", f.spec.Target, err)
			return
		}
		f.in.Empty = empty
		p = Decide(f.in)
	}
	for _, r := range p.Refused {
		f.refuse("topic %s (%s): %s; %s", r.Topic, r.Code, r.Message, reason.Of(r.Code).Advice)
	}
	f.checkConfigs(ctx)
}

// checkConfigs warns of what existing target topics that are new to the link
// do to records.
func (f *preflight) checkConfigs(ctx context.Context) {
	texts := make([][]string, len(f.Topics))
	var g errgroup.Group
	g.SetLimit(parallel)
	for i, t := range f.Topics {
		if _, ours := f.in.Copied[t.Topic]; ours || !t.Exists {
			continue
		}
		g.Go(func() error {
			source, err := f.source.client.TopicConfigs(ctx, t.Topic)
			if err == nil {
				var target []kafka.ConfigEntry
				target, err = f.target.client.TopicConfigs(ctx, t.Target)
				texts[i] = compareConfigs(source, target)
			}
			if err != nil {
				texts[i] = []string{fmt.Sprintf("its settings cannot be compared with the source's: %v", err)}
			}
			return nil
		})
	}
	_ = g.Wait() // no function returns an error
	for i, t := range f.Topics {
		for _, text := range texts[i] {
			f.warn("target topic %s: %s", t.Target, text)
		}
	}
}

// compareConfigs tells which settings of an existing target topic would
// refuse or change records of the source.
func compareConfigs(source, target []kafka.ConfigEntry) []string {
	var out []string
	if have, need := number(target, cfgMaxBytes), number(source, cfgMaxBytes); have > 0 && have < need {
		out = append(out, fmt.Sprintf("%s is %d, the source's %d: larger batches stop their stream (record-too-large); raise it", cfgMaxBytes, have, need))
	}
	if value(target, cfgTimestampType) == "LogAppendTime" {
		out = append(out, cfgTimestampType+" is LogAppendTime: records get new timestamps; set it to CreateTime")
	}
	if c := value(target, cfgCompression); c != "" && c != "producer" {
		out = append(out, fmt.Sprintf("%s is %s: the broker compresses every batch anew; set it to producer", cfgCompression, c))
	}
	for _, name := range []string{cfgTimestampBefore, cfgTimestampAfter, cfgTimestampDiff} {
		if v := value(target, name); v != "" && v != widest {
			out = append(out, fmt.Sprintf("%s is %s ms: other timestamps stop their stream (timestamp-refused); raise it to %s", name, v, widest))
		}
	}
	return out
}

// checkStarts resolves what start means now, and whether offsets can be
// identical with it.
func (f *preflight) checkStarts(ctx context.Context) {
	heads, err := listOffsets(ctx, f.source.client, f.selected, kafka.ReadUncommitted, kafka.Earliest)
	if err != nil {
		f.refuse("Kafka cluster %s: the log starts cannot be read: %v; try again when every partition has a leader", f.spec.Source, err)
		return
	}
	starts := heads
	if f.old == nil && f.spec.Start != fsm.StartEarliest {
		if starts = f.resolve(ctx); starts == nil {
			return
		}
		f.Starts = startsOf(f.Topics, starts)
	}
	f.checkShift(heads, starts)
}

// resolve returns where each partition starts, nil after a refusal. Latest is
// the last stable offset: a transaction that is open now is copied whole from
// there on. A time after the last record means the same.
func (f *preflight) resolve(ctx context.Context) map[partition]int64 {
	latest, err := listOffsets(ctx, f.source.client, f.selected, kafka.ReadCommitted, kafka.Latest)
	if err != nil {
		f.refuse("Kafka cluster %s: start %s cannot be resolved: %v; try again when every partition has a leader", f.spec.Source, f.spec.Start, err)
		return nil
	}
	if f.spec.Start == fsm.StartLatest {
		return latest
	}
	at, err := time.Parse(time.RFC3339, f.spec.Start)
	if err != nil {
		f.refuse("start %q is neither earliest, latest nor an RFC 3339 time", f.spec.Start)
		return nil
	}
	found, err := listOffsets(ctx, f.source.client, f.selected, kafka.ReadCommitted, at.UnixMilli())
	if err != nil {
		f.refuse("Kafka cluster %s: start %s cannot be resolved: %v; try again when every partition has a leader", f.spec.Source, f.spec.Start, err)
		return nil
	}
	for p, offset := range found {
		if offset < 0 {
			found[p] = latest[p]
		}
	}
	return found
}

func startsOf(topics []TopicCheck, at map[partition]int64) []fsm.StartAt {
	out := make([]fsm.StartAt, 0, len(topics))
	for _, t := range topics {
		s := fsm.StartAt{Topic: t.Topic, Offsets: make([]int64, t.Partitions)}
		for i := range s.Offsets {
			s.Offsets[i] = at[partition{t.Topic, int32(i)}]
		}
		out = append(out, s)
	}
	return out
}

// checkShift: a stream that does not begin at offset 0 of its source begins at
// another offset at the target, as long as there are no filler batches.
func (f *preflight) checkShift(heads, starts map[partition]int64) {
	shifted, example := 0, ""
	for _, t := range f.Topics {
		for i := range t.Partitions {
			p := partition{t.Topic, i}
			if f.in.Copied[t.Topic].Partitions[i] {
				continue // its start was decided long ago
			}
			if at := max(heads[p], starts[p]); at > 0 {
				if shifted == 0 {
					example = fmt.Sprintf("%s/%d begins at %d", t.Topic, i, at)
				}
				shifted++
			}
		}
	}
	switch {
	case shifted == 0:
	case f.spec.Offsets == fsm.OffsetsIdentical:
		f.refuse("offsets: identical cannot be kept for %d partitions (%s): their first records are gone or left out; use offsets: auto", shifted, example)
	case f.spec.Offsets == fsm.OffsetsAuto:
		f.warn("%d partitions get shifted offsets at the target (%s)", shifted, example)
	}
}

// safeExpiry is how long brokers should remember an idle producer.
const safeExpiry = 24 * time.Hour

// checkBroker looks at what the target's brokers are set to.
func (f *preflight) checkBroker(ctx context.Context) {
	if len(f.target.meta.Brokers) == 0 {
		return
	}
	if n, have := int(f.spec.ReplicationFactor), len(f.target.meta.Brokers); n > have {
		f.refuse("targetTopics.replicationFactor is %d, Kafka cluster %s has %d brokers", n, f.spec.Target, have)
	}
	configs, err := f.target.client.BrokerConfigs(ctx, f.target.meta.Brokers[0].ID)
	if err != nil {
		f.warn("Kafka cluster %s: its broker settings cannot be read (%v); make sure that %s is above 24 h", f.spec.Target, err, brokerPIDExpiry)
		return
	}
	if text := expiryWarning(number(configs, brokerPIDExpiry)); text != "" {
		f.warn("Kafka cluster %s: %s", f.spec.Target, text)
	}
}

// expiryWarning is about how long brokers remember an idle producer, in ms; 0:
// unknown.
func expiryWarning(ms int) string {
	if d := time.Duration(ms) * time.Millisecond; ms > 0 && d <= safeExpiry {
		return fmt.Sprintf("%s is %v: a stream whose last record is older waits some seconds longer at a takeover; raise it to 7 days on all brokers "+
			"(kafka-configs.sh --alter --entity-type brokers --entity-default --add-config %s=604800000)", brokerPIDExpiry, d, brokerPIDExpiry)
	}
	return ""
}

// checkClaim looks whether another Sluice cluster copies the link.
func (f *preflight) checkClaim(ctx context.Context) {
	l, err := readLedger(ctx, f.target.client)
	if err != nil {
		f.warn("Kafka cluster %s: topic %s cannot be read (%v): give the user CREATE, READ and WRITE on it", f.spec.Target, LedgerTopic, err)
		return
	}
	mine := Key{Kind: kindClaim, Sluice: f.view.ClusterID, Source: f.source.meta.ClusterID, Link: f.spec.Name}
	if st := l.standing(mine); st.Other != "" {
		f.refuse("link %s is claimed by the Sluice cluster %s (record in topic %s of Kafka cluster %s): delete it there first", f.spec.Name, st.Other, LedgerTopic, f.spec.Target)
	}
}

package verify

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/words"
)

// selection is what a comparison has to cover.
type selection struct {
	streams  []*stream
	left     []LeftOut // what no stream copies
	selected Scope
}

// selectionInput is all that a selection rests on.
type selectionInput struct {
	spec    *fsm.LinkSpec
	asked   []string // source topics, empty: all
	source  []kafka.TopicMetadata
	target  []kafka.TopicMetadata
	streams []*stream // that the link has
}

// choose finds all partitions that the link's selectors mean now, and those that
// it copies for another reason.
func (in *selectionInput) choose() (selection, error) {
	selector, err := in.spec.Selector()
	if err != nil {
		return selection{}, err
	}
	var out selection
	have := map[string]map[int32]bool{}
	for _, s := range in.streams {
		k := s.key
		if !in.asks(k.Topic) {
			continue
		}
		if have[k.Topic] == nil {
			have[k.Topic] = map[int32]bool{}
		}
		have[k.Topic][k.Partition] = true
		out.streams = append(out.streams, s)
	}
	out.selected = Scope{Topics: len(have), Partitions: len(out.streams)}
	seen := map[string]bool{}
	for i := range in.source {
		if t := &in.source[i]; in.asks(t.Name) && !t.Internal && selector.Selects(t.Name) {
			seen[t.Name] = true
			in.add(&out, t, have[t.Name])
		}
	}
	for _, name := range in.asked {
		if !seen[name] && have[name] == nil {
			out.left = append(out.left, LeftOut{Topic: name, Why: NothingSelected, Message: "the source has no such topic, or its user may not see it"})
		}
	}
	if out.selected.Topics == 0 && len(out.left) == 0 {
		out.left = append(out.left, LeftOut{Why: NothingSelected, Message: "the source has no topic that the link selects"})
	}
	slices.SortStableFunc(out.left, func(a, b LeftOut) int { return cmp.Compare(a.Topic, b.Topic) })
	return out, nil
}

// add adds a topic that is selected and has streams of these partitions.
func (in *selectionInput) add(out *selection, t *kafka.TopicMetadata, have map[int32]bool) {
	var without []int32
	for _, p := range t.Partitions {
		if !have[p.Partition] {
			without = append(without, p.Partition)
		}
	}
	if have == nil {
		out.selected.Topics++
	}
	out.selected.Partitions += len(without)
	switch {
	case t.Err != nil:
		out.left = append(out.left, LeftOut{Topic: t.Name, Why: Unreadable, Message: "the source says: " + t.Err.Error()})
	case len(without) > 0:
		out.left = append(out.left, LeftOut{Topic: t.Name, Partitions: without, Why: NoStream, Message: in.without(t, have != nil)})
	}
}

func (in *selectionInput) asks(topic string) bool {
	return len(in.asked) == 0 || slices.Contains(in.asked, topic)
}

// without says what can be seen of a topic that is not copied, or not wholly.
func (in *selectionInput) without(t *kafka.TopicMetadata, partly bool) string {
	target := in.spec.TargetTopic(t.Name)
	i := slices.IndexFunc(in.target, func(m kafka.TopicMetadata) bool { return m.Name == target })
	switch {
	case i < 0:
		return fmt.Sprintf("the link does not copy it: the target has no topic %s; see `sluice link describe %s`", target, in.spec.Name)
	case len(in.target[i].Partitions) != len(t.Partitions):
		return fmt.Sprintf("the link does not copy it: the source has %s, the target topic %s has %d", words.Count(len(t.Partitions), "partition"), target, len(in.target[i].Partitions))
	case partly:
		return "the link does not copy these partitions yet"
	}
	return fmt.Sprintf("the link does not copy it; see `sluice link describe %s`", in.spec.Name)
}

// knows reports whether the link may mean a topic at all.
func (in *selectionInput) knows(topic string) (bool, error) {
	selector, err := in.spec.Selector()
	if err != nil {
		return false, err
	}
	return selector.Selects(topic) || slices.ContainsFunc(in.streams, func(s *stream) bool { return s.key.Topic == topic }), nil
}

// ErrNotSelected says that a topic is none of the link's.
var ErrNotSelected = errors.New("the link does not select the topic")

package link

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"sluice/fsm"
	"sluice/words"
)

// alike is what is known of how the copied topics of a link are at the target
// as they are at the source: their settings, and the records that both keep. A
// pass over all of them takes a few in each round.
type alike struct {
	began  time.Time // the pass under way, or the last one
	passed time.Time // when the last whole pass began, zero: none yet
	rest   []copiedTopic
	found  map[string]compared // by source topic
	told   map[toldOf]string   // what events tell of and have not ended; nil: not read yet
	sum    *Differences        // of found; nil: it has changed
}

// copiedTopic is a topic with streams.
type copiedTopic struct {
	topic, target string
	streams       []fsm.TaskID
}

// compared is what is known of one topic.
type compared struct {
	differ []SettingsDiffer
	lost   []TargetLost
	unread error // why its settings are not known
	unseen bool  // not all that tells what is lost is known
}

// toldOf is what an event tells of. With it goes its mark: an event of another
// mark is worth telling anew; empty: not known.
type toldOf struct {
	topic string
	code  fsm.Code
}

// copiedTopics lists the topics of a link by name.
func copiedTopics(v *fsm.View, link fsm.LinkID) []copiedTopic {
	index := map[string]int{}
	var out []copiedTopic
	for t := range v.Tasks {
		if t.Kind != fsm.KindCopy || t.Link != link {
			continue
		}
		i, ok := index[t.Copy.Stream.Topic]
		if !ok {
			i = len(out)
			index[t.Copy.Stream.Topic] = i
			out = append(out, copiedTopic{topic: t.Copy.Stream.Topic, target: t.Copy.Stream.TargetTopic})
		}
		out[i].streams = append(out[i].streams, t.ID)
	}
	slices.SortFunc(out, func(a, b copiedTopic) int { return cmp.Compare(a.topic, b.topic) })
	return out
}

// toldBefore reads from a link's events, oldest first, what they tell of and
// have not ended.
func toldBefore(events []*fsm.Event) map[toldOf]string {
	out := map[toldOf]string{}
	for _, e := range events {
		switch e.Code {
		case fsm.CodeSettingsDiffer, fsm.CodeTargetLost:
			out[toldOf{e.Topic, e.Code}] = ""
		case fsm.CodeSettingsAgree:
			delete(out, toldOf{e.Topic, fsm.CodeSettingsDiffer})
		case fsm.CodeTargetWhole:
			delete(out, toldOf{e.Topic, fsm.CodeTargetLost})
		}
	}
	return out
}

// begin starts a pass over topics; of the others nothing is known any more.
func (a *alike) begin(now time.Time, topics []copiedTopic) {
	a.began, a.rest = now, topics
	found := make(map[string]compared, len(topics))
	for _, t := range topics {
		if c, ok := a.found[t.topic]; ok {
			found[t.topic] = c
		}
	}
	a.found, a.sum = found, nil
}

// next takes topics of the pass under way, at most n.
func (a *alike) next(n int) []copiedTopic {
	n = min(n, len(a.rest))
	list := a.rest[:n]
	a.rest = a.rest[n:]
	return list
}

// learn keeps what a comparison of a topic found. What it could not find out
// stays as it was known before.
func (a *alike) learn(t copiedTopic, c compared) {
	if c.unread != nil {
		c.differ = a.found[t.topic].differ
	}
	if c.unseen {
		c.lost = a.found[t.topic].lost
	}
	a.found[t.topic], a.sum = c, nil
}

// news is an event to be recorded of a topic.
type news struct {
	code    fsm.Code
	message string
}

// news tells what of a topic's findings has no event yet, and what has ended. A
// loss that grows is told anew when it has doubled.
func (a *alike) news(t copiedTopic) []news {
	c := a.found[t.topic]
	var out []news
	tell := func(code, end fsm.Code, found bool, message, mark, ended string) {
		key := toldOf{t.topic, code}
		before, was := a.told[key]
		switch {
		case !found && was:
			delete(a.told, key)
			out = append(out, news{end, ended})
		case found:
			if a.told[key] = mark; !was || before != "" && before != mark {
				out = append(out, news{code, message})
			}
		}
	}
	if c.unread == nil {
		text := settingsText(t.target, c.differ)
		tell(fsm.CodeSettingsDiffer, fsm.CodeSettingsAgree, len(c.differ) > 0, text, text, "target topic "+t.target+" has the settings that the source's ask for")
	}
	if !c.unseen {
		tell(fsm.CodeTargetLost, fsm.CodeTargetWhole, len(c.lost) > 0, lostText(t.target, c.lost), fmt.Sprint(bits.Len64(uint64(offsetsLost(c.lost)))),
			"target topic "+t.target+" has all copied records that the source still has")
	}
	return out
}

// maxShown bounds each list of Differences.
const maxShown = 100

// Differences is how the copied topics are at the target other than at the
// source, as of the last passes over them: by topic, each list with the number
// that it leaves out.
type Differences struct {
	Settings       []SettingsDiffer
	SettingsMore   int
	SettingsUnread int // topics whose settings could not be read
	Lost           []TargetLost
	LostMore       int
	ComparedAt     int64  // unix ms when the last whole pass began, 0: none yet
	losing         string // what is lost, in a sentence; empty: nothing
}

// differences sums up what is known.
func (a *alike) differences() Differences {
	if a.sum == nil {
		a.sum = new(a.summed())
	}
	d := *a.sum
	if !a.passed.IsZero() {
		d.ComparedAt = a.passed.UnixMilli()
	}
	return d
}

func (a *alike) summed() Differences {
	var d Differences
	var topics []string
	for topic := range a.found { // in any order: they are sorted below
		topics = append(topics, topic)
	}
	slices.Sort(topics)
	var losing []string
	for _, topic := range topics {
		c := a.found[topic]
		d.Settings = append(d.Settings, c.differ...)
		d.Lost = append(d.Lost, c.lost...)
		if c.unread != nil {
			d.SettingsUnread++
		}
		if len(c.lost) > 0 {
			losing = append(losing, topic)
		}
	}
	if len(losing) > 0 {
		d.losing = fmt.Sprintf("the target has removed copied records that the source still has, of %s", words.Named("topic", losing))
	}
	d.Settings, d.SettingsMore = shown(d.Settings)
	d.Lost, d.LostMore = shown(d.Lost)
	return d
}

// shown is the beginning of a list, and how many it leaves out.
func shown[T any](list []T) (first []T, more int) {
	n := min(len(list), maxShown)
	return slices.Clip(list[:n]), len(list) - n
}

// settingsText tells in one line what differs.
func settingsText(target string, differ []SettingsDiffer) string {
	texts := make([]string, len(differ))
	for i, d := range differ {
		texts[i] = fmt.Sprintf("%s is %s, by the source's settings it would be %s", d.Key, d.Target, d.Source)
	}
	return "target topic " + target + ": " + strings.Join(texts, "; ")
}

// lostText tells what of a target topic is lost, the first partitions of many
// by their offsets.
func lostText(target string, lost []TargetLost) string {
	texts := make([]string, len(lost))
	for i, l := range lost {
		texts[i] = fmt.Sprintf("%d [%d, %d)", l.Partition, l.From, l.To)
	}
	return fmt.Sprintf("target topic %s has removed copied records that the source still has: %s, %s",
		target, words.Count(offsetsLost(lost), "source offset"), words.Named("partition", texts))
}

func offsetsLost(lost []TargetLost) (n int64) {
	for _, l := range lost {
		n += l.To - l.From
	}
	return n
}

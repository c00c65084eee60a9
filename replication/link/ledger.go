package link

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"

	"sluice/fsm"
)

// LedgerTopic is the compacted topic on each target in which Sluice clusters
// tell each other what is theirs.
const LedgerTopic = "__sluice"

// The kinds of ledger records.
const (
	kindClaim = "claim" // a link is copied by a Sluice cluster
	kindTopic = "topic" // a target topic was created by one
)

// Key is the key of a ledger record, as JSON with its fields in this order.
type Key struct {
	Kind   string `json:"kind"`
	Sluice string `json:"sluice"` // Sluice cluster id
	Source string `json:"source"` // source Kafka cluster's id
	Link   string `json:"link"`
	Topic  string `json:"topic,omitempty"` // target topic, of kindTopic
}

// Claim is the value of a claim.
type Claim struct {
	LinkID     fsm.LinkID `json:"linkId"` // incarnation of the link
	ProducerID int64      `json:"producerId"`
	Node       string     `json:"node"`
	At         int64      `json:"at"` // unix ms
}

// Origin is the value of a topic record: what the target topic was made from,
// kept for promotion.
type Origin struct {
	ID         string    `json:"id"` // topic id, hexadecimal
	Topic      string    `json:"topic"`
	Partitions int32     `json:"partitions"`
	Changed    []Changed `json:"changed,omitempty"` // settings that differ from the source's
	At         int64     `json:"at"`                // unix ms
}

// entry is a ledger record that no later one has removed.
type entry struct {
	key   Key
	value []byte
	claim Claim // of kindClaim, as far as it can be read
}

// ledger is the state that the records give. Entries about the same thing, a
// link or a target topic, are in the order of the oldest record that is left
// of each key since it was last removed.
type ledger struct {
	about map[Key][]*entry
	made  map[string]maker // by target topic: the last one made it as it is now
}

// subject is what an entry is about, whoever wrote it.
func (k Key) subject() Key {
	if k.Kind == kindTopic {
		return Key{Kind: k.Kind, Topic: k.Topic}
	}
	return Key{Kind: k.Kind, Source: k.Source, Link: k.Link}
}

// of is the same key of another Sluice cluster.
func (k Key) of(sluice string) Key {
	k.Sluice = sluice
	return k
}

// maker is who created a target topic.
type maker struct {
	id   fsm.TopicID // of the topic that was created
	by   Key
	left bool // that link is not claimed any more: it was deleted
}

// ours reports whether the link of the claim created the topic.
func (m maker) ours(claim Key) bool {
	return m.by.Sluice == claim.Sluice && m.by.Link == claim.Link && m.by.Source == claim.Source
}

func (m maker) String() string { return "link " + m.by.Link + " of the Sluice cluster " + m.by.Sluice }

func newLedger() *ledger { return &ledger{about: map[Key][]*entry{}, made: map[string]maker{}} }

// apply adds a record, of which it keeps no bytes; a nil value removes. Records
// that cannot be read are of a later version: they are left alone.
func (l *ledger) apply(key, value []byte) {
	var k Key
	if json.Unmarshal(key, &k) != nil {
		return
	}
	subject := k.subject()
	list := l.about[subject]
	i := slices.IndexFunc(list, func(e *entry) bool { return e.key == k })
	switch {
	case value == nil && i < 0:
		return
	case value == nil:
		list = slices.Delete(list, i, i+1)
	case i < 0:
		i, list = len(list), append(list, &entry{key: k})
		fallthrough
	default:
		list[i].value, list[i].claim = bytes.Clone(value), Claim{}
		_ = json.Unmarshal(value, &list[i].claim) // unreadable: of a later version, written again
	}
	l.about[subject] = list
	if k.Kind == kindTopic {
		l.remake(k.Topic, list)
	}
}

// remake finds out anew who made a target topic.
func (l *ledger) remake(topic string, list []*entry) {
	delete(l.made, topic)
	for _, e := range list {
		var o Origin
		if json.Unmarshal(e.value, &o) == nil {
			l.made[topic] = maker{id: parseTopicID(o.ID), by: e.key}
		}
	}
}

// makers says who made each target topic, and whose link is gone since.
func (l *ledger) makers() map[string]maker {
	out := maps.Clone(l.made)
	for topic, m := range out { // each one for itself, so the order is no matter
		claim := Key{Kind: kindClaim, Sluice: m.by.Sluice, Source: m.by.Source, Link: m.by.Link}
		m.left = !slices.ContainsFunc(l.about[claim.subject()], func(e *entry) bool { return e.key == claim })
		out[topic] = m
	}
	return out
}

// standing is whose a link is.
type standing struct {
	mine  bool   // our claim is there and the oldest
	other string // the Sluice cluster whose claim stands against ours
	alone bool   // nobody else claims the link
	have  bool   // our claim is there
	claim Claim  // ours
}

// standing judges the claims of a link: the oldest one holds. A claim has the
// Sluice cluster's id in its key, so compaction never removes one for the sake
// of another's, and is written again only while it is alone, so its place in
// the order stays what it was.
func (l *ledger) standing(mine Key) standing {
	s := standing{alone: true}
	for _, e := range l.about[mine.subject()] {
		switch {
		case e.key == mine:
			s.have, s.claim = true, e.claim
			s.mine = s.other == ""
		case s.other == "" && !s.have:
			s.other = e.key.Sluice
		}
		s.alone = s.alone && e.key == mine
	}
	return s
}

// ledgerRecord is one record to write; without a value it removes the key's.
type ledgerRecord struct {
	key   Key
	value any
}

// madeBy gives the records that hand the target topics which a link of another
// Sluice cluster made over to ours, sorted by topic.
func (l *ledger) madeBy(theirs, ours Key) []ledgerRecord {
	var out []ledgerRecord
	for _, topic := range slices.Sorted(maps.Keys(l.made)) {
		theirs.Kind, theirs.Topic = kindTopic, topic
		for _, e := range l.about[theirs.subject()] {
			if e.key == theirs {
				ours.Kind, ours.Topic = kindTopic, topic
				out = append(out, ledgerRecord{ours, json.RawMessage(e.value)}, ledgerRecord{theirs, nil})
			}
		}
	}
	return out
}

// topicIDText and parseTopicID: the form of topic ids in the ledger.
func topicIDText(id fsm.TopicID) string { return hex.EncodeToString(id[:]) }

func parseTopicID(text string) (id fsm.TopicID) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return fsm.TopicID{}
	}
	return fsm.TopicID(b)
}

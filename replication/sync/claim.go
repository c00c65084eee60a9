package sync

import (
	"bytes"
	"encoding/json"

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

// Entry is a ledger record that no later one has removed.
type Entry struct {
	Key    Key
	First  int64 // offset of the oldest record of the key that is left since it was last removed
	Value  []byte
	Offset int64 // of Value
}

// ledger is the state that the records give, in the order of First.
type ledger []Entry

// apply adds a record, of which it keeps no bytes; a nil value removes. Records that cannot be read are
// of a later version: they are left alone.
func (l ledger) apply(offset int64, key, value []byte) ledger {
	var k Key
	if json.Unmarshal(key, &k) != nil {
		return l
	}
	for i, e := range l {
		if e.Key != k {
			continue
		}
		if value == nil {
			return append(l[:i:i], l[i+1:]...)
		}
		l[i].Value, l[i].Offset = bytes.Clone(value), offset
		return l
	}
	if value == nil {
		return l
	}
	return append(l, Entry{Key: k, First: offset, Value: bytes.Clone(value), Offset: offset})
}

// Standing is whose a link is.
type Standing struct {
	Mine  bool   // our claim is there and the oldest
	Other string // the Sluice cluster whose claim stands against ours
	Alone bool   // nobody else claims the link
	Claim Claim  // ours, when it is there
	Have  bool
}

// standing judges the claims of a link: the oldest one holds. A claim has the
// Sluice cluster's id in its key, so compaction never removes one for the sake
// of another's, and is written again only while it is alone, so its place in
// the order stays what it was.
func (l ledger) standing(mine Key) Standing {
	s := Standing{Alone: true}
	for _, e := range l {
		if e.Key.Kind != kindClaim || e.Key.Source != mine.Source || e.Key.Link != mine.Link {
			continue
		}
		if e.Key == mine {
			s.Have = true
			s.Mine = s.Other == ""
			_ = json.Unmarshal(e.Value, &s.Claim) // unreadable: of a later version, written again
			continue
		}
		s.Alone = false
		if s.Other == "" && !s.Have {
			s.Other = e.Key.Sluice
		}
	}
	return s
}

// makers lists who created which target topics.
func (l ledger) makers(mine Key) map[string]Maker {
	out := map[string]Maker{}
	for _, e := range l {
		if e.Key.Kind != kindTopic {
			continue
		}
		var o Origin
		if json.Unmarshal(e.Value, &o) != nil {
			continue
		}
		m := Maker{ID: parseTopicID(o.ID), Ours: e.Key.Sluice == mine.Sluice && e.Key.Link == mine.Link && e.Key.Source == mine.Source}
		m.Name = "link " + e.Key.Link + " of the Sluice cluster " + e.Key.Sluice
		out[e.Key.Topic] = m // the last one made it as it is now
	}
	return out
}

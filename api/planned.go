package api

import (
	"sluice/task"
)

// PlannedLink is what a link will copy that it does not copy yet.
type PlannedLink struct {
	Link       string              `json:"link"`
	Topics     []PlannedTopic      `json:"topics" doc:"New to the link, by name; at most 10,000 are named."`
	Total      int                 `json:"total" doc:"How many topics are new to the link."`
	Partitions int                 `json:"partitions" doc:"Of all of these."`
	Bytes      *int64              `json:"bytes" doc:"To be copied, about, as the source holds them; null: not known of every topic."`
	Copied     int                 `json:"copied" doc:"Topics that the link copies already."`
	LeftOut    []task.TopicLeftOut `json:"leftOut" doc:"Topics that its patterns mean and a rule leaves out."`
	Rate       int64               `json:"rate" doc:"Bytes a second that seconds rests on: the link's limit, else what one node with two processors reaches."`
	Limited    bool                `json:"limited" doc:"rate is the link's limit."`
	Seconds    *int64              `json:"seconds" doc:"How long bytes take at that rate; null: bytes is not known."`
}

// PlannedTopic is a topic that a link will copy.
type PlannedTopic struct {
	Topic      string   `json:"topic"`
	Target     string   `json:"target" doc:"Its name at the target."`
	Partitions int32    `json:"partitions"`
	Create     bool     `json:"create" doc:"The target topic is created; else it is there."`
	Bytes      *int64   `json:"bytes" doc:"To be copied, about; null: not known."`
	Settings   []string `json:"settings" doc:"What is set at the target, or differs from the source."`
	Copied     bool     `json:"-"` // by this link already
}

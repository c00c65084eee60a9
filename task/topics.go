package task

import "sluice/fsm"

// Topics is the Detail of a link task: what became of every topic that the
// link's selectors mean.
type Topics struct {
	Age       *int64 `json:"age"`       // ms since the last round that did all that the topics need, when this was reported; nil: not yet
	Selected  int    `json:"selected"`  // topics that are to be copied, those in NotCopied among them
	NotCopied int    `json:"notCopied"` // how many of them are not, or not whole
	LeftOut   int    `json:"leftOut"`   // topics that a pattern means and a rule leaves out

	Differ int `json:"differ"` // settings in which target topics differ from what their sources' ask for

	// The first of each, by name, at most MaxNamed.
	Why   []TopicState   `json:"why,omitempty"`
	Rules []TopicLeftOut `json:"rules,omitempty"`
	// Settings are as of the last look at each topic, about once a minute.
	Settings []TopicSetting `json:"settings,omitempty"`
}

// MaxNamed bounds the topics that are named in each list of Topics.
const MaxNamed = 100

// TopicState is why a selected topic is not copied, or not whole.
type TopicState struct {
	Topic   string   `json:"topic"`
	Code    fsm.Code `json:"code"`
	Message string   `json:"message"`
}

// TopicLeftOut is a topic that a pattern means and a rule leaves out.
type TopicLeftOut struct {
	Topic string `json:"topic"`
	Rule  string `json:"rule"` // in words
}

// TopicSetting is a setting in which a target topic differs from what its
// source's settings ask for. An empty value: not set.
type TopicSetting struct {
	Topic  string `json:"topic"`
	Key    string `json:"key"`
	Source string `json:"source"`
	Target string `json:"target"`
}

package fsm

import (
	"encoding/json"
	"fmt"
)

// wireTask is a task as snapshots hold it: flat, the fields of all kinds beside
// those that all have. So it stood before a task had payloads, and nodes that
// know none must read it.
type wireTask struct {
	ID       TaskID    `json:"id"`
	Kind     Kind      `json:"kind"`
	Link     LinkID    `json:"link,omitempty"`
	Kafka    string    `json:"kafka,omitempty"`
	Stream   StreamKey `json:"stream,omitzero"`
	Start    int64     `json:"start"` // -1 with tasks that copy nothing
	Owner    string    `json:"owner,omitempty"`
	Next     string    `json:"next,omitempty"`
	NextAt   int64     `json:"nextAt,omitempty"`
	Turn     uint64    `json:"turn"`
	Since    uint64    `json:"since"`
	Mapping  *Mapping  `json:"mapping,omitempty"`
	Progress Progress  `json:"progress,omitzero"`
	Stop     *Stop     `json:"stop,omitempty"`
	Order    Order     `json:"order,omitempty"`
	Attempt  uint32    `json:"attempt,omitempty"`
	Touched  uint64    `json:"touched,omitempty" feature:"6"`
	Unsure   bool      `json:"unsure,omitempty" feature:"6"`
}

// MarshalJSON implements json.Marshaler.
func (t *Task) MarshalJSON() ([]byte, error) { return json.Marshal(wireOf(t)) }

func wireOf(t *Task) wireTask {
	w := wireTask{
		ID: t.ID, Kind: t.Kind, Link: t.Link, Kafka: t.Kafka, Start: -1,
		Owner: t.Owner, Next: t.Next, NextAt: t.NextAt, Turn: t.Turn, Since: t.Since,
	}
	if c := t.Copy; c != nil {
		w.Stream, w.Start, w.Mapping, w.Progress, w.Unsure = c.Stream, c.Start, c.Mapping, c.Progress, c.Unsure
		w.Stop, w.Order, w.Attempt, w.Touched = c.Stop, c.Order, c.Attempt, c.Touched
	}
	return w
}

// UnmarshalJSON implements json.Unmarshaler; it reads what MarshalJSON wrote.
// Errors are ErrCorrupt and ErrUnknown, wrapped.
func (t *Task) UnmarshalJSON(b []byte) error {
	var w wireTask
	if err := strict(b, &w); err != nil {
		return err
	}
	*t = Task{
		ID: w.ID, Kind: w.Kind, Link: w.Link, Kafka: w.Kafka,
		Owner: w.Owner, Next: w.Next, NextAt: w.NextAt, Turn: w.Turn, Since: w.Since,
	}
	c := Copy{
		Stream: w.Stream, Start: w.Start, Mapping: w.Mapping, Progress: w.Progress, Unsure: w.Unsure,
		Stop: w.Stop, Order: w.Order, Attempt: w.Attempt, Touched: w.Touched,
	}
	if t.Kind == KindCopy {
		t.Copy = &c
		return nil
	}
	if c.Start = 0; c != (Copy{}) {
		return fmt.Errorf("task %d copies nothing and holds a stream's position: %w", t.ID, ErrCorrupt)
	}
	return nil
}

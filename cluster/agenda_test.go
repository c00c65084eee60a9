package cluster

import (
	"testing"
	"time"

	"sluice/fsm"
)

func TestAgenda(t *testing.T) {
	at := time.Unix(1000, 0)
	idle, busy := map[fsm.TaskID]int64{}, map[fsm.TaskID]int64{1: 5}
	var a agenda
	for _, c := range []struct {
		name  string
		after time.Duration
		index uint64
		rates map[fsm.TaskID]int64
		due   bool
		want  bool
	}{
		{"a new term", 0, 7, idle, false, true},
		{"new facts, at once", planMinimum - 1, 8, idle, false, false},
		{"new facts, a little later", 1, 8, idle, false, true},
		{"nothing new", planMinimum, 8, idle, false, false},
		{"nothing new for a second", planMaximum, 8, idle, false, false},
		{"new rates, too early", planMinimum, 8, busy, false, false},
		{"new rates", planMaximum, 8, busy, false, true},
		{"a node died", 1, 8, busy, true, true},
		{"nothing new for long", planAnyway, 8, busy, false, true},
		{"nothing new again", planMaximum, 8, busy, false, false},
	} {
		at = at.Add(c.after)
		a.due = a.due || c.due
		if got := a.ripe(at, c.index) && a.take(at, c.index, c.rates); got != c.want {
			t.Errorf("%s: plans %v, want %v", c.name, got, c.want)
		}
	}
	if a.due {
		t.Error("still due after a plan")
	}
}

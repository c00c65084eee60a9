package cluster

import (
	"encoding/json"
	"testing"

	"sluice/fsm"
	"sluice/task"
)

// TestReleasedReport: nodes of the first release send and read this form; what
// is new stands beside it, and they do not see it.
func TestReleasedReport(t *testing.T) {
	const golden = `{"serverId":"a","index":7,"reconciled":6,"confirmed":true,"deafMillis":5,"version":"v1","tasks":"AQdjb3B5aW5nAAEAAgQG"}`
	tasks, details := task.Encode(map[fsm.TaskID]task.Status{1: {State: fsm.CodeCopying, Lag: task.Lag{Records: 1, Millis: 2}, Rate: 3}})
	b, err := json.Marshal(report{ServerID: "a", Index: 7, Reconciled: 6, Confirmed: true, DeafMillis: 5, Version: "v1", Tasks: tasks, Details: details})
	if err != nil || string(b) != golden {
		t.Errorf("%s, %v", b, err)
	}
}

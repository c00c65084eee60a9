package cluster

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"sluice/fsm"
	"sluice/pki"
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

// TestReportTellsOfCertificates: a node that uses none says so; one that says
// nothing, as older ones do, is not known.
func TestReportTellsOfCertificates(t *testing.T) {
	end := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		certs []pki.Held
		text  string
	}{
		{nil, ""}, {[]pki.Held{}, `,"certs":[]`},
		{[]pki.Held{{Use: pki.UsePeer, Name: "n1", File: "n1.pem", From: end, Until: end, Life: time.Second}},
			`,"certs":[{"use":"peer","name":"n1","file":"n1.pem","from":"2026-11-28T00:00:00Z","until":"2026-11-28T00:00:00Z","life":1000000000}]`},
	} {
		b, err := json.Marshal(report{Certs: c.certs})
		if err != nil || !strings.HasSuffix(string(b), `"tasks":null`+c.text+"}") {
			t.Errorf("%s %v", b, err)
		}
		var back report
		if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back.Certs, c.certs) {
			t.Errorf("%+v %v", back.Certs, err)
		}
	}
}

// TestStatesOfAReport: what a report says counts, however the one before it
// looked; bytes that are no states are refused.
func TestStatesOfAReport(t *testing.T) {
	states := func(of ...task.Status) map[fsm.TaskID]task.Status {
		out := map[fsm.TaskID]task.Status{}
		for i, s := range of {
			out[fsm.TaskID(i+1)] = s
		}
		return out
	}
	idle, copying := task.Status{State: fsm.CodeIdle}, task.Status{State: fsm.CodeCopying, Rate: 5}
	told := task.Status{State: fsm.CodeIdle, Detail: []byte(`{"topics":1}`)}
	was := Report{}
	for i, want := range []map[fsm.TaskID]task.Status{states(idle), states(idle), states(idle, copying), states(told, copying), states(idle, copying), states(), states()} {
		var rep report
		rep.Tasks, rep.Details = task.Encode(want)
		tasks, encoded, err := rep.states(&was)
		got := maps.Clone(tasks)
		for id, d := range rep.Details {
			s := got[id]
			s.Detail = d
			got[id] = s
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("report %d: %v, %v, want %v", i, got, err, want)
		}
		was.Tasks, was.encoded = tasks, encoded
	}
	if _, _, err := (&report{Tasks: []byte{1}}).states(&was); err == nil {
		t.Error("bytes that are no states are taken")
	}
	rep := report{}
	rep.Tasks, rep.Details = task.Encode(states(idle, idle, told)) // a detail changes all the time
	tasks, encoded, _ := rep.states(&was)
	was.Tasks, was.encoded = tasks, encoded
	if n := testing.AllocsPerRun(10, func() { _, _, _ = rep.states(&was) }); n > 0 {
		t.Errorf("%v allocations for a report that says the same", n)
	}
}

// TestManyTasksAreAskedLessOften: a thousand and more every second second, and
// so on.
func TestManyTasksAreAskedLessOften(t *testing.T) {
	asked := func(tasks int) (n int) {
		told := &tasksTold{states: map[fsm.TaskID]task.Status{}}
		for i := range tasks {
			told.states[fsm.TaskID(i)] = task.Status{}
		}
		now := time.Unix(1000, 0)
		for range 60 {
			if told.due(now) {
				n, told.at = n+1, now
			}
			now = now.Add(reportEvery)
		}
		return n
	}
	for tasks, want := range map[int]int{0: 60, 1: 60, 999: 60, 1000: 30, 1999: 30, 2000: 20, 10_000: 6} {
		if n := asked(tasks); n != want {
			t.Errorf("%d tasks are asked %d times in 60 reports, want %d", tasks, n, want)
		}
	}
}

// TestDrawsAreTold to every node within a second or two; of one that is not
// heard any more they are not known.
func TestDrawsAreTold(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		for i, n := range s.nodes {
			NewDraws(n.Node).Drew(task.Draws{7: {Rate: int64(100 * i), Limited: i == 2}})
		}
		third := s.nodes[3].tr.Self().ServerID
		want := map[string]task.Draw{}
		for i, n := range s.nodes {
			want[n.tr.Self().ServerID] = task.Draw{Rate: int64(100 * i), Limited: i == 2}
		}
		s.until("all know", 3*time.Second, func() bool {
			for _, n := range s.nodes {
				if !maps.Equal(NewDraws(n.Node).DrawsOf(7), want) || len(NewDraws(n.Node).DrawsOf(8)) > 0 {
					return false
				}
			}
			return true
		})
		s.isolate(3)
		delete(want, third)
		s.until("what the third draws is not known to the others", 5*time.Second, func() bool {
			return maps.Equal(NewDraws(s.nodes[1].Node).DrawsOf(7), want) && maps.Equal(NewDraws(s.nodes[2].Node).DrawsOf(7), want)
		})
		s.rejoin(3)
		NewDraws(s.nodes[3].Node).Drew(task.Draws{})
		s.until("it draws nothing of the link, and all know", time.Minute, func() bool {
			for _, n := range s.nodes {
				if !maps.Equal(NewDraws(n.Node).DrawsOf(7), want) {
					return false
				}
			}
			return true
		})
	})
}

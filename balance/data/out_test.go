package data

import (
	"encoding/json"
	"testing"
)

// filesModel is one broker to be emptied, one with a log dir and one without.
func filesModel() (*Model, *Proposal) {
	m := &Model{
		Brokers: []Broker{{ID: 1}, {ID: 2, Dirs: []LogDir{{Path: "/d0"}, {Path: "/d 1"}}}, {ID: 3}},
		Partitions: []Partition{
			{Topic: "a", ID: 7, Replicas: []int32{1, 2}, Size: 10},
			{Topic: "b", Replicas: []int32{1, 3}, Dirs: []int16{-1, -1}, Size: 4},
		},
	}
	return m, &Proposal{
		Changes: []Change{
			{Partition: 0, Topic: "a", ID: 7, From: []int32{1, 2}, To: []int32{3, 2}},
			{Partition: 1, Topic: "b", From: []int32{1, 3}, To: []int32{2, 3}, FromDirs: []int16{-1, -1}, ToDirs: []int16{1, -1}},
		},
		Stages: []Stage{
			{Bytes: 10, Steps: []Step{{Change: 0, To: []int32{3, 2}}}},
			{Bytes: 4, Steps: []Step{{Change: 1, To: []int32{2, 3}, Dirs: []int16{1, -1}}}},
		},
	}
}

// TestPlanFiles pins the two files that a plan is handed on in. The second is
// read by kafka-reassign-partitions of Kafka 4.3.1.
func TestPlanFiles(t *testing.T) {
	m, p := filesModel()
	if got, want := string(AppendPlan(nil, m, p)), "a,7,3 2\nb,0,2 3,/d 1 any\n"; got != want {
		t.Errorf("plan\n%s\nwant\n%s", got, want)
	}
	got := string(AppendReassignment(nil, m, p))
	want := `{"version":1,"partitions":[
{"topic":"a","partition":7,"replicas":[3,2]},
{"topic":"b","partition":0,"replicas":[2,3],"log_dirs":["/d 1","any"]}
]}
`
	if got != want {
		t.Errorf("reassignment\n%s\nwant\n%s", got, want)
	}
	p.Changes[0].Topic = "a\"\x00\\"
	if got := AppendReassignment(nil, m, p); !json.Valid(got) {
		t.Errorf("not JSON: %s", got)
	}
}

// TestSecondsAddUpTheBusiestBrokers: stages follow one another, and in each the
// broker that takes or gives most decides.
func TestSecondsAddUpTheBusiestBrokers(t *testing.T) {
	m, p := filesModel()
	if s := estimate(m, newBrokerIndex(m.Brokers), p, 2); s != 7 {
		t.Errorf("14 bytes at 2 a second take %v s", s)
	}
	p.Stages = []Stage{{Bytes: 14, Steps: append(p.Stages[0].Steps, p.Stages[1].Steps...)}}
	if s := estimate(m, newBrokerIndex(m.Brokers), p, 2); s != 7 {
		t.Errorf("broker 1 gives 14 bytes at 2 a second in %v s", s)
	}
}

// TestPlanLeavesOutWhatComesBack: a partition that only makes room for a while
// ends as it began, and is no changed one.
func TestPlanLeavesOutWhatComesBack(t *testing.T) {
	m := &Model{Brokers: []Broker{{ID: 1}, {ID: 2}}}
	p := &Proposal{Changes: []Change{{Topic: "a", From: []int32{1}, To: []int32{1}}, {Topic: "b", From: []int32{1}, To: []int32{2}},
		{Topic: "c", From: []int32{2}, To: []int32{2}}}}
	if got, want := string(AppendPlan(nil, m, p)), "b,0,2\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := string(AppendReassignment(nil, m, p)), "{\"version\":1,\"partitions\":[\n{\"topic\":\"b\",\"partition\":0,\"replicas\":[2]}\n]}\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

package fsm

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Formats that were ever released are kept: -update adds files for new ones
// and must not change those that are there.
var update = flag.Bool("update", false, "write testdata anew")

// samples holds one command of each type with every field set.
func samples() map[string]Command {
	event := Event{Seq: 1, Link: 2, Task: 3, Topic: "orders", Part: 4, Node: "n1", Code: CodePositionLost, Message: "m", From: 5, To: 6, First: 7, Last: 8, Count: 9}
	who, act := event, &Act{Who: "ops", Client: "10.0.0.1:5", Node: "n1", Did: []Deed{{Link: "l", Text: "pause"}}, At: 3}
	who.Who, who.Client = act.Who, act.Client
	mapping := Mapping{Version: 1, Generation: 2, Phase: PhaseTranslated, SourceTopicID: TopicID{1, 2, 3}, TargetTopicID: TopicID{0xff, 15: 1}, Segments: []Segment{{1, 2}, {3, 4}}, ProducerID: 1 << 62, ProducerEpoch: 5, SequenceZero: 6}
	progress := Progress{Source: 1, SourceEpoch: 2, Target: 3, TargetEpoch: 4, Records: 5, At: 6}
	spec := LinkSpec{
		Name: "l", Source: "us", Target: "eu", Include: []string{"a", "b*"}, Exclude: []string{"/c.*/"}, Rename: "{source}.{topic}", Start: "2026-01-02T03:04:05Z",
		Offsets: OffsetsIdentical, OnLoss: OnLossContinue, Copies: CopiesSkipAll, Writers: WritersShared, Limit: 1 << 20, ReplicationFactor: 3, State: StatePaused,
	}
	kafka := KafkaCluster{
		Name: "us", Bootstrap: []string{"us1:9092", "us2:9092"}, Datacenter: "us-east", ClusterID: "id", TLS: &TLS{CA: "ca", Cert: "cert", Key: "key", ServerName: "name"},
		SASL: &SASL{Mechanism: "PLAIN", Username: "user", Password: "${env:SECRET}"},
	}
	hash := strings.Repeat("0a", 32)
	return map[string]Command{
		"cluster-init":  &ClusterInit{ClusterID: "c1", At: 1},
		"node-put":      &NodePut{Node: Node{ID: "a", Name: "n1", Datacenter: "east", Addr: "n1:7400", HTTP: "n1:8080", Feature: 2, Leaving: true}, At: 1},
		"node-remove":   &NodeRemove{ID: "a", At: 1},
		"feature-raise": &FeatureRaise{Level: 2},
		"objects": &Objects{
			Kafka: []KafkaCluster{kafka}, Links: []LinkPut{{Spec: spec, Starts: []StartAt{{Topic: "a", Offsets: []int64{1, -1}}}}},
			DeleteKafka: []string{"x"}, DeleteLinks: []string{"y"}, Expect: []Expectation{{Link: "l", Revision: 3}}, At: 1,
		},
		"kafka-pin":     &KafkaPin{Name: "us", ClusterID: "id"},
		"link-state":    &LinkState{Link: 1, State: StatePaused, At: 2},
		"link-purge":    &LinkPurge{Link: 1},
		"link-producer": &LinkProducer{Link: 1, ProducerID: 2, Prev: 3},
		"streams-add":   &StreamsAdd{Link: 1, Streams: []StreamKey{{Topic: "a", Partition: 2, TargetTopic: "us.a"}}, At: 3},
		"assign":        &Assign{Items: []Assignment{{Task: 1, Turn: 2, To: "a", Handover: true}}, At: 3},
		"mapping-put":   &MappingPut{Task: 1, Turn: 2, Mapping: mapping, Progress: progress, Event: &event, At: 3},
		"progress": &ProgressBatch{Node: "a", At: 7, Items: []ProgressItem{
			{Task: 1 << 40, Turn: 2, Version: 3, Progress: progress, Segments: []Segment{{1, 2}, {3, -4}}, Release: true},
			{Task: 2, Progress: Progress{Source: -1, SourceEpoch: -1, Target: -1, TargetEpoch: -1}},
		}},
		"task-stop":  &TaskStop{Task: 1, Turn: 2, Version: 3, Stop: Stop{Code: CodeForeignWriter, From: 1, To: 2, Target: true, Message: "m", At: 3}, Event: &event},
		"task-order": &TaskOrder{Link: 1, Topic: "a", Partition: 2, Order: OrderRecopy, At: 3},
		"events-add": &EventsAdd{Events: []Event{event}},
		"barrier":    &Barrier{},

		"objects-by":                &Objects{DeleteLinks: []string{"y"}, By: "n1", At: 1},
		"streams-again":             &StreamsAdd{Link: 1, Again: []StreamKey{{Topic: "a", Partition: 2, TargetTopic: "us.a"}}, At: 3},
		"streams-end":               &StreamsEnd{Link: 1, Revision: 2, Topics: []string{"a"}, Gone: true, Reason: "r", By: "n1", At: 3},
		"objects-on-source-deleted": &Objects{Links: []LinkPut{{Spec: LinkSpec{Name: "l", OnSourceDeleted: OnSourceDeletedEnd}}}, At: 1},

		"objects-who":        &Objects{DeleteLinks: []string{"y"}, Act: act, At: 1},
		"node-put-who":       &NodePut{Node: Node{ID: "a"}, Act: act, At: 1},
		"node-remove-who":    &NodeRemove{ID: "a", Act: act, At: 1},
		"link-state-who":     &LinkState{Link: 1, State: StatePaused, Act: act, At: 2},
		"task-order-who":     &TaskOrder{Link: 1, Order: OrderRetry, Act: act, At: 3},
		"events-add-who":     &EventsAdd{Events: []Event{who}},
		"mapping-put-who":    &MappingPut{Task: 1, Turn: 2, Event: &who, At: 3},
		"task-stop-who":      &TaskStop{Task: 1, Turn: 2, Event: &who},
		"streams-end-who":    &StreamsEnd{Link: 1, Reason: "r", Act: act, At: 3},
		"operation-step-who": &OperationStep{Operation: 1, Event: &who, At: 3},

		"kafka-pin-revision": &KafkaPin{Name: "us", ClusterID: "id", Revision: 3},
		"objects-kafka-revision": &Objects{
			Kafka: []KafkaCluster{{Name: "us", Revision: 3}}, Expect: []Expectation{{Kafka: "us", Revision: 3}}, At: 1,
		},
		"streams-end-seen": &StreamsEnd{Link: 1, Gone: true, Reason: "r", At: 3, Seen: 2},
		"task-order-seen":  &TaskOrder{Link: 1, Order: OrderRetry, At: 3, Seen: 2},

		"link-hold":  &LinkHold{Link: 1, By: "c0", At: 2},
		"link-adopt": &LinkAdopt{Link: 1, From: "c0", ProducerID: 2, Act: act, At: 3},

		"mapping-put-thinned": &MappingPut{Task: 1, Turn: 2, Mapping: Mapping{Version: 2, Phase: PhaseTranslated, Segments: []Segment{{1, 2}, {3, 4}}, Thinned: 3}, At: 3},

		"mapping-put-filled": &MappingPut{Task: 1, Turn: 2, Mapping: Mapping{Version: 2, Phase: PhaseDense, Segments: []Segment{{1, 2}}, Filled: true, Bump: 1}, At: 3},
		"objects-filter": &Objects{Links: []LinkPut{{Spec: LinkSpec{Name: "l", Filter: &Filter{
			Keep: "true", DropHeaders: []string{"a"}, RenameHeaders: []Rename{{From: "b", To: "c"}}, Mask: []string{"d"}, Hash: []string{"e"}, Secret: "${env:SECRET}", OnUnparseable: UnparseableDrop,
		}}}}, At: 1},
		"objects-gaps": &Objects{Links: []LinkPut{{Spec: LinkSpec{Name: "l", Gaps: GapsTranslate}}}, At: 1},

		"node-put-key":    &NodePut{Node: Node{ID: "a", Name: "n1", Key: hash}, Token: hash, At: 1},
		"node-remove-ban": &NodeRemove{ID: "a", Ban: true, At: 1},
		"ban-lift":        &BanLift{Name: "n1", Act: act, At: 1},
		"token-put":       &TokenPut{Token: Token{Node: "n4", Datacenter: "east", Hash: hash, By: "ops", Expires: 2}, Act: act, At: 1},
		"token-revoke":    &TokenRevoke{Node: "n4", Act: act, At: 1},

		"operation-step": &OperationStep{Operation: 1, From: StepStopping, To: StepReleasing, State: OperationRunning, Message: "m", Event: &event, At: 3},
	}
}

// TestSamplesAreWhole: a golden file would not pin a field that is zero.
func TestSamplesAreWhole(t *testing.T) {
	set := map[string]bool{}
	for _, c := range samples() {
		f := formatOf(c)
		setFields(fmt.Sprintf("command %d.%d", c.Type(), f.version), reflect.ValueOf(c), set)
	}
	for _, f := range formats {
		name := fmt.Sprintf("command %d.%d", f.command.Type(), f.version)
		if !set[name] {
			t.Errorf("no sample of %T", f.command)
		}
		eachField(name, reflect.TypeOf(f.command), f.level, func(path string, _ uint32, _ reflect.StructField) {
			if !set[path] {
				t.Errorf("%s is set in no sample", path)
			}
		})
	}
}

// setFields notes the fields that are not zero, by the paths of eachField.
func setFields(path string, v reflect.Value, set map[string]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			setFields(path, v.Elem(), set)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			setFields(path+"[]", v.Index(i), set)
		}
	case reflect.Struct:
		set[path] = true
		for i := range v.NumField() {
			if below := path + " " + fieldName(v.Type().Field(i)); !v.Field(i).IsZero() {
				set[below] = true
				setFields(below, v.Field(i), set)
			}
		}
	}
}

func golden(t *testing.T, name string, got []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	if _, err := os.Stat(path); *update && os.IsNotExist(err) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return want
}

func TestGoldenCommands(t *testing.T) {
	for name, c := range samples() {
		t.Run(name, func(t *testing.T) {
			got, err := Encode(c)
			if err != nil {
				t.Fatal(err)
			}
			want := golden(t, "commands/"+name+".v1", got)
			if !bytes.Equal(got, want) {
				t.Errorf("encoded\n%q, released\n%q", got, want)
			}
			back, err := Decode(want)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(back, c) {
				t.Errorf("decoded %+v, want %+v", back, c)
			}
		})
	}
}

// TestGoldenFilesAreRead decodes whatever was ever released, also what
// samples no longer makes.
func TestGoldenFilesAreRead(t *testing.T) {
	files, err := filepath.Glob("testdata/commands/*")
	if err != nil || len(files) < len(samples()) {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(b); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// rich is a state with every kind of fact in it.
func rich(t testing.TB) *State {
	d := fixture(t)
	d.translated()
	d.stopped()
	objects := samples()["objects"].(*Objects)
	d.must(
		&FeatureRaise{Level: 1},
		&LinkProducer{Link: linkL, ProducerID: 7, Prev: -1},
		&LinkProducer{Link: linkL, ProducerID: 8, Prev: 7},
		&TaskOrder{Link: linkL, Topic: "orders", Partition: 0, Order: OrderContinue, At: 9},
		&Objects{Kafka: objects.Kafka, Links: []LinkPut{{Spec: linkSpec("gone")}, {Spec: linkSpec("m")}}, At: 10},
		&Objects{DeleteLinks: []string{"gone", "m"}, At: 11},
		&LinkPurge{Link: 2},
		&Assign{Items: []Assignment{{Task: task0, Turn: 1, To: "b", Handover: true}, {Task: task1, To: "b"}}, At: 12},
		&EventsAdd{Events: []Event{{Link: linkL, Code: CodeUnauthorized, Message: "<no> \"right\"", First: 13, Last: 13}}},
		&NodePut{Node: Node{ID: "a", Name: "n1", Leaving: true}, At: 14},
	)
	return d.s
}

// richer holds what level 2 adds.
func richer(t testing.TB) *State {
	d := &driver{t: t, s: rich(t)}
	d.index = d.s.View().Index
	d.must(
		&KafkaPin{Name: "us", ClusterID: "id"},
		&FeatureRaise{Level: 2}, // the link m is being deleted already
		&LinkProducer{Link: linkL, ProducerID: 9, Prev: 8},
		&Objects{DeleteLinks: []string{"l"}, By: "n2", At: 15},
		&OperationStep{Operation: 1, From: StepStopping, To: StepReleasing, State: OperationRunning, At: 16},
		&OperationStep{Operation: 1, From: StepReleasing, To: StepPurging, State: OperationDone, Message: "link m is deleted", At: 17},
		&OperationStep{Operation: 2, From: StepStopping, To: StepReleasing, State: OperationRunning, Message: "eu does not answer", At: 18},
	)
	return d.s
}

// richest holds what level 3 adds.
func richest(t testing.TB) *State {
	d := &driver{t: t, s: richer(t)}
	d.index = d.s.View().Index
	d.must(
		&FeatureRaise{Level: 3},
		&NodePut{Node: Node{ID: "c", Name: "n3"}, Act: &Act{Who: "node n3", Client: "10.0.0.3:5", Node: "n1", Did: []Deed{{Text: "n3 joins"}}, At: 19}, At: 19},
		&LinkPurge{Link: linkL},
	)
	return d.s
}

// whole holds what level 4 adds.
func whole(t testing.TB) *State {
	d := fixture(t)
	d.must(&FeatureRaise{Level: 4})
	d.translated()
	item := ProgressItem{Task: task0, Turn: 1, Version: 2}
	for i := range int64(newest + 1) {
		item.Segments = append(item.Segments, Segment{102 + 2*i, 41 + i})
	}
	next := mapping1
	next.Version, next.Phase, next.Segments = 3, PhaseTranslated, append([]Segment{{100, 40}}, item.Segments[:2]...) // the target lost the others
	d.must(&ProgressBatch{Node: "a", Items: []ProgressItem{item}}, &MappingPut{Task: task0, Turn: 1, Mapping: next, At: 9})
	return d.s
}

// identified holds what level 5 adds.
func identified(t testing.TB) *State {
	d := &driver{t: t, s: richest(t)}
	d.index = d.s.View().Index
	key := strings.Repeat("0b", 32)
	d.must(
		&FeatureRaise{Level: 5},
		&NodePut{Node: Node{ID: "c", Name: "n3", Key: key}, At: 20},
		&NodePut{Node: Node{ID: "d", Name: "n4", Key: key}, At: 20},
		&NodeRemove{ID: "d", Ban: true, At: 21},
		&TokenPut{Token: Token{Node: "n5", Datacenter: "east", Hash: key, By: "ops", Expires: 23}, At: 22},
	)
	return d.s
}

// succeeding holds what level 6 adds.
func succeeding(t testing.TB) *State {
	d := fixture(t)
	d.must(&FeatureRaise{Level: 4})
	d.translated()
	d.must(&KafkaPin{Name: "us", ClusterID: "id"}, &StreamsEnd{Link: linkL, Topics: []string{"orders"}, Reason: "r", At: 9})
	d.must(&StreamsAdd{Link: linkL, Streams: []StreamKey{{"more", 0, "more"}}, At: 9})
	d.s = d.s.Successor("c2", 10)
	d.must(&LinkAdopt{Link: linkL, From: "c1", ProducerID: 9, At: 11}, &LinkHold{Link: linkL, By: "c3", At: 12})
	return d.s
}

func TestGoldenSnapshots(t *testing.T) {
	for _, c := range []struct {
		file  string
		state *State
		parts []string
	}{
		{"snapshot.v1", rich(t), []string{`"nextAt":12`, `"order":"continue"`, `"spent":`, `"deleting":true`, `"sasl":`, `"phase":3`, `"leaving":true`, `"stop":`}},
		{"snapshot.v2", richer(t), []string{`"source":"id"`, `"target":"pinned"`, `"lastOperation":2`, `"by":"n2"`, `"state":"done"`, `"step":"releasing"`, `"started":16`, `"finished":17`}},
		{"snapshot.v3", richest(t), []string{`{"source":"id","target":"pinned","stream":{"topic":"orders"`, `"name":"l","dropped"`, `"lasting":[`, `"who":"node n3","client":`}},
		{"snapshot.v4", whole(t), []string{`"thinned":104`}},
		{"snapshot.v5", identified(t), []string{`"key":"0b0b`, `"node":"n5","datacenter":"east","hash":"0b0b`, `{"name":"n4","key":"0b0b`}},
		{"snapshot.v6", succeeding(t), []string{`"held":"c3"`, `"adopted":"c1"`, `"unsure":true`, `"clusterId":"c2"`, `"touched":`, `{"name":"us","bootstrap":["us:9092"],"clusterId":"id","revision":`}},
	} {
		t.Run(c.file, func(t *testing.T) {
			got := snapshot(t, c.state.View())
			want := golden(t, c.file, got)
			if !bytes.Equal(got, want) {
				t.Errorf("written\n%s\nreleased\n%s", got, want)
			}
			s, err := ReadSnapshot(bytes.NewReader(want))
			if err != nil {
				t.Fatal(err)
			}
			if again := snapshot(t, s.View()); !bytes.Equal(again, want) {
				t.Errorf("read and written again\n%s\nreleased\n%s", again, want)
			}
			for _, part := range c.parts {
				if !strings.Contains(string(want), part) {
					t.Errorf("the golden snapshot pins no %s", part)
				}
			}
		})
	}
}

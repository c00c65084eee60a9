package fsm

import (
	"bytes"
	"flag"
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
	}
}

func TestSamplesAreWhole(t *testing.T) {
	seen := map[Type]bool{}
	for name, c := range samples() {
		seen[c.Type()] = true
		if _, ok := c.(*Barrier); !ok {
			wantSet(t, name, reflect.ValueOf(c).Elem())
		}
	}
	for _, f := range formats {
		if !seen[f.command.Type()] {
			t.Errorf("no sample of %T", f.command)
		}
	}
}

// wantSet reports fields that are zero: a golden file would not pin them.
func wantSet(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			wantSet(t, path, v.Elem())
			return
		}
	case reflect.Struct:
		for i := range v.NumField() {
			wantSet(t, path+"."+v.Type().Field(i).Name, v.Field(i))
		}
		return
	case reflect.Slice:
		if v.Len() > 0 {
			wantSet(t, path, v.Index(0))
			return
		}
	}
	if v.IsZero() {
		t.Errorf("%s is not set", path)
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

func TestGoldenSnapshot(t *testing.T) {
	got := snapshot(t, rich(t).View())
	want := golden(t, "snapshot.v1", got)
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
	for _, part := range []string{`"nextAt":12`, `"order":"continue"`, `"spent":`, `"deleting":true`, `"sasl":`, `"phase":3`, `"leaving":true`, `"stop":`} {
		if !strings.Contains(string(want), part) {
			t.Errorf("the golden snapshot pins no %s", part)
		}
	}
}

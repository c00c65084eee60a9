package fsm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// eachField calls visit with every field that stands in the log or in a
// snapshot below a type, and the level that it needs.
func eachField(path string, t reflect.Type, level uint32, visit func(path string, level uint32, f reflect.StructField)) {
	switch t.Kind() {
	case reflect.Pointer:
		eachField(path, t.Elem(), level, visit)
	case reflect.Slice, reflect.Array:
		eachField(path+"[]", t.Elem(), level, visit)
	case reflect.Map, reflect.Interface, reflect.Func, reflect.Chan:
		panic(path + ": neither levels nor unknown fields can be told in a " + t.Kind().String())
	case reflect.Struct:
		for f := range t.Fields() {
			below := max(level, levelOfField(f))
			visit(path+" "+fieldName(f), below, f)
			eachField(path+" "+fieldName(f), f.Type, below, visit)
		}
	}
}

func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" {
		return f.Name
	}
	return name
}

// forms are all commands and records of snapshots with their levels and types.
func forms() map[string]struct {
	level uint32
	is    reflect.Type
} {
	out := map[string]struct {
		level uint32
		is    reflect.Type
	}{}
	for _, f := range formats {
		out[fmt.Sprintf("command %d.%d", f.command.Type(), f.version)] = struct {
			level uint32
			is    reflect.Type
		}{f.level, reflect.TypeOf(f.command)}
	}
	for _, r := range records {
		out[fmt.Sprintf("snapshot %d", r.kind)] = struct {
			level uint32
			is    reflect.Type
		}{r.level, reflect.TypeOf(r.value)}
	}
	return out
}

// TestEveryFieldHasItsLevel holds what can be written at each level against
// the list of when that level was released: a new command, record or field
// needs a new level, or a node that knows no more than the old one would stop.
// -update writes only the list of the newest level.
func TestEveryFieldHasItsLevel(t *testing.T) {
	have := map[uint32][]string{}
	for name, f := range forms() {
		have[f.level] = append(have[f.level], name)
		eachField(name, f.is, f.level, func(path string, level uint32, _ reflect.StructField) { have[level] = append(have[level], path) })
	}
	for level := uint32(1); level <= FeatureLevel; level++ {
		slices.Sort(have[level])
		got := strings.Join(have[level], "\n") + "\n"
		path := filepath.Join("testdata", fmt.Sprintf("fields.%d", level))
		if *update && level == FeatureLevel {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		released := strings.Split(strings.TrimSpace(string(want)), "\n")
		for _, p := range have[level] {
			if !slices.Contains(released, p) {
				t.Errorf("%q is new: say from which feature level on it may be written", p)
			}
		}
		for _, p := range released {
			if !slices.Contains(have[level], p) {
				t.Errorf("%q of level %d is gone: old logs and snapshots hold it", p, level)
			}
		}
		delete(have, level)
	}
	for level, paths := range have {
		t.Errorf("level %d is beyond what this build knows: %q", level, paths)
	}
}

// TestFieldsOfANewLevelAreLeftOut: an empty one that is written all the same
// would stop an older node.
func TestFieldsOfANewLevelAreLeftOut(t *testing.T) {
	seen := 0
	for name, f := range forms() {
		eachField(name, f.is, f.level, func(path string, _ uint32, field reflect.StructField) {
			if levelOfField(field) == 1 {
				return
			}
			seen++
			if _, options, _ := strings.Cut(field.Tag.Get("json"), ","); !strings.Contains(options, "omit") {
				t.Errorf("%s is written where it is empty", path)
			}
		})
	}
	if seen == 0 {
		t.Error("no field of a new level found")
	}
}

func TestLevelOf(t *testing.T) {
	type inner struct {
		Old int
		New []string `feature:"3"`
	}
	type outer struct {
		Plain  string
		Inner  *inner
		Inners []inner
		Late   inner `feature:"2"`
	}
	for _, c := range []struct {
		name string
		v    any
		want uint32
	}{
		{"nothing set", outer{}, 1},
		{"old fields", &outer{Plain: "x", Inner: &inner{Old: 1}, Inners: []inner{{Old: 1}}}, 1},
		{"a new field", outer{Late: inner{Old: 1}}, 2},
		{"behind a pointer", outer{Inner: &inner{New: []string{"x"}}}, 3},
		{"an empty list", outer{Inner: &inner{New: []string{}}}, 1},
		{"in a list", outer{Inners: []inner{{}, {New: []string{"x"}}}}, 3},
		{"the higher one", outer{Late: inner{New: []string{"x"}}}, 3},
	} {
		if got := levelOfFields(reflect.ValueOf(c.v)); got != c.want {
			t.Errorf("%s: level %d, want %d", c.name, got, c.want)
		}
	}
	for name, c := range samples() {
		want := formatOf(c).level
		switch {
		case name == "objects-by":
			want = featureOperations
		case strings.HasSuffix(name, "-who"):
			want = featureActs
		case name == "streams-again", name == "objects-on-source-deleted":
			want = featureEndedStreams
		case name == "mapping-put-thinned":
			want = featureThinned
		case name == "mapping-put-filled", name == "objects-gaps":
			want = featureFilled
		case name == "objects-filter":
			want = featureFilters
		case name == "node-put-key", name == "node-remove-ban":
			want = featureIdentity
		case strings.HasSuffix(name, "-revision"), strings.HasSuffix(name, "-seen"):
			want = featureExpected
		}
		if LevelOf(c) != want {
			t.Errorf("%s: level %d, want %d", name, LevelOf(c), want)
		}
	}
	if LevelOf(nil) != 0 {
		t.Error("a command that has no form has a level")
	}
}

func TestBehind(t *testing.T) {
	v := &View{Nodes: []Node{{Name: "n1", Feature: 2}, {Name: "n3"}, {Name: "n2", Feature: 1}}}
	if got := v.Behind(2); !slices.Equal(got, []string{"n2", "n3"}) {
		t.Errorf("behind level 2: %q", got)
	}
	if got := v.Behind(0); got != nil {
		t.Errorf("behind level 0: %q", got)
	}
}

// TestUnknownFieldsStop: what a newer node added must not be dropped, at
// whatever depth it stands.
func TestUnknownFieldsStop(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"of a command", seal(append([]byte{byte(TypeNodeRemove), 1}, `{"id":"a","why":"old"}`...))},
		{"of an object", seal(append([]byte{byte(TypeObjects), 1}, `{"links":[{"spec":{"name":"l","colour":1}}]}`...))},
		{"of an object behind a pointer", seal(append([]byte{byte(TypeTaskStop), 1}, `{"task":1,"turn":1,"stop":{},"event":{"code":"idle","sound":1}}`...))},
		{"level", seal(append([]byte{byte(TypeFeatureLevel), 1}, fmt.Sprintf(`{"level":%d}`, FeatureLevel+1)...))},
		{"flag of progress", seal([]byte{byte(TypeProgress), 1, 1, 'a', 0, 1, 2, 1, 1, 4, 0, 0, 0, 0, 0, 0})},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := fixture(t)
			before := hash(t, d.s.View())
			if _, err := d.s.Apply(99, c.data); !errors.Is(err, ErrUnknown) {
				t.Errorf("%v, want %v", err, ErrUnknown)
			}
			if hash(t, d.s.View()) != before {
				t.Error("the state has changed")
			}
		})
	}
	for _, c := range []struct{ name, record string }{
		{"of a link", rec(recLink, `{"id":1,"spec":{"colour":1}}`)},
		{"of a node", rec(recNode, `{"id":"a","colour":1}`)},
		{"of an event", rec(recEvents, `{"link":1,"events":[{"colour":1}]}`)},
		{"of a task", rec(recTasks, `[{"id":1,"kind":1,"colour":1}]`)},
		{"of a task's mapping", rec(recTasks, `[{"id":1,"kind":1,"mapping":{"colour":1}}]`)},
	} {
		t.Run("snapshot "+c.name, func(t *testing.T) {
			if _, err := ReadSnapshot(bytes.NewReader(sealed(rec(recHead, `{"nextTask":10}`), c.record, rec(recEnd, "2")))); !errors.Is(err, ErrUnknown) {
				t.Errorf("%v, want %v", err, ErrUnknown)
			}
		})
	}
	if _, err := ReadSnapshot(bytes.NewReader(sealed(rec(recHead, `{"nextTask":10,"colour":1}`), rec(recEnd, "1")))); !errors.Is(err, ErrUnknown) {
		t.Errorf("the head: %v, want %v", err, ErrUnknown)
	}
	beyond := sealed(rec(recHead, fmt.Sprintf(`{"feature":%d}`, FeatureLevel+1)), rec(recEnd, "1"))
	if _, err := ReadSnapshot(bytes.NewReader(beyond)); !errors.Is(err, ErrUnknown) {
		t.Errorf("a level beyond this build's: %v, want %v", err, ErrUnknown)
	}
	if _, err := Decode(seal(append([]byte{byte(TypeBarrier), 1}, "{} {}"...))); !errors.Is(err, ErrCorrupt) {
		t.Errorf("two values: %v, want %v", err, ErrCorrupt)
	}
}

// levelOfView is the level of what a snapshot of the View holds.
func levelOfView(v *View) uint32 {
	level := levelOfFields(reflect.ValueOf(snapshotHead{Spent: v.Spent, LastOperation: v.lastOperation}))
	if len(v.Operations) > 0 {
		level = max(level, featureOperations)
	}
	if len(v.Ended) > 0 {
		level = max(level, featureEndedStreams)
	}
	if len(v.Bans)+len(v.Tokens) > 0 {
		level = max(level, featureIdentity)
	}
	for _, part := range []any{v.Nodes, v.Kafka, v.Links, v.Events} {
		level = max(level, levelOfFields(reflect.ValueOf(part)))
	}
	for t := range v.Tasks {
		level = max(level, levelOfFields(reflect.ValueOf(wireOf(t))))
	}
	return level
}

// TestFeatureLevelIsDocumented: who upgrades finds each level in the how-to.
func TestFeatureLevelIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/howto/rolling-restart.md")
	if err != nil {
		t.Fatal(err)
	}
	for level := 1; level <= FeatureLevel; level++ {
		if !strings.Contains(string(page), fmt.Sprintf("\n| %d | ", level)) {
			t.Errorf("level %d is not there", level)
		}
	}
}

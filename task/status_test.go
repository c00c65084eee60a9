package task

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"sluice/fsm"
)

// send encodes and decodes as a report does, through JSON.
func send(t testing.TB, in map[fsm.TaskID]Status) map[fsm.TaskID]Status {
	t.Helper()
	b, details := Encode(in)
	wire, err := json.Marshal(details)
	if err != nil {
		t.Fatal(err)
	}
	var arrived Details
	if err := json.Unmarshal(wire, &arrived); err != nil {
		t.Fatal(err)
	}
	out, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	for id, d := range arrived {
		s := out[id]
		s.Detail = d
		out[id] = s
	}
	return out
}

// TestReleasedForm: nodes of the first release read and write these bytes.
func TestReleasedForm(t *testing.T) {
	const golden = "0207636f7079696e67000c756e617574686f72697a65641452454144206f6e20746f706963206f72646572730700f0013c808080010201010100a3020000000a"
	in := map[fsm.TaskID]Status{
		7:   {State: fsm.CodeCopying, Lag: Lag{Records: 120, Millis: 30}, Rate: 1 << 20},
		9:   {State: fsm.CodeUnauthorized, Message: "READ on topic orders", Lag: Lag{Records: -1, Millis: -1}},
		300: {State: fsm.CodeCopying, Rate: 5},
	}
	b, details := Encode(in)
	if got := hex.EncodeToString(b); got != golden || details != nil {
		t.Errorf("encoded as %s with %d details", got, len(details))
	}
	released, err := hex.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := Decode(released); err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("decoded as %v, %v", out, err)
	}
	in[9] = Status{State: in[9].State, Message: in[9].Message, Lag: in[9].Lag, Detail: []byte(`{"topics":3}`)}
	if b, details = Encode(in); hex.EncodeToString(b) != golden || string(details[9]) != `{"topics":3}` {
		t.Errorf("a detail changed the bytes that others read: %x, %s", b, details[9])
	}
}

func TestStatesSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		status := rapid.Custom(func(t *rapid.T) Status {
			return Status{
				State:   fsm.Code(rapid.SampledFrom([]string{"", "copying", "idle", "unreachable"}).Draw(t, "state")),
				Message: rapid.SampledFrom([]string{"", "READ on topic orders is needed"}).Draw(t, "message"),
				Rate:    rapid.Int64().Draw(t, "rate"),
				Lag:     Lag{Records: rapid.Int64().Draw(t, "records"), Millis: rapid.Int64().Draw(t, "millis")},
				Detail:  rapid.SampledFrom([][]byte{nil, []byte(`{"topics":3}`), []byte(`[1,"a"]`)}).Draw(t, "detail"),
			}
		})
		in := rapid.MapOf(rapid.Map(rapid.Uint64(), func(u uint64) fsm.TaskID { return fsm.TaskID(u) }), status).Draw(rt, "tasks")
		if out := send(t, in); !reflect.DeepEqual(in, out) {
			rt.Fatalf("%v became %v", in, out)
		}
	})
}

func TestStatesAreSmall(t *testing.T) {
	in := map[fsm.TaskID]Status{}
	for id := fsm.TaskID(1); id <= 10_000; id++ {
		in[id] = Status{State: fsm.CodeCopying, Lag: Lag{Records: 120, Millis: 30}, Rate: 1 << 20}
	}
	if b, _ := Encode(in); len(b) > 110_000 {
		t.Errorf("ten thousand tasks take %d bytes", len(b))
	}
}

// TestTroubleIsSmall: ten thousand tasks that all say something else do not
// flood the network, and each still tells its state.
func TestTroubleIsSmall(t *testing.T) {
	in := map[fsm.TaskID]Status{}
	for id := fsm.TaskID(1); id <= 10_000; id++ {
		in[id] = Status{
			State: fsm.CodeUnreachable, Message: fmt.Sprintf("broker %d: %s", id, strings.Repeat("ü", 500)),
			Detail: []byte(`"` + strings.Repeat("x", 1000) + `"`),
		}
	}
	b, details := Encode(in)
	if len(b) > 110_000+maxMessages*maxMessage {
		t.Errorf("ten thousand tasks in trouble take %d bytes", len(b))
	}
	if d, err := json.Marshal(details); err != nil || len(d) > 2*maxDetails || len(details) < 1000 {
		t.Errorf("%d details take %d bytes, %v", len(details), len(d), err)
	}
	out, err := Decode(b)
	if err != nil || len(out) != len(in) || out[10_000].State != fsm.CodeUnreachable || out[10_000].Message != "" ||
		!strings.HasPrefix(out[1].Message, "broker 1: ü") || !strings.HasSuffix(out[1].Message, "ü…") || !utf8.ValidString(out[1].Message) {
		t.Errorf("%d tasks, %v; the first %+v, the last %+v", len(out), err, out[1], out[10_000])
	}
}

// TestDetailThatIsNoJSON: it would keep the whole report from being written.
func TestDetailThatIsNoJSON(t *testing.T) {
	out := send(t, map[fsm.TaskID]Status{1: {State: fsm.CodeIdle, Detail: []byte("{")}, 2: {Detail: []byte("{}")}})
	if len(out) != 2 || out[1].State != fsm.CodeIdle || out[1].Detail != nil || string(out[2].Detail) != "{}" {
		t.Errorf("%+v", out)
	}
}

func FuzzDecode(f *testing.F) {
	b, _ := Encode(map[fsm.TaskID]Status{7: {State: fsm.CodeIdle, Lag: Lag{Records: -1}}, 9: {State: fsm.CodeUnauthorized, Message: "READ"}})
	f.Add(b)
	f.Add([]byte{})
	f.Add([]byte{1, 255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := Decode(b)
		if err != nil {
			return
		}
		again := send(t, first) // messages may be cut
		if len(first) != len(again) {
			t.Fatalf("%v became %v", first, again)
		}
		if third := send(t, again); !reflect.DeepEqual(again, third) {
			t.Fatalf("%v became %v", again, third)
		}
	})
}

package cluster

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"sluice/fsm"
)

func TestMeasurementsSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		measurement := rapid.Custom(func(t *rapid.T) Measurement {
			return Measurement{
				State:      fsm.Code(rapid.SampledFrom([]string{"", "copying", "idle", "unreachable"}).Draw(t, "state")),
				Message:    rapid.SampledFrom([]string{"", "READ on topic orders is needed"}).Draw(t, "message"),
				LagRecords: rapid.Int64().Draw(t, "records"), LagMillis: rapid.Int64().Draw(t, "millis"),
				BytesPerSec: rapid.Int64().Draw(t, "rate"),
			}
		})
		in := rapid.MapOf(rapid.Map(rapid.Uint64(), func(u uint64) fsm.TaskID { return fsm.TaskID(u) }), measurement).Draw(t, "tasks")
		out, err := decodeMeasurements(encodeMeasurements(in))
		if err != nil || !maps.Equal(in, out) {
			t.Fatalf("%v became %v, %v", in, out, err)
		}
	})
}

func TestMeasurementsAreSmall(t *testing.T) {
	in := map[fsm.TaskID]Measurement{}
	for id := fsm.TaskID(1); id <= 10_000; id++ {
		in[id] = Measurement{State: fsm.CodeCopying, LagRecords: 120, LagMillis: 30, BytesPerSec: 1 << 20}
	}
	if size := len(encodeMeasurements(in)); size > 110_000 {
		t.Errorf("ten thousand tasks take %d bytes", size)
	}
}

// TestMeasurementsInTroubleAreSmall: ten thousand tasks that all say something
// else do not flood the network, and each still tells its state.
func TestMeasurementsInTroubleAreSmall(t *testing.T) {
	in := map[fsm.TaskID]Measurement{}
	for id := fsm.TaskID(1); id <= 10_000; id++ {
		in[id] = Measurement{State: fsm.CodeUnreachable, Message: fmt.Sprintf("broker %d: %s", id, strings.Repeat("ü", 500))}
	}
	b := encodeMeasurements(in)
	if len(b) > 110_000+maxMessages*maxMessage {
		t.Errorf("ten thousand tasks in trouble take %d bytes", len(b))
	}
	out, err := decodeMeasurements(b)
	if err != nil || len(out) != len(in) || out[10_000].State != fsm.CodeUnreachable || out[10_000].Message != "" ||
		!strings.HasPrefix(out[1].Message, "broker 1: ü") || !utf8.ValidString(out[1].Message) {
		t.Errorf("%d tasks, %v; the first %+v, the last %+v", len(out), err, out[1], out[10_000])
	}
}

func FuzzDecodeMeasurements(f *testing.F) {
	f.Add(encodeMeasurements(map[fsm.TaskID]Measurement{7: {State: fsm.CodeIdle, LagRecords: -1}, 9: {State: fsm.CodeUnauthorized, Message: "READ"}}))
	f.Add([]byte{})
	f.Add([]byte{1, 255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, b []byte) {
		ms, err := decodeMeasurements(b)
		if err != nil {
			return
		}
		again, err := decodeMeasurements(encodeMeasurements(ms)) // messages may be cut
		if err != nil || len(ms) != len(again) {
			t.Fatalf("%v became %v, %v", ms, again, err)
		}
		third, err := decodeMeasurements(encodeMeasurements(again))
		if err != nil || !maps.Equal(again, third) {
			t.Fatalf("%v became %v, %v", again, third, err)
		}
	})
}

package cluster

import (
	"maps"
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
)

func TestMeasurementsSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		measurement := rapid.Custom(func(t *rapid.T) Measurement {
			return Measurement{
				State:      fsm.Code(rapid.SampledFrom([]string{"", "copying", "idle", "unreachable"}).Draw(t, "state")),
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

func FuzzDecodeMeasurements(f *testing.F) {
	f.Add(encodeMeasurements(map[fsm.TaskID]Measurement{7: {State: fsm.CodeIdle, LagRecords: -1}}))
	f.Add([]byte{})
	f.Add([]byte{1, 255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, b []byte) {
		ms, err := decodeMeasurements(b)
		if err != nil {
			return
		}
		again, err := decodeMeasurements(encodeMeasurements(ms))
		if err != nil || !maps.Equal(ms, again) {
			t.Fatalf("%v became %v, %v", ms, again, err)
		}
	})
}

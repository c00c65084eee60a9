package cli

import (
	"strings"
	"testing"

	"sluice/api"
	"sluice/fsm"
)

// TestContinueSaysHowManyMayRepeat before it is done, of the streams named.
func TestContinueSaysHowManyMayRepeat(t *testing.T) {
	unknown := func(partition int32, from, to int64) api.Task {
		x := api.Task{Kind: "copy", Topic: "orders", Partition: partition, State: fsm.CodePositionUnknown, Side: "target", From: &from, To: &to}
		x.Phase = "translated"
		return x
	}
	other := unknown(2, 0, 1000)
	other.State = fsm.CodePositionLost
	tasks := []api.Task{unknown(0, 100, 118), unknown(1, 50, 60), other}
	one := int32(1)
	for _, tc := range []struct {
		sel  api.StreamSelector
		want string
	}{
		{api.StreamSelector{}, "At most 28 records of 2 streams"},
		{api.StreamSelector{Topic: "orders", Partition: &one}, "At most 10 records of 1 stream,"},
		{api.StreamSelector{Topic: "payments"}, ""},
	} {
		if got := mayRepeat(tasks, tc.sel); !strings.HasPrefix(got, tc.want) || (got == "") != (tc.want == "") {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

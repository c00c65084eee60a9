package stream

import (
	"strings"
	"testing"
	"time"

	"sluice/replication/recovery"
)

// TestOldRequestsMessage says how long and why, and names no setting.
func TestOldRequestsMessage(t *testing.T) {
	old := &recovery.TargetLog{Observed: recovery.Observed{Producer: &recovery.Producer{LastTimestamp: 1_700_000_000}}}
	none := &recovery.TargetLog{Observed: recovery.Observed{Tail: &recovery.Tail{MaxTimestamp: -1}}}
	for log, want := range map[*recovery.TargetLog]string{old: "as old as the last one, of 1970-01-20T16:13:20Z", none: "without a timestamp", nil: "does not refuse it"} {
		got := oldRequestsMessage(8*time.Second, log)
		if !strings.HasPrefix(got, "for 8s more: a request that was sent before") || !strings.HasSuffix(got, want) || strings.Contains(got, "expiration") {
			t.Errorf("%q, want the end %q", got, want)
		}
	}
}

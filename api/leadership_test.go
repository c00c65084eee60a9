package api_test

import (
	"strings"
	"testing"
	"time"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/fsm"
)

// TestTransferLeadership: who leads, whether it led before, and who asked.
func TestTransferLeadership(t *testing.T) {
	f := apitest.New(t)
	f.Do(&fsm.FeatureRaise{Level: fsm.FeatureLevel})
	_, client := f.Serve(nil)
	for _, c := range []struct{ node, name, state string }{
		{"n3", "n3", api.StateLeads}, {"n3", "n3", api.StateLedAlready}, {"", "n1", api.StateLeads},
	} {
		a, err := api.TransferLeadership(t.Context(), client, c.node)
		if err != nil || a.Name != c.name || a.State != c.state || a.Leader != c.name {
			t.Errorf("to %q: %+v %v", c.node, a, err)
		}
	}
	e, err := client.Events(t.Context(), "", time.Time{}, 10)
	if err != nil || e.Items[0].Code != fsm.CodeOperatorAct || !strings.HasPrefix(e.Items[0].Who, "anonymous on ") {
		t.Errorf("%+v %v", e, err)
	}
	if _, err := api.TransferLeadership(t.Context(), client, "n7"); code(err) != api.CodeNotFound {
		t.Error(err)
	}
	f.With(func(f *apitest.Cluster) { f.Unfit = "node n2 has no vote" })
	if _, err := api.TransferLeadership(t.Context(), client, "n2"); code(err) != api.CodeRefused {
		t.Error(err)
	}
	f.With(func(f *apitest.Cluster) { f.NoLeader = true })
	if _, err := api.TransferLeadership(t.Context(), client, "n2"); code(err) != api.CodeNoLeader {
		t.Error(err)
	}
}

package api_test

import (
	"slices"
	"testing"
	"time"

	"sluice/api"
	"sluice/api/apitest"
)

const fullDisk = "disk full: writing /data/raft/log.db: no space left on device"

// TestStatusTellsOfDisks, as the members do.
func TestStatusTellsOfDisks(t *testing.T) {
	f := apitest.New(t)
	_, client := f.Serve(nil)
	f.With(func(f *apitest.Cluster) {
		f.Nodes[2].Alive, f.Nodes[2].Disk = false, &api.Disk{Why: fullDisk, Since: time.Unix(1_790_000_000, 0)}
	})
	s, err := client.Status(t.Context(), 10, 10)
	if err != nil || s.Health != api.Unhealthy || !slices.Equal(s.Problems, []string{"node n3 is silent: " + fullDisk + ", since 2026-09-21 14:13:20Z"}) {
		t.Errorf("%+v %v", s, err)
	}
	l, err := client.Members(t.Context())
	if err != nil || l.Items[0].Name != "n3" || !l.Items[0].Failing() || l.Items[0].DiskSince.Unix() != 1_790_000_000 || l.Items[1].Failing() || l.Items[1].Disk == nil {
		t.Errorf("%+v %v", l, err)
	}
}

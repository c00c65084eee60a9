package api_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/fsm"
	"sluice/pki"
)

// TestHealth: what is wrong is told, and what is not known is not well.
func TestHealth(t *testing.T) {
	third := func(change func(m *api.Member)) func(*apitest.Cluster) {
		return func(f *apitest.Cluster) { change(&f.Nodes[2]) }
	}
	for _, c := range []struct {
		name    string
		change  func(*apitest.Cluster)
		want    []string // what begins each problem
		alive   int
		mayFail int // -1: not known
	}{
		{"well", func(*apitest.Cluster) {}, nil, 3, 1},
		{"one is dead", third(func(m *api.Member) { m.Alive, m.Heard = false, time.Now().Add(-time.Hour) }),
			[]string{"node n3 is silent", "no voter may fail: 2 of 3 are well, and 2 are needed"}, 2, 0},
		{"one was never heard", third(func(m *api.Member) { *m = api.Member{ID: m.ID, Voter: true} }),
			[]string{"node n3 is silent", "no voter may fail"}, 2, 0},
		{"one has no vote yet", third(func(m *api.Member) { m.Voter = false }), []string{"2 of 3 planned members vote: ", "no voter may fail: 2 of 2 are well"}, 2, 0},
		{"a full disk", third(func(m *api.Member) {
			m.Alive, m.Disk = false, &api.Disk{Why: fullDisk, Since: time.Unix(1_790_000_000, 0)}
		}),
			[]string{"node n3 is silent: " + fullDisk + ", since 2026-09-21 14:13:20Z", "no voter may fail"}, 2, 0},
		{"a disk that has just become full", third(func(m *api.Member) { m.Disk = &api.Disk{Why: fullDisk, Since: time.Unix(1_790_000_000, 0)} }),
			[]string{"node n3 cannot write: " + fullDisk + ", since ", "no voter may fail"}, 2, 0},
		{"its last report", third(func(m *api.Member) {
			m.Alive, m.Heard, m.Disk = false, time.Now().Add(-3*time.Hour-2*time.Second), &api.Disk{Why: fullDisk, Since: time.Unix(1_790_000_000, 0)}
		}), []string{"node n3 is silent; its last report, of 3h0m2s ago, says: " + fullDisk, "no voter may fail"}, 2, 0},
		{"a version that does not say", third(func(m *api.Member) { m.Disk = nil }), []string{"node n3 does not say whether it can write to its disk (version v1)"}, 3, 1},
		{"behind", third(func(m *api.Member) { m.Behind = 1001 }), []string{"node n3 is behind: it has yet to apply 1001 commands"}, 3, 1},
		{"a little behind", third(func(m *api.Member) { m.Behind = 1000 }), nil, 3, 1},
		{"a clock", third(func(m *api.Member) { m.Clock = &api.Clock{Offset: -90 * time.Second, Error: time.Second} }), []string{"the clock of node n3 is 1m30s behind that of node n1"}, 3, 1},
		{"a clock that may be right", third(func(m *api.Member) { m.Clock = &api.Clock{Offset: 1500 * time.Millisecond, Error: time.Second} }), nil, 3, 1},
		{"no clock", third(func(m *api.Member) { m.Clock = nil }), nil, 3, 1},
		{"a certificate that ends tomorrow", third(func(m *api.Member) {
			m.Certificates = []pki.Held{{Use: pki.UsePeer, Name: "n3", File: "n3.pem", Until: time.Now().Add(23 * time.Hour), Life: 825 * 24 * time.Hour}}
		}), []string{"node n3: "}, 3, 1},
		{"no quorum", func(f *apitest.Cluster) {
			f.NoLeader, f.Status.Quorum, f.Status.Leader = true, false, ""
			f.Nodes[2].Alive, f.Nodes[2].Heard, f.Nodes[2].Behind = false, time.Now().Add(-time.Minute), 5000
		}, []string{"no quorum: nothing can be changed", "node n3 is silent"}, 2, -1},
		{"no quorum since it started", func(f *apitest.Cluster) {
			f.NoLeader, f.Status.Quorum, f.Status.Leader, f.Status.Confirmed = true, false, "", time.Time{}
		}, []string{"no quorum since this node started"}, 3, -1},
		{"an obstacle", func(f *apitest.Cluster) {
			f.Status.Obstacles = []string{"node n2 shows a certificate that has expired"}
		}, []string{"node n2 shows a certificate"}, 3, 1},
		{"a member that the facts do not know", func(f *apitest.Cluster) { f.Nodes = append(f.Nodes, api.Member{ID: "id9"}) }, []string{"node id9 is silent"}, 3, 1},
	} {
		f := apitest.New(t)
		_, client := f.Serve(nil)
		f.With(c.change)
		h, err := api.AskHealth(t.Context(), client)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if !slices.EqualFunc(h.Problems, c.want, strings.HasPrefix) || h.Well != (len(c.want) == 0) {
			t.Errorf("%s: well %v, problems %q, want %q", c.name, h.Well, h.Problems, c.want)
		}
		mayFail := -1
		if h.Voters.MayFail != nil {
			mayFail = *h.Voters.MayFail
		}
		if h.Voters.Alive != c.alive || mayFail != c.mayFail || h.Voters.Planned != 3 {
			t.Errorf("%s: %+v, may fail: %d", c.name, h.Voters, mayFail)
		}
		if len(c.want) > 0 && strings.HasPrefix(c.want[0], "node n3 ") && h.Members[0].Name != "n3" {
			t.Errorf("%s: first comes %s", c.name, h.Members[0].Name)
		}
	}
}

// TestHealthOfLargerClusters: how many may die.
func TestHealthOfLargerClusters(t *testing.T) {
	f := apitest.New(t)
	f.With(func(f *apitest.Cluster) { f.Status.Voters = 5 })
	for _, n := range []string{"4", "5"} {
		f.Do(&fsm.NodePut{Node: fsm.Node{ID: "id" + n, Name: "n" + n, Addr: "127.0.0." + n + ":7400", Feature: 1}, At: 1000})
		f.With(func(f *apitest.Cluster) {
			m := f.Nodes[0]
			m.ID = "id" + n
			f.Nodes = append(f.Nodes, m)
		})
	}
	_, client := f.Serve(nil)
	for dead, want := range []int{2, 1, 0} {
		f.With(func(f *apitest.Cluster) {
			if dead > 0 {
				f.Nodes[dead+2].Alive = false
			}
		})
		h, err := api.AskHealth(t.Context(), client)
		if err != nil || h.Voters.MayFail == nil || *h.Voters.MayFail != want || h.Voters.Needed != 3 || h.Voters.Count != 5 {
			t.Errorf("%d dead: %+v %v, want that %d may fail", dead, h.Voters, err, want)
		}
	}
}

package cluster

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"sluice/fsm"
	"sluice/task"
)

func TestJudge(t *testing.T) {
	timing := ProfileLAN.timing()
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	long := ago(time.Hour)
	cases := []struct {
		name  string
		since time.Time
		r     Report
		want  Life
	}{
		{"well", long, Report{At: ago(time.Second), Confirmed: true}, LifeAlive},
		{"late", long, Report{At: ago(2 * time.Second), Confirmed: true}, LifeSilent},
		{"silent for T", long, Report{At: ago(3 * time.Second), Confirmed: true}, LifeDead},
		{"process gone", long, Report{At: ago(0), Confirmed: true, Refused: true}, LifeDead},
		{"process gone before the term", now, Report{Refused: true}, LifeDead},
		{"just started, unconfirmed", long, Report{At: ago(0)}, LifeSilent},
		{"deaf", long, Report{At: ago(0), Confirmed: true, Deaf: 4 * time.Second}, LifeDead},
		{"deaf since the former leader's end", ago(2 * time.Second), Report{At: ago(0), Confirmed: true, Deaf: 4 * time.Second}, LifeAlive},
		{"new leader hears nobody yet", ago(time.Second), Report{At: ago(time.Minute), Confirmed: true}, LifeSilent},
		{"new leader has listened", ago(1300 * time.Millisecond), Report{At: ago(time.Minute), Confirmed: true}, LifeDead},
		{"never heard, young term", ago(time.Second), Report{}, LifeSilent},
		{"never heard", ago(4 * time.Second), Report{}, LifeDead},
	}
	for _, c := range cases {
		if got := judge(now, c.since, c.r, timing); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestStoppedLeaderListensAnew: a leader that slept with all others must not
// call them dead for reports that nobody could send.
func TestStoppedLeaderListensAnew(t *testing.T) {
	begin := time.Now()
	l := &leaderLoop{leadership: &leadership{local: &local{t: ProfileLAN.timing()}}, term: &term{since: begin}}
	for _, c := range []struct{ at, since time.Duration }{
		{time.Second, 0}, {2 * time.Second, 0}, {time.Minute, time.Minute}, {time.Minute + leaderTick, time.Minute},
	} {
		l.detectPause(begin.Add(c.at))
		if got := l.since.Sub(begin); got != c.since {
			t.Errorf("after %v: listens since %v, want %v", c.at, got, c.since)
		}
	}
}

func TestCommonFeature(t *testing.T) {
	v := &fsm.View{Nodes: []fsm.Node{{ID: "a", Feature: 3}, {ID: "b", Feature: 2}}}
	servers := []raft.Server{{ID: "a"}, {ID: "b"}}
	if got := commonFeature(v, servers); got != 2 {
		t.Errorf("level %d", got)
	}
	if got := commonFeature(v, append(servers, raft.Server{ID: "c"})); got != 0 {
		t.Errorf("level %d with a member that has not said", got)
	}
}

func TestTableSmoothsRates(t *testing.T) {
	tab := newTable()
	for _, rate := range []int64{800, 0, 0} {
		tab.put(Report{ServerID: "a", Tasks: map[fsm.TaskID]task.Status{1: {Rate: rate}}})
	}
	if got := tab.rates[1]; got < 600 || got > 620 {
		t.Errorf("rate %d", got)
	}
	for range 100 {
		tab.put(Report{ServerID: "a", Tasks: map[fsm.TaskID]task.Status{1: {Rate: 100}}})
	}
	if got := tab.rates[1]; got != 100 {
		t.Errorf("a steady rate of 100 is smoothed to %d", got)
	}
	if got := tab.smoothed(fsm.NewState().View()); len(got) != 0 || len(tab.rates) != 0 {
		t.Errorf("rates of tasks that are gone: %v", got)
	}
	if !tab.refuse("a") || tab.refuse("a") {
		t.Error("refusing twice is news once")
	}
	tab.put(Report{ServerID: "a"})
	if tab.get("a").Refused {
		t.Error("a report does not lift a refusal")
	}
}

func TestIdentityLivesAndDiesWithTheDataDir(t *testing.T) {
	dir := t.TempDir()
	first, err := OpenIdentity(dir)
	if err != nil || len(first.ServerID) < 20 {
		t.Fatalf("%+v, %v", first, err)
	}
	first.ClusterID = "c"
	if err := saveIdentity(dir, first); err != nil {
		t.Fatal(err)
	}
	if again, err := OpenIdentity(dir); err != nil || again != first {
		t.Errorf("%+v, %v", again, err)
	}
	if err := wipeIdentity(dir); err != nil {
		t.Fatal(err)
	}
	if other, err := OpenIdentity(dir); err != nil || other.ServerID == first.ServerID || other.ClusterID != "" {
		t.Errorf("%+v, %v", other, err)
	}
}

func TestConfigNamesEveryMistake(t *testing.T) {
	c := Config{Profile: "moon", MaxVoters: 9}
	err := c.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"name", "data dir", "moon", "max voters 9"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
	if ProfileLAN.DeadAfter() != 3*time.Second || ProfileWAN.DeadAfter() != 10*time.Second {
		t.Error("T is 3 s lan, 10 s wan")
	}
}

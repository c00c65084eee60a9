package cli

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/fsm"
)

// step is what happens as soon as a text was written.
type step struct {
	text string
	do   func()
}

// script is a stream that carries out steps, each after the one before.
type script struct {
	text  strings.Builder
	steps []step
	seen  int // what was written before it belongs to earlier steps
}

func (s *script) Write(b []byte) (int, error) {
	n, err := s.text.Write(b)
	if len(s.steps) > 0 && strings.Contains(s.String()[s.seen:], s.steps[0].text) {
		next := s.steps[0]
		s.steps, s.seen = s.steps[1:], s.text.Len()
		next.do()
	}
	return n, err
}

func (s *script) String() string { return s.text.String() }

// person watches one run of a command line.
type person struct {
	env      Env
	out, err script
	address  string
}

func newPerson(address string) *person {
	return &person{env: Env{Getenv: func(string) string { return "" }}, address: address}
}

// run carries out a command line; it ends by itself, or when ctx does.
func (s *person) run(ctx context.Context, t *testing.T, args ...string) int {
	t.Helper()
	s.env.Stdout, s.env.Stderr = &s.out, &s.err
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	code := Run(ctx, append(args, "--address", s.address), s.env, testLocal())
	for _, x := range append(s.out.steps, s.err.steps...) {
		t.Errorf("never written: %q in\n%s\nor %s", x.text, &s.out, &s.err)
	}
	return code
}

// faulty is the API, until its calls are to fail.
type faulty struct {
	http.Handler
	fails atomic.Bool
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.fails.Load() {
		panic(http.ErrAbortHandler)
	}
	f.Handler.ServeHTTP(w, r)
}

func serveFaulty(t *testing.T, f *apitest.Cluster, change func(*api.Config, *api.Parts)) (*faulty, string) {
	t.Helper()
	inner, _ := f.Serve(change)
	front := &faulty{Handler: inner.Config.Handler}
	srv := httptest.NewUnstartedServer(front)
	srv.Config.ErrorLog = nil
	srv.Start()
	t.Cleanup(srv.Close)
	return front, srv.URL
}

// TestWatchGoesOnWithoutAnswers, and shows the picture again once there are
// some; Ctrl-C is a good end.
func TestWatchGoesOnWithoutAnswers(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(2)
	f.Report(fsm.CodeCopying, 0)
	front, address := serveFaulty(t, f, nil)
	front.fails.Store(true)
	ctx, stop := context.WithCancel(t.Context())
	s := newPerson(address)
	s.out.steps = []step{
		{"no answer: ", func() { front.fails.Store(false) }},
		{"healthy", func() { front.fails.Store(true) }},
		{"no answer: ", stop},
	}
	if code := s.run(ctx, t, "status", "--watch", "--every", "1ms"); code != exitGood {
		t.Errorf("code %d: %s", code, &s.err)
	}
}

func TestWatchAsJSONIsOneDocumentAfterTheOther(t *testing.T) {
	f := apitest.New(t)
	srv, _ := f.Serve(nil)
	ctx, stop := context.WithCancel(t.Context())
	s := newPerson(srv.URL)
	s.out.steps = []step{{`"kind": "Status"`, func() {}}, {`"kind": "Status"`, stop}}
	if code := s.run(ctx, t, "status", "-w", "--every", "1ms", "-o", "json"); code != exitGood {
		t.Errorf("code %d: %s", code, &s.err)
	}
}

// TestExitWhenHealthyWaits through silence and trouble.
func TestExitWhenHealthyWaits(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(2)
	front, address := serveFaulty(t, f, nil)
	front.fails.Store(true)
	s := newPerson(address)
	s.err.steps = []step{
		{"no answer: ", func() { front.fails.Store(false) }},
		{"of link us-eu is starting", func() { f.Report(fsm.CodeUnreachable, 0) }},
		{"unhealthy: 3 tasks of link us-eu wait: unreachable", func() { f.Report(fsm.CodeIdle, 0) }},
	}
	if code := s.run(t.Context(), t, "status", "--exit-when-healthy", "--every", "1ms"); code != exitGood || !strings.HasPrefix(s.out.String(), "healthy") {
		t.Errorf("code %d: %s%s", code, &s.out, &s.err)
	}
	front.fails.Store(true)
	s = newPerson(address)
	if code := s.run(t.Context(), t, "status", "--exit-when-healthy", "--timeout", "50ms"); code != exitFailed || !strings.Contains(s.err.String(), "waiting until it is healthy") {
		t.Errorf("code %d: %s%s", code, &s.out, &s.err)
	}
}

func happens(f *apitest.Cluster, message string, at int64) {
	f.Do(&fsm.EventsAdd{Events: []fsm.Event{{Code: fsm.CodeLostRace, From: -1, Part: -1, Message: message, First: at, Last: at}}})
}

// TestFollowShowsEachEventOnce, and once more when it has happened again; the
// heads of the table stand above the first ones.
func TestFollowShowsEachEventOnce(t *testing.T) {
	t.Parallel()
	f := apitest.New(t)
	front, address := serveFaulty(t, f, nil)
	ctx, stop := context.WithCancel(t.Context())
	happens(f, "the first", 9000)
	s := newPerson(address)
	s.out.steps = []step{
		{"the first", func() { happens(f, "the second", 9001); front.fails.Store(true) }},
		{"the second", func() { happens(f, "the second", 9002) }},
		{"the second (2 times)", stop},
	}
	s.err.steps = []step{{"no answer: ", func() { front.fails.Store(false) }}}
	if code := s.run(ctx, t, "events", "--follow"); code != exitGood {
		t.Errorf("code %d: %s", code, &s.err)
	}
	if out := s.out.String(); strings.Count(out, "the first") != 1 || strings.Count(out, "the second") != 2 || strings.Count(out, "WHEN") != 1 {
		t.Errorf("%s", out)
	}
}

func TestFollowAsJSONIsOneEventALine(t *testing.T) {
	f := apitest.New(t)
	happens(f, "the first", 9000)
	happens(f, "the second", 9001)
	srv, _ := f.Serve(nil)
	ctx, stop := context.WithCancel(t.Context())
	s := newPerson(srv.URL)
	s.out.steps = []step{{"the first", func() {}}, {"the second", stop}}
	if code := s.run(ctx, t, "events", "-f", "-o", "json"); code != exitGood || strings.Count(s.out.String(), "\n{") != 4 {
		t.Errorf("code %d: %s%s", code, &s.out, &s.err)
	}
}

// TestFollowFailsWhereNothingIsThere: the first answer decides.
func TestFollowFailsWhereNothingIsThere(t *testing.T) {
	s := newPerson("127.0.0.1:1")
	if code := s.run(t.Context(), t, "events", "--follow"); code != exitFailed || !strings.Contains(s.err.String(), "127.0.0.1:1 refuses connections") {
		t.Errorf("code %d: %s", code, &s.err)
	}
}

// another is the API of another node of the same cluster.
type another struct{ *apitest.Cluster }

func (a another) State() api.ClusterState {
	s := a.Cluster.State()
	s.NodeID = "id2"
	return s
}

// TestLeaveIsDoneWhenTheNodeIsGone: another node says so, not only that there
// is no answer; it tells how many tasks are left till then.
func TestLeaveIsDoneWhenTheNodeIsGone(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(5)
	inner, _ := f.Serve(nil)
	srv := httptest.NewServer(inner.Config.Handler)
	s := newPerson(srv.URL)
	s.err.steps = []step{{"node n1 hands over 2 tasks", srv.Close}}
	if code := s.run(t.Context(), t, "cluster", "leave", "--yes"); code != exitGood || !f.Left ||
		s.out.String() != "node n1 has ended; see with `sluice cluster members --address` of another node that it is gone\n" {
		t.Errorf("nobody else can be asked: code %d: %s%s", code, &s.out, &s.err)
	}
	s = newPerson(inner.URL)
	if code := s.run(t.Context(), t, "cluster", "leave", "--yes", "--timeout", "50ms"); code != exitBad || !strings.Contains(s.err.String(), "node n1 has begun to leave and is not gone yet; it goes on by itself") {
		t.Errorf("it takes long: code %d: %s%s", code, &s.out, &s.err)
	}
	other, _ := f.Serve(func(_ *api.Config, p *api.Parts) { p.Cluster = another{f} })
	n2 := *f.View().Node("id2")
	n2.HTTP = strings.TrimPrefix(other.URL, "http://")
	f.Do(&fsm.NodePut{Node: n2})
	srv = httptest.NewServer(inner.Config.Handler)
	s = newPerson(srv.URL)
	s.err.steps = []step{{"node n1 hands over 2 tasks", func() {
		srv.Close()
		time.AfterFunc(300*time.Millisecond, func() { f.Do(&fsm.NodeRemove{ID: "id1"}) })
	}}}
	if code := s.run(t.Context(), t, "cluster", "leave", "--yes"); code != exitGood || f.View().Node("id1") != nil || s.out.String() != "node n1 has left\n" {
		t.Errorf("another node says it: code %d: %s%s", code, &s.out, &s.err)
	}
}

// endless is a verifier whose job runs until it is told how it ended.
type endless struct {
	verifier
	end atomic.Value // of string
}

func (e *endless) Start(context.Context, api.VerifyRequest) (api.VerifyJob, error) {
	return e.Get("v7")
}

func (e *endless) Get(id string) (api.VerifyJob, error) {
	j := api.VerifyJob{ID: id, Link: "us-eu", Node: "n1", State: "running", Partitions: 3, Done: 1, Offsets: 10, Total: 40, Counts: api.Counts{Missing: 1}}
	if end, ok := e.end.Load().(string); ok {
		j.State, j.Error = end, "n1 has no memory left"
	}
	return j, nil
}

// TestVerifyIsFollowed and left to itself at Ctrl-C; what it has ended with
// decides the exit code.
func TestVerifyIsFollowed(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(1)
	jobs := &endless{}
	srv, _ := f.Serve(func(_ *api.Config, p *api.Parts) { p.Verify = jobs })
	ctx, stop := context.WithCancel(t.Context())
	s := newPerson(srv.URL)
	s.err.steps = []step{{"v7: 1 of 3 partitions, 10 of 40 offsets, 1 difference", stop}}
	if code := s.run(ctx, t, "link", "verify", "--id", "v7"); code != exitBad || !strings.Contains(s.err.String(), "detached; it goes on: `sluice link verify --id v7 --address "+srv.URL+"`") {
		t.Errorf("code %d: %s%s", code, &s.out, &s.err)
	}
	s = newPerson(srv.URL)
	if code := s.run(t.Context(), t, "link", "verify", "us-eu", "--detach"); code != exitGood || s.out.String() != "v7 runs on n1: `sluice link verify --id v7`\n" {
		t.Errorf("code %d: %s%s", code, &s.out, &s.err)
	}
	for end, want := range map[string]int{"failed": exitFailed, "cancelled": exitBad} {
		jobs.end = atomic.Value{}
		s := newPerson(srv.URL)
		s.err.steps = []step{{"1 of 3", func() { jobs.end.Store(end) }}}
		if code := s.run(t.Context(), t, "link", "verify", "--id", "v7"); code != want || !strings.Contains(s.out.String(), end+" link us-eu") {
			t.Errorf("%s: code %d: %s%s", end, code, &s.out, &s.err)
		}
	}
}

// TestDangerousVerbsAsk: only a clear yes is one.
func TestDangerousVerbsAsk(t *testing.T) {
	for answer, done := range map[string]bool{"y\n": true, "YES\n": true, "yes": true, "n\n": false, "\n": false, "": false, "yes please\n": false, "j\n": false} {
		f := apitest.New(t)
		f.WithLink(1)
		ctx, stop := context.WithCancel(t.Context())
		go f.Follow(ctx)
		srv, _ := f.Serve(nil)
		s := newPerson(srv.URL)
		s.env.Stdin, s.env.Interactive = strings.NewReader(answer), true
		code := s.run(ctx, t, "link", "delete", "us-eu")
		if !strings.Contains(s.err.String(), "This will delete link us-eu (us -> eu, 1 stream). Copying stops for good; the target keeps its data.\nGo on? [y/N] ") {
			t.Errorf("%q: asks %s", answer, &s.err)
		}
		if gone := f.View().LinkNamed("us-eu") == nil; gone != done || (code == exitGood) != done || strings.Contains(s.err.String(), "nothing was changed") == done {
			t.Errorf("%q: gone %v, code %d: %s", answer, gone, code, &s.err)
		}
		stop()
	}
}

// TestDeleteExpectsWhatWasShown: a link that changed while a person thought
// about it is not deleted.
func TestDeleteExpectsWhatWasShown(t *testing.T) {
	f := apitest.New(t)
	l := f.WithLink(1)
	srv, _ := f.Serve(nil)
	s := newPerson(srv.URL)
	s.env.Interactive, s.env.Stdin = true, strings.NewReader("y\n")
	path := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.WriteFile(path, []byte("apiVersion: sluice/v1\nkind: Link\nmetadata: {name: us-eu}\nspec: {source: us, target: eu, topics: {include: ['*']}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.err.steps = []step{{"Go on?", func() { f.Do(&fsm.LinkState{Link: l.ID, State: fsm.StatePaused}) }}}
	if code := s.run(t.Context(), t, "delete", "-f", path); code != exitFailed || !strings.Contains(s.err.String(), "it has changed since the plan was made") {
		t.Errorf("code %d: %s%s", code, &s.out, &s.err)
	}
	if f.View().LinkNamed("us-eu").Deleting {
		t.Error("it is deleted")
	}
}

// TestDeleteOfKafkaClustersExpectsWhatWasShown.
func TestDeleteOfKafkaClustersExpectsWhatWasShown(t *testing.T) {
	f := apitest.New(t)
	f.Do(&fsm.FeatureRaise{Level: fsm.FeatureLevel})
	kafka := fsm.KafkaCluster{Name: "us", Bootstrap: []string{"us:1"}}
	f.Do(&fsm.Objects{Kafka: []fsm.KafkaCluster{kafka}})
	srv, _ := f.Serve(nil)
	s := newPerson(srv.URL)
	s.env.Interactive, s.env.Stdin = true, strings.NewReader("y\n")
	path := filepath.Join(t.TempDir(), "us.yaml")
	if err := os.WriteFile(path, []byte("apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: us}\nspec: {bootstrap: ['us:1']}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	kafka.Bootstrap = []string{"theirs:1"}
	s.err.steps = []step{{"Go on?", func() { f.Do(&fsm.Objects{Kafka: []fsm.KafkaCluster{kafka}}) }}}
	if code := s.run(t.Context(), t, "delete", "-f", path); code != exitFailed || !strings.Contains(s.err.String(), "KafkaCluster us has revision 7, not 6: it has changed since the plan was made") {
		t.Errorf("code %d: %s%s", code, &s.out, &s.err)
	}
	if f.View().KafkaCluster("us") == nil {
		t.Error("it is deleted")
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestAnswersThatCannotBeWrittenAreFailures, for a script that writes to a file.
func TestAnswersThatCannotBeWrittenAreFailures(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(1)
	srv, _ := f.Serve(nil)
	for _, args := range [][]string{{"status"}, {"get", "links", "-o", "json"}, {"export", "all"}, {"link", "resume", "us-eu", "--timeout", "50ms"}} {
		var errs bytes.Buffer
		env := Env{Stdout: full{}, Stderr: &errs, Getenv: func(string) string { return "" }}
		if code := Run(t.Context(), append(args, "--address", srv.URL), env, testLocal()); code != exitFailed || !strings.Contains(errs.String(), "writing the answer: no space left on device") {
			t.Errorf("%v: code %d: %s", args, code, &errs)
		}
	}
}

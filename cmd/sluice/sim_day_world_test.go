package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"sluice/api"
	"sluice/manifest"
)

// simDay is a world in which an operator and bad luck do what they please, and
// what the operator remembers of it.
type simDay struct {
	*sim
	sites  map[string]*side // by name
	links  []*wanted
	writer *writer
	ledger *ledger
	undo   []func() // of the faults that hold
	held   int      // nodes whose writes are held, by number; 0: none
	done   map[string]int
}

// wanted is a link as the operator wants it.
type wanted struct {
	name             string
	source, target   *side
	include          []string
	prefix           string          // of names at the target
	out              map[string]bool // excluded topics
	onLoss, limit    string
	paused, deleted  bool
	onSourceDeletion string
}

func newDay(s *sim) *simDay {
	d := &simDay{sim: s, sites: map[string]*side{}, done: map[string]int{}}
	for name, x := range map[string]*side{"us": {host: usHost, kafka: s.us}, "eu": {host: euHost, kafka: s.eu}} {
		x.name, x.mends = name, s.mends[name]
		x.client = s.load.connect(x.host)
		d.sites[name] = x
	}
	us, eu := d.sites["us"], d.sites["eu"]
	for _, l := range []wanted{
		{name: "all", source: us, target: eu, include: []string{"orders", "pay-*", "tx"}, onLoss: "halt"},
		{name: "copies", source: us, target: eu, include: []string{"orders", "logs"}, prefix: "copy.", onLoss: "continue"},
		{name: "back", source: eu, target: us, include: []string{"back"}, prefix: "from.", onLoss: "halt", limit: "1MiB/s"},
	} {
		l.out, l.onSourceDeletion = map[string]bool{}, "stop"
		d.links = append(d.links, &l)
	}
	d.ledger = newLedger()
	d.writer = newWriter(d.sites, s)
	return d
}

// close ends what is not Sluice's.
func (d *simDay) close() {
	d.writer.close()
	for _, x := range d.sites {
		x.client.Close()
	}
}

// selects reports whether the operator wants a topic to be copied.
func (w *wanted) selects(topic string) bool {
	return !w.out[topic] && slices.ContainsFunc(w.include, func(name string) bool {
		prefix, ok := strings.CutSuffix(name, "*")
		return name == topic || ok && strings.HasPrefix(topic, prefix)
	})
}

// topics are the topics that the source has and the link selects, by name.
func (d *simDay) topics(w *wanted) []string {
	return slices.DeleteFunc(d.writer.topics(w.source), func(t string) bool { return !w.selects(t) })
}

// yaml is the link as a person would write it.
func (w *wanted) yaml() string {
	var out []string
	for t := range w.out {
		out = append(out, t)
	}
	slices.Sort(out)
	state := "running"
	if w.paused {
		state = "paused"
	}
	return fmt.Sprintf(`apiVersion: sluice/v1
kind: Link
metadata: {name: %s}
spec:
  source: %s
  target: %s
  topics: {include: ["%s"], exclude: [%s]}
  rename: "%s{topic}"
  onLoss: %s
  onSourceDeleted: %s
  limit: "%s"
  targetTopics: {replicationFactor: 1}
  state: %s
`, w.name, w.source.name, w.target.name, strings.Join(w.include, `", "`), strings.Join(out, ", "), w.prefix, w.onLoss, w.onSourceDeletion, w.limit, state)
}

// manifest is all that the operator wants.
func (d *simDay) manifest() string {
	var docs []string
	for _, name := range []string{"us", "eu"} {
		x := d.sites[name]
		docs = append(docs, fmt.Sprintf("apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: %s}\nspec: {bootstrap: [\"%s:9001\", \"%s:9002\"]}\n", name, x.host, x.host))
	}
	for _, w := range d.links {
		if !w.deleted {
			docs = append(docs, w.yaml())
		}
	}
	return strings.Join(docs, "---\n")
}

var errGone = errors.New("the node died before it answered")

// ask sends one request to a node, as `sluice` does, and reads the answer.
func (d *simDay) ask(i int, method, path string, in, out any) error {
	n := d.nodes[i]
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, "http://127.0.0.1:8080"+path, &body)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	n.api.Handler().ServeHTTP(w, r)
	if n.dead.Load() {
		return errGone
	}
	if w.Code >= http.StatusBadRequest {
		p := new(api.Problem)
		if err := json.Unmarshal(w.Body.Bytes(), p); err != nil {
			return fmt.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		return p
	}
	return json.Unmarshal(w.Body.Bytes(), out)
}

// apply applies all that is wanted.
func (d *simDay) apply(i int) error {
	r := api.ApplyRequest{Sources: []manifest.Source{{Name: "day.yaml", Text: d.manifest()}}}
	return d.ask(i, http.MethodPost, "/v1/apply", r, new(api.Plan))
}

// status asks a node for the whole picture.
func (d *simDay) status(i int) (*api.Status, error) {
	s := new(api.Status)
	return s, d.ask(i, http.MethodGet, "/v1/status?tasks=100000&events=0", nil, s)
}

// detail asks a node for a link.
func (d *simDay) detail(i int, link string) (*api.LinkDetail, error) {
	l := new(api.LinkDetail)
	return l, d.ask(i, http.MethodGet, "/v1/links/"+link, nil, l)
}

// events are all that can be found of a link, the oldest first.
func (d *simDay) events(i int, link string) ([]api.Event, error) {
	var e api.Events
	err := d.ask(i, http.MethodGet, "/v1/events?limit=10000&link="+link, nil, &e)
	slices.Reverse(e.Items)
	return e.Items, err
}

// verify compares a link and waits for the answer.
func (d *simDay) verify(i int, link string) (*api.VerifyJob, error) {
	v := new(api.Verify)
	err := d.ask(i, http.MethodPost, "/v1/verify", api.VerifyRequest{Link: link}, v)
	for err == nil && v.Job.State == "running" {
		d.pass(time.Second)
		err = d.ask(i, http.MethodGet, "/v1/verify/"+v.Job.ID, nil, v)
	}
	return &v.Job, err
}

// healthy is a node that the operator asks: any that runs and whose writes are
// not held; 0: none.
func (d *simDay) healthy() int {
	var up []int
	for i := range d.nodes {
		if i != d.held {
			up = append(up, i)
		}
	}
	if len(up) == 0 {
		return 0
	}
	slices.Sort(up)
	return up[d.rand.IntN(len(up))]
}

// say notes what was done.
func (d *simDay) say(format string, args ...any) {
	d.t.Logf("%s "+format, append([]any{time.Now().UTC().Format("15:04:05")}, args...)...)
}

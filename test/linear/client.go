package linear

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"sluice/api"
	"sluice/fsm"
	"sluice/manifest"
)

// names are the links that clients act on. The topic of the name is copied.
var names = []string{"l1", "l2", "l3"}

// limits are what applies choose from.
var limits = []string{"", "1MiB/s", "2MiB/s"}

// cluster is the Kafka cluster that clients act on, which no link uses, and
// datacenters what applies choose from for it.
const cluster = "spare"

var datacenters = []string{"", "east", "west"}

// Topics are those that the links copy, which the source holds.
func Topics() []string { return names }

// Manifest declares the Kafka clusters, as they have to be before clients act.
func Manifest(source, target []string) string {
	return fmt.Sprintf("apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: us}\nspec: {bootstrap: [%s]}\n---\n"+
		"apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: eu}\nspec: {bootstrap: [%s]}\n", quoted(source), quoted(target))
}

func quoted(list []string) string { return `"` + strings.Join(list, `", "`) + `"` }

// Client asks one node.
type Client struct {
	ID      int
	Every   time.Duration // between two requests, on average
	Timeout time.Duration // of one request
	Rand    *rand.Rand
	// Ask gives a client of the node's API.
	Ask func(api.ClientConfig) (*api.Client, error)

	history  *History
	index    uint64            // of the newest facts that it was shown
	revision map[string]uint64 // of each link, as it was shown last; 0: not there
}

// Join makes the client one of those whose requests a history holds.
func (h *History) Join(c Client) *Client {
	c.history, c.revision = h, map[string]uint64{}
	return &c
}

// slack is how much later than its time-out a request may end.
const slack = time.Second

// Run asks until ctx ends; what is under way then comes to its end.
func (c *Client) Run(ctx context.Context) error {
	for {
		pause := time.NewTimer(time.Duration((0.5 + c.Rand.Float64()) * float64(c.Every)))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
		q := c.choose()
		if q.what == read && !q.kafka && c.Rand.IntN(3) == 0 {
			err := c.carried(q.link)
			if err != nil {
				return err
			}
			continue
		}
		if err := c.request(q); err != nil {
			return err
		}
	}
}

// choose makes up a request.
func (c *Client) choose() question {
	if c.Rand.IntN(1+len(names)) == 0 {
		return c.chooseKafka()
	}
	q := question{link: names[c.Rand.IntN(len(names))]}
	switch n := c.Rand.IntN(100); {
	case n < 20:
		q.what = pause
	case n < 40:
		q.what = resume
	case n < 60:
		q.what, q.limit = apply, limits[c.Rand.IntN(len(limits))]
		if seen, ok := c.revision[q.link]; ok && n < 50 {
			q.expect = &seen
		}
	case n < 65:
		q.what = remove
	case n < 70:
		q.what = order
	default:
		q.what = read
	}
	return q
}

// chooseKafka makes up one about the Kafka cluster.
func (c *Client) chooseKafka() question {
	q := question{link: cluster, kafka: true, what: read}
	n := c.Rand.IntN(100)
	switch {
	case n < 50:
		q.what, q.limit = apply, datacenters[c.Rand.IntN(len(datacenters))]
	case n < 65:
		q.what = remove
	}
	if seen, ok := c.revision[q.link]; ok && q.what != read && n%2 == 0 {
		q.expect = &seen
	}
	return q
}

// Look asks for all links and Kafka clusters, and the answer must hold all that
// was made before.
func (c *Client) Look() error {
	for _, name := range names {
		if err := c.request(question{link: name, what: read}); err != nil {
			return err
		}
	}
	return c.request(question{link: cluster, kafka: true, what: read})
}

// request asks, and notes the answer.
func (c *Client) request(q question) error {
	a, err := c.Ask(api.ClientConfig{Consistent: q.what == read})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	call := time.Now()
	told, now := c.do(ctx, a, q)
	end := time.Now()
	if took := end.Sub(call); took > c.Timeout+slack {
		c.history.fault("client %d: %v took %v, %v was given", c.ID, q, took, c.Timeout)
	}
	if q.what != read || told.outcome == shown {
		c.history.add(c.ID, q, told, call, end)
	}
	if now.state != "" { // the answer to an act shows what holds too
		c.note(q.link, now)
		c.history.add(c.ID, question{link: q.link, what: read}, answer{outcome: shown, seen: now, text: fmt.Sprintf("ack %+v", now)}, call, end)
	}
	return nil
}

// note remembers what an answer shows.
func (c *Client) note(name string, l look) {
	c.revision[name] = l.revision
	if l.state == "gone" || l.state == "deleting" {
		c.revision[name] = 0
	}
	c.history.same(name, l)
}

// do asks, and says what the answer means and what it shows beside that.
func (c *Client) do(ctx context.Context, a *api.Client, q question) (answer, look) {
	var err error
	var ack *api.Ack
	switch q.what {
	case apply:
		return c.apply(ctx, a, q), look{}
	case read:
		return c.read(ctx, a, q), look{}
	case pause:
		ack, err = a.Pause(ctx, q.link)
	case resume:
		ack, err = a.Resume(ctx, q.link)
	case remove:
		if q.kafka {
			return c.apply(ctx, a, q), look{}
		}
		ack, err = a.DeleteLink(ctx, q.link)
	case order:
		_, err = a.Order(ctx, q.link, string(fsm.OrderRetry), api.StreamSelector{})
		return c.meaning(q, err), look{}
	}
	told := c.meaning(q, err)
	if err != nil {
		return told, look{}
	}
	c.index = max(c.index, ack.Index)
	now := look{state: ack.State, limit: "?", revision: ack.Revision}
	if ack.State == "deleted" {
		now = look{state: "gone"}
	}
	return told, now
}

// manifest is the object of an apply, and what the caller expects.
func (q question) manifest() (text string, expect fsm.Expectation) {
	if q.kafka {
		text = fmt.Sprintf("apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: %s}\nspec: {bootstrap: [\"spare:1\"]", q.link)
		if q.limit != "" {
			text += ", datacenter: " + q.limit
		}
		return text + "}\n", fsm.Expectation{Kafka: q.link}
	}
	text = fmt.Sprintf("apiVersion: sluice/v1\nkind: Link\nmetadata: {name: %s}\nspec: {source: us, target: eu, topics: {include: [%s]}", q.link, q.link)
	if q.limit != "" {
		text += ", limit: " + q.limit
	}
	return text + "}\n", fsm.Expectation{Link: q.link}
}

func (c *Client) apply(ctx context.Context, a *api.Client, q question) answer {
	text, expect := q.manifest()
	r := api.ApplyRequest{Sources: []manifest.Source{{Name: "test", Text: text}}, Delete: q.what == remove}
	if q.expect != nil {
		expect.Revision = *q.expect
		r.Expect = []fsm.Expectation{expect}
	}
	p, err := a.Apply(ctx, r)
	told := c.meaning(q, err)
	if err == nil {
		c.index = max(c.index, p.Index)
		told.changes, told.before = p.Changes[0].Action != manifest.ActionNone, p.Changes[0].Revision
		told.text = fmt.Sprintf("%s of revision %d", p.Changes[0].Action, told.before)
	}
	return told
}

// readKafka reads the Kafka cluster among all.
func (c *Client) readKafka(ctx context.Context, a *api.Client, q question) answer {
	l, err := a.KafkaClusters(ctx)
	told := c.meaning(q, err)
	if err != nil {
		return told
	}
	c.index = max(c.index, l.Index)
	told.seen = look{state: "gone"}
	for _, k := range l.Items {
		if k.Name == q.link {
			told.seen = look{state: fsm.StateRunning, limit: k.Datacenter, revision: *k.Revision}
		}
	}
	told.outcome, told.text = shown, fmt.Sprintf("%+v", told.seen)
	c.note(q.link, told.seen)
	return told
}

func (c *Client) read(ctx context.Context, a *api.Client, q question) answer {
	if q.kafka {
		return c.readKafka(ctx, a, q)
	}
	l, err := a.Link(ctx, q.link)
	told := c.meaning(q, err)
	switch {
	case err == nil:
		c.index = max(c.index, l.Index)
		told.seen = look{state: l.State, limit: l.Limit, revision: l.Revision}
	case told.outcome == absent:
		told.seen = look{state: "gone"}
	default:
		return told
	}
	told.outcome, told.text = shown, fmt.Sprintf("%+v", told.seen)
	c.note(q.link, told.seen)
	return told
}

// carried asks whatever the node knows, from the index on that the client has
// seen: it is never shown less.
func (c *Client) carried(name string) error {
	a, err := c.Ask(api.ClientConfig{MinIndex: c.index})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	l, err := a.Link(ctx, name)
	if err != nil {
		return nil // there is none, or the node cannot tell
	}
	if l.Index < c.index {
		c.history.fault("client %d: asked for index %d and was shown %d", c.ID, c.index, l.Index)
	}
	if seen := c.revision[name]; l.Revision < seen && l.State != "deleting" { // an older one of the name may go later
		c.history.fault("client %d: link %s was shown at revision %d, after %d", c.ID, name, l.Revision, seen)
	}
	c.index = max(c.index, l.Index)
	c.note(name, look{state: l.State, limit: l.Limit, revision: l.Revision})
	return nil
}

// meaning is what an error says of an act.
func (c *Client) meaning(q question, err error) answer {
	p, answered := errors.AsType[*api.Problem](err)
	switch {
	case err == nil:
		return answer{outcome: done, text: "done"}
	case !answered: // surely not sent, or a read
		return answer{outcome: refused, text: err.Error()}
	case len(p.Applied) > 0: // something of it was made
		return answer{outcome: unknown, text: err.Error()}
	}
	a := answer{outcome: refused, text: cmp.Or(p.Code, "?") + ": " + p.Detail}
	switch p.Code {
	case api.CodeNotFound:
		if strings.HasPrefix(p.Detail, "there is no link") {
			a.outcome = absent
		}
	case api.CodeRefused:
		if strings.HasSuffix(p.Detail, "is being deleted") {
			a.outcome = leaving
		}
	case api.CodeStale:
		a.outcome = stale
	case api.CodeAmbiguous, api.CodeTimeout:
		a.outcome = unknown
	case api.CodeNoLeader, api.CodePreflight, api.CodeBusy:
	default:
		c.history.fault("client %d: %v: %v", c.ID, q, err)
	}
	return a
}

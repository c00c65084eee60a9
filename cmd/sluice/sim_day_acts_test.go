package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"sluice/api"
)

// deeds are what the operator does, or somebody at a Kafka cluster. Each says
// what it did; an error is what a node answered.
var deeds = []struct {
	name string
	do   func(*simDay) (string, error)
}{
	{"pause", (*simDay).pauseOrResume}, {"pause", (*simDay).pauseOrResume}, {"exclude", (*simDay).exclude}, {"exclude", (*simDay).exclude},
	{"limit", (*simDay).limitLink}, {"policy", (*simDay).policy}, {"delete link", (*simDay).deleteOrDeclare}, {"partitions", (*simDay).morePartitions},
	{"trim source", (*simDay).trimSource}, {"trim source", (*simDay).trimSource}, {"trim target", (*simDay).trimTarget},
	{"delete target", (*simDay).deleteTarget}, {"recreate target", (*simDay).recreateTarget}, {"source topic", (*simDay).sourceTopic}, {"recreate source", (*simDay).recreateSource},
	{"verify", (*simDay).verifyAndLeave}, {"order", (*simDay).orderAnyhow}, {"narrow", (*simDay).narrow}, {"narrow", (*simDay).narrow},
	{"lead", (*simDay).leadElsewhere},
}

func (d *simDay) deed() {
	x := deeds[d.rand.IntN(len(deeds))]
	if d.healthy() == 0 {
		return
	}
	what, err := x.do(d)
	switch p, refused := errors.AsType[*api.Problem](err); {
	case err == nil && what == "", errors.Is(err, errNotNow):
		return
	case err == nil:
	case errors.Is(err, errGone), refused && p.Status < http.StatusInternalServerError, refused && p.Code == api.CodeAmbiguous,
		refused && p.Status == http.StatusServiceUnavailable, refused && p.Status == http.StatusGatewayTimeout:
		what += ": " + err.Error()
	default:
		d.t.Errorf("%s: %v", what, err)
	}
	d.done["deed: "+x.name]++
	d.say("%s", what)
}

// errNotNow says that a Kafka cluster does not answer, as one of its brokers is
// down.
var errNotNow = errors.New("not now")

func notNow(err error) error { return fmt.Errorf("%w: %w", errNotNow, err) }

func (d *simDay) link() *wanted { return d.links[d.rand.IntN(len(d.links))] }

func (d *simDay) pauseOrResume() (string, error) {
	w := d.link()
	if w.deleted {
		return "", nil
	}
	w.paused = !w.paused
	verb := map[bool]string{true: "pause", false: "resume"}[w.paused]
	return verb + " " + w.name, d.ask(d.healthy(), http.MethodPost, "/v1/links/"+w.name+"/"+verb, nil, new(api.Ack))
}

// leadElsewhere hands leadership over, to anybody or to a node that may be down.
func (d *simDay) leadElsewhere() (string, error) {
	to := []string{"", "n1", "n2", "n3"}[d.rand.IntN(4)]
	return "let node " + to + " lead", d.ask(d.healthy(), http.MethodPost, "/v1/leadership", api.TransferRequest{Node: to}, new(api.Ack))
}

// exclude takes a topic out of a link, or puts it in again.
func (d *simDay) exclude() (string, error) {
	w := d.link()
	ts := d.writer.topics(w.source)
	if len(ts) == 0 {
		return "", nil
	}
	t := ts[d.rand.IntN(len(ts))]
	if w.out[t] {
		delete(w.out, t)
	} else if w.selects(t) {
		w.out[t] = true
		d.ledger.forget(w.name, t)
	}
	return fmt.Sprintf("%s excludes %v", w.name, w.out), d.apply(d.healthy())
}

func (d *simDay) limitLink() (string, error) {
	w := d.link()
	w.limit = []string{"", "1MiB/s", "20KiB/s", "4KiB/s"}[d.rand.IntN(4)]
	return fmt.Sprintf("limit of %s is %q", w.name, w.limit), d.apply(d.healthy())
}

func (d *simDay) policy() (string, error) {
	w := d.link()
	w.onLoss = []string{"halt", "halt", "continue", "recopy"}[d.rand.IntN(4)]
	w.onSourceDeletion = []string{"stop", "stop", "end"}[d.rand.IntN(3)]
	return fmt.Sprintf("%s: onLoss %s, onSourceDeleted %s", w.name, w.onLoss, w.onSourceDeletion), d.apply(d.healthy())
}

func (d *simDay) deleteOrDeclare() (string, error) {
	w := d.link()
	w.deleted = !w.deleted
	if !w.deleted {
		return "apply " + w.name + " again", d.apply(d.healthy())
	}
	d.ledger.forget(w.name, "")
	return "delete " + w.name, d.ask(d.healthy(), http.MethodDelete, "/v1/links/"+w.name, nil, new(api.Ack))
}

// topic is one that is written to and there, nil: none.
func (d *simDay) topic() *written {
	for range 20 {
		if x := d.writer.all[d.rand.IntN(len(d.writer.all))]; x.there {
			return x
		}
	}
	return nil
}

func (d *simDay) morePartitions() (string, error) {
	x := d.topic()
	if x == nil || x.parts > 4 {
		return "", nil
	}
	d.writer.hold()
	defer d.writer.release()
	if err := d.writer.raise(x); err != nil {
		return "", notNow(err)
	}
	return fmt.Sprintf("%s has %d partitions", x.name, x.parts), nil
}

// trimSource is retention that does not wait for anybody.
func (d *simDay) trimSource() (string, error) {
	x := d.topic()
	if x == nil {
		return "", nil
	}
	p := d.rand.Int32N(x.parts)
	d.writer.hold()
	defer d.writer.release()
	l, err := x.at.read(x.name, p)
	if err != nil {
		return "", notNow(err)
	}
	if l.end == l.start {
		return "", nil
	}
	to := l.end
	if d.rand.IntN(3) > 0 {
		to = l.start + d.rand.Int64N(l.end-l.start)
	}
	d.condemn(x, p, l, to)
	if err := x.at.kafka.DeleteRecords(x.name, p, to); err != nil {
		d.t.Errorf("trimming %s/%d: %v", x.name, p, err)
	}
	return fmt.Sprintf("source %s/%d now begins at %d of %d", x.name, p, to, l.end), nil
}

// condemn notes the records before an offset, which the source is about to lose,
// for all streams that have begun: the others begin with what is there then.
func (d *simDay) condemn(x *written, p int32, l partLog, to int64) {
	for _, w := range d.links {
		if w.source == x.at && w.selects(x.name) && !w.deleted && d.begun(streamOf{w.name, x.name, p}) {
			d.ledger.condemn(streamOf{w.name, x.name, p}, l, to, x.since)
		}
	}
}

func (d *simDay) begun(k streamOf) bool {
	v := d.view()
	if v == nil {
		return false
	}
	l := v.LinkNamed(k.link)
	for t := range v.Tasks {
		if l != nil && t.Link == l.ID && t.Copy != nil && t.Copy.Stream.Topic == k.topic && t.Copy.Stream.Partition == k.partition {
			return t.Copy.Mapping != nil
		}
	}
	return false
}

// target is a topic that a link copies to, if it is there.
func (d *simDay) target() (w *wanted, topic string) {
	w = d.link()
	ts := d.topics(w)
	if len(ts) == 0 {
		return w, ""
	}
	topic = w.prefix + ts[d.rand.IntN(len(ts))]
	if w.target.kafka.TopicInfo(topic) == nil {
		return w, ""
	}
	return w, topic
}

// spare takes from the ledger what a target topic holds before that is lost.
func (d *simDay) spare(w *wanted, topic string) error {
	source := topic[len(w.prefix):]
	for p := range int32(len(w.target.kafka.PartitionInfos(topic))) {
		l, err := w.target.read(topic, p)
		if err != nil {
			return err
		}
		d.ledger.copied(streamOf{w.name, source, p}, l)
	}
	return nil
}

func (d *simDay) trimTarget() (string, error) {
	w, topic := d.target()
	if topic == "" {
		return "", nil
	}
	if err := d.spare(w, topic); err != nil {
		return "", notNow(err)
	}
	infos := w.target.kafka.PartitionInfos(topic)
	p := infos[d.rand.IntN(len(infos))]
	if p.HighWatermark == p.LogStartOffset {
		return "", nil
	}
	to := p.LogStartOffset + 1 + d.rand.Int64N(p.HighWatermark-p.LogStartOffset)
	if err := w.target.kafka.DeleteRecords(topic, p.Partition, to); err != nil {
		d.t.Errorf("trimming %s/%d: %v", topic, p.Partition, err)
	}
	return fmt.Sprintf("target %s/%d now begins at %d of %d", topic, p.Partition, to, p.HighWatermark), nil
}

func (d *simDay) deleteTarget() (string, error) {
	w, topic := d.target()
	if topic == "" {
		return "", nil
	}
	if err := d.spare(w, topic); err != nil {
		return "", notNow(err)
	}
	if err := w.target.deleteTopic(topic); err != nil {
		d.t.Errorf("deleting %s: %v", topic, err)
	}
	return "target " + topic + " is deleted", nil
}

func (d *simDay) recreateTarget() (string, error) {
	w, topic := d.target()
	if topic == "" {
		return "", nil
	}
	if err := d.spare(w, topic); err != nil {
		return "", notNow(err)
	}
	parts := int32(len(w.target.kafka.PartitionInfos(topic)))
	if err := w.target.deleteTopic(topic); err != nil {
		d.t.Errorf("deleting %s: %v", topic, err)
	}
	d.pass(time.Duration(d.rand.IntN(3)) * 4 * time.Second)
	if w.target.kafka.TopicInfo(topic) != nil {
		return "target " + topic + " was deleted, and Sluice made it again", nil
	}
	if err := w.target.kafka.CreateTopic(topic, parts, nil); err != nil {
		d.t.Errorf("creating %s: %v", topic, err)
	}
	return "target " + topic + " was deleted and made again", nil
}

// dropSource deletes a source topic and notes what goes with it.
func (d *simDay) dropSource(x *written) bool {
	logs := make([]partLog, x.parts)
	for p := range logs {
		var err error
		if logs[p], err = x.at.read(x.name, int32(p)); err != nil {
			return false
		}
	}
	for p, l := range logs {
		d.condemn(x, int32(p), l, l.end)
	}
	d.writer.remove(x)
	return true
}

// sourceTopic deletes a source topic, or makes one again that was deleted.
func (d *simDay) sourceTopic() (string, error) {
	x := d.writer.all[d.rand.IntN(len(d.writer.all))]
	d.writer.hold()
	defer d.writer.release()
	if !x.there {
		d.writer.create(x)
		return fmt.Sprintf("source %s is there again", x.name), nil
	}
	if !d.dropSource(x) {
		return "", nil
	}
	return fmt.Sprintf("source %s is deleted", x.name), nil
}

func (d *simDay) recreateSource() (string, error) {
	x := d.topic()
	if x == nil {
		return "", nil
	}
	d.writer.hold()
	defer d.writer.release()
	if !d.dropSource(x) {
		return "", nil
	}
	d.pass(time.Duration(d.rand.IntN(3)) * 5 * time.Second)
	d.writer.create(x)
	return fmt.Sprintf("source %s was deleted and made again", x.name), nil
}

func (d *simDay) verifyAndLeave() (string, error) {
	w, i := d.link(), d.healthy()
	v := new(api.Verify)
	err := d.ask(i, http.MethodPost, "/v1/verify", api.VerifyRequest{Link: w.name}, v)
	if err == nil && d.rand.IntN(2) == 0 {
		d.pass(time.Duration(d.rand.IntN(5)) * time.Second)
		if d.nodes[i] != nil && i != d.held {
			err = d.ask(i, http.MethodDelete, "/v1/verify/"+v.Job.ID, nil, v)
		}
	}
	return "verify " + w.name, err
}

// orderAnyhow gives a link an order, whether or not a stream is stopped.
func (d *simDay) orderAnyhow() (string, error) {
	w := d.link()
	order := []string{"retry", "continue", "recopy", "end"}[d.rand.IntN(4)]
	sel := api.StreamSelector{}
	if ts := d.topics(w); len(ts) > 0 && d.rand.IntN(2) == 0 {
		sel.Topic = ts[d.rand.IntN(len(ts))]
	}
	return fmt.Sprintf("%s %s %s", order, w.name, sel.Topic), d.order(w.name, order, sel)
}

func (d *simDay) order(link, order string, sel api.StreamSelector) error {
	return d.ask(d.healthy(), http.MethodPost, "/v1/links/"+link+"/"+order, sel, new(api.Ack))
}

// narrow lets a target topic refuse the record that comes next, or lets it take
// all again.
func (d *simDay) narrow() (string, error) {
	w, topic := d.target()
	if topic == "" {
		return "", nil
	}
	limit := []int{1000, 1 << 20}[d.rand.IntN(2)]
	if err := d.setLimit(w.target, topic, limit); err != nil {
		return "", notNow(err)
	}
	d.writer.hold()
	d.writer.of(topic[len(w.prefix):]).big = true
	d.writer.release()
	return fmt.Sprintf("target %s takes batches of up to %d bytes", topic, limit), nil
}

func (d *simDay) setLimit(x *side, topic string, limit int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	rs, err := kadm.NewClient(x.client).AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "max.message.bytes", Value: new(strconv.Itoa(limit))}}, topic)
	if err != nil {
		return err
	}
	for _, r := range rs {
		err = errors.Join(err, r.Err)
	}
	return err
}

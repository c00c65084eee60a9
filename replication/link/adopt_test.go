package link

import (
	"errors"
	"strings"
	"testing"

	"sluice/fsm"
)

// TestAdoptedLinkTakesTheClaim: a link that is adopted puts its claim in the place
// of the lost Sluice cluster's, and goes on with the topics that one made. That
// one, should it come back, lets its streams stand.
func TestAdoptedLinkTakesTheClaim(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 1, nil)
	lost, old := l.start(spec())
	l.until("their stream", func() bool { return lost.streams() == "orders/0>orders" })
	lost.propose(&fsm.LinkProducer{Link: 1, ProducerID: 77, Prev: -1})
	l.until("the producer id in their claim", func() bool {
		got, err := readLedger(l.ctx, l.atTarget())
		return err == nil && got.standing(Key{Kind: kindClaim, Sluice: "sluice-a", Source: "id-us", Link: "us-eu"}).claim.ProducerID == 77
	})
	old.Drain()
	<-old.Done()
	l.produce(l.euL, "orders", 0, 3)

	ours := &fsm.Objects{Kafka: []fsm.KafkaCluster{l.us, l.eu}, Links: []fsm.LinkPut{{Spec: spec()}}, At: 1}
	ctl := newControlOf(t, "sluice-b", ours)
	r := l.run(ctl)
	l.until("the refusal", func() bool { return r.Measure().State == fsm.CodeForeignWriter })
	claimed, err := ClaimOn(l.ctx, l.catalog, ctl.View(), ctl.View().Link(1))
	if err != nil || claimed.Sluice != "sluice-a" || claimed.ProducerID != 77 || claimed.Node != "n1" {
		t.Fatalf("%+v, %v", claimed, err)
	}
	ctl.propose(&fsm.FeatureRaise{Level: fsm.FeatureLevel})
	ctl.propose(&fsm.LinkAdopt{Link: 1, From: claimed.Sluice, ProducerID: claimed.ProducerID, At: 2})
	l.until("the stream", func() bool { return ctl.streams() == "orders/0>orders" })
	got, err := readLedger(l.ctx, l.atTarget())
	if err != nil {
		t.Fatal(err)
	}
	mine := Key{Kind: kindClaim, Sluice: "sluice-b", Source: "id-us", Link: "us-eu"}
	if st := got.standing(mine); !st.mine || !st.alone || st.claim.ProducerID != 77 {
		t.Errorf("our standing %+v", st)
	}
	if by := got.made["orders"].by.Sluice; by != "sluice-b" {
		t.Errorf("the topic is made by %s", by)
	}
	for task := range ctl.View().Tasks {
		if task.Copy != nil && !task.Copy.Unsure {
			t.Error("the stream trusts that nothing was copied")
		}
	}
	if _, err := ClaimOn(l.ctx, l.catalog, ctl.View(), ctl.View().Link(1)); !errors.Is(err, ErrNotClaimed) {
		t.Errorf("claimed still: %v", err)
	}
	r.Drain()
	<-r.Done()

	lost.propose(&fsm.FeatureRaise{Level: fsm.FeatureLevel})
	back := l.run(lost)
	l.until("they stand", func() bool { return back.Measure().State == fsm.CodeClaimed })
	if held := lost.View().Link(1).Held; held != "sluice-b" || lost.View().Link(1).Running() {
		t.Errorf("held by %q", held)
	}
}

// TestClaimedLinkIsTakenPaused: before it is adopted a link can be applied where it
// is claimed, if it is paused, and also into topics that hold the lost one's
// records.
func TestClaimedLinkIsTakenPaused(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 1, nil)
	_, old := l.start(spec())
	l.until("their claim", func() bool { return old.Measure().State == fsm.CodeIdle })
	old.Drain()
	<-old.Done()
	l.produce(l.euL, "orders", 0, 3)
	empty := newControlOf(t, "sluice-b", &fsm.Objects{Kafka: []fsm.KafkaCluster{l.us, l.eu}})
	for _, c := range []struct {
		state           string
		refused, warned string
	}{{fsm.StateRunning, "state: paused", ""}, {fsm.StatePaused, "", "sluice link adopt us-eu"}} {
		s := spec()
		s.State = c.state
		f, err := Preflight(l.ctx, l.catalog, empty.View(), s, l.us, l.eu)
		if err != nil {
			t.Fatal(err)
		}
		refusals, warnings := strings.Join(f.Refusals, "\n"), strings.Join(f.Warnings, "\n")
		if (refusals == "") != (c.refused == "") || !strings.Contains(refusals, c.refused) || !strings.Contains(warnings, c.warned) {
			t.Errorf("%s: refusals %q, warnings %q", c.state, refusals, warnings)
		}
	}
}

// TestSharedLinkOfTopicsMadeByAnother: a link of another name is not claimed, and
// the topics are: it was taken, and copied nothing.
func TestSharedLinkOfTopicsMadeByAnother(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 1, nil)
	_, old := l.start(spec())
	l.until("their topic", func() bool { return old.Measure().Streams == 1 })
	old.Drain()
	<-old.Done()
	s := spec()
	s.Name, s.Writers = "again", fsm.WritersShared
	empty := newControlOf(t, "sluice-b", &fsm.Objects{Kafka: []fsm.KafkaCluster{l.us, l.eu}})
	f, err := Preflight(l.ctx, l.catalog, empty.View(), s, l.us, l.eu)
	if err != nil || !strings.Contains(strings.Join(f.Refusals, "\n"), "was made by link us-eu of the Sluice cluster sluice-a") {
		t.Errorf("refusals %q, %v", f.Refusals, err)
	}
	// One that was taken before its topics were another's shows it.
	ctl := newControlOf(t, "sluice-b", &fsm.Objects{Kafka: []fsm.KafkaCluster{l.us, l.eu}, Links: []fsm.LinkPut{{Spec: s}}, At: 1})
	r := l.run(ctl)
	l.until("a round", func() bool { return r.Measure().At > 0 && len(r.Measure().Refused) > 0 })
	if m := r.Measure(); m.Refused[0].Code != fsm.CodeForeignWriter || ctl.streams() != "" || m.topics(m.At).NotCopied != 1 {
		t.Errorf("%+v, streams %q", m, ctl.streams())
	}
}

package streams

import (
	"testing"
	"time"

	"sluice/fsm"
	copying "sluice/replication/stream"
	"sluice/test/claim"
	"sluice/test/faults"
	"sluice/test/kafkalab"
	"sluice/test/rig"
)

// TestOldRecords copies records three days old: the broker forgets our
// producer at its next check, each second, and neither tells a repeated batch
// nor refuses a gap any more.
func TestOldRecords(t *testing.T) {
	t.Parallel()
	l := start(t, kafkalab.Config{}, kafkalab.Config{Brokers: 2, Overrides: map[string]string{
		"producer.id.expiration.check.interval.ms": "1000",
		"replica.lag.time.max.ms":                  "60000", // a stopped follower holds the high watermark
		"broker.session.timeout.ms":                "60000",
	}})
	t.Run("together", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *lab){
			"lost acks":                             oldLostAcks,
			"request arrives while successor waits": oldHeldRequest,
			"takeovers under load":                  oldTakeovers,
			"cut-off owner goes on trying":          oldCutOff,
			"young record behind an old one":        youngBehindOld,
			"old record behind a young one":         oldBehindYoung,
		} {
			t.Run(name, func(t *testing.T) { t.Parallel(); test(t, l) })
		}
	})
	t.Run("high watermark held", func(t *testing.T) { highWatermarkHeld(t, l) })
}

const threeDays = 72 * time.Hour

func (l *lab) oldStream(t *testing.T) *stream {
	t.Helper()
	s := l.streamOn(t, -1, []int32{0})
	s.time = time.Now().Add(-threeDays)
	return s
}

// oldLostAcks: an answer is lost, and only when the broker has forgotten the
// batch does the owner hear of it.
func oldLostAcks(t *testing.T, l *lab) {
	s := l.oldStream(t)
	r := s.own(t, 1)
	s.warm(t, r)
	for range claim.Rounds(2, 10) {
		f := l.dstProxy.AddRule(faults.Rule{Side: faults.OnResponse, APIs: []int16{faults.Produce}, ClientPrefix: r.name, Count: 1, Do: faults.Hold})
		s.produce(t, 3)
		chosen(t, f, 1)
		s.forgotten(t)
		l.dstProxy.CloseClients(r.name, faults.RST)
		s.acked(t, r)
	}
	s.copied(t)
}

// oldHeldRequest: the dead owner's last request reaches the broker while its
// successor waits for just that.
func oldHeldRequest(t *testing.T, l *lab) {
	s := l.oldStream(t)
	r := s.own(t, 1)
	s.warm(t, r)
	f := l.dstProxy.AddRule(faults.Rule{Side: faults.OnRequest, APIs: []int16{faults.Produce}, ClientPrefix: r.name, Do: faults.Hold})
	s.produce(t, 5)
	chosen(t, f, 1)
	r.Close()
	r2 := s.ownWith(t, 2, func(c *copying.Config) { c.Lease, c.Lifetime = time.Second, 2*time.Second })
	r2.state(t, fsm.CodeWaiting)
	f.Release()
	rig.Until(t, 30*time.Second, "the request arrives", func() bool { return s.End(t, s.topic, 0) == 4 })
	s.forgotten(t)
	if m := r2.stream.Measure(); m.State != fsm.CodeWaiting {
		t.Logf("the successor did not wait any more: %+v", m)
	}
	s.produce(t, 5)
	s.copied(t)
}

// oldTakeovers: the stream changes hands by deaths while records come in.
func oldTakeovers(t *testing.T, l *lab) {
	s := l.oldStream(t)
	stop := s.load(t, 20*time.Millisecond)
	for i := range claim.Rounds(3, 20) {
		r := s.own(t, 1+i%3)
		from := r.stream.Measure().Source
		rig.Until(t, 30*time.Second, "it goes on", func() bool { return r.stream.Measure().Source > from+20 })
		r.Close()
	}
	s.own(t, 1)
	stop()
	s.copied(t)
}

// oldCutOff: an owner that is cut off sees records late, when its successor
// has copied them and the broker has forgotten it.
func oldCutOff(t *testing.T, l *lab) {
	s := l.oldStream(t)
	s.lateTo(t, func() { s.produce(t, 5) })
}

// youngBehindOld: what the cut-off owner sees late begins with a young record.
// The predecessor, not the batch itself, tells that nothing guards it.
func youngBehindOld(t *testing.T, l *lab) {
	s := l.oldStream(t)
	s.lateTo(t, func() {
		s.time = time.Now()
		s.apart(t, 1)
		s.time = time.Now().Add(-threeDays)
		s.apart(t, 1)
	})
}

// oldBehindYoung: what the cut-off owner sees late begins with a young record
// behind young ones, but its successor has written an old one since, and the
// broker has forgotten them both: it looks before it writes.
func oldBehindYoung(t *testing.T, l *lab) {
	s := l.streamOn(t, -1, []int32{0})
	s.lateTo(t, func() {
		s.apart(t, 1)
		s.time = time.Now().Add(-threeDays)
		s.apart(t, 1)
	})
}

// lateTo cuts node 1 off and gives the stream to node 2; node 1 gets what act
// produces only when node 2 has copied it and the broker has forgotten them.
func (s *stream) lateTo(t *testing.T, act func()) {
	t.Helper()
	l := s.lab
	r1 := s.own(t, 1)
	s.warm(t, r1)
	f := l.srcProxy.AddRule(faults.Rule{Side: faults.OnResponse, APIs: []int16{faults.Fetch}, ClientPrefix: r1.name, Do: faults.Hold})
	chosen(t, f, 1)
	r1.Cut(true)
	r2 := s.own(t, 2)
	act()
	s.acked(t, r2)
	s.forgotten(t)
	f.Release()
	// It tries, and may not: no leader has confirmed its turn lately. It finds
	// that all is written.
	s.acked(t, r1)
	s.produce(t, 5)
	s.acked(t, r2)
	s.copied(t)
	r1.Cut(false)
	s.produce(t, 5)
	s.acked(t, r2)
	r1.over(t)
	s.copied(t)
}

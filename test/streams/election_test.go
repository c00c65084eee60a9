package streams

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/test/claim"
	"sluice/test/faults"
	"sluice/test/kafkalab"
	"sluice/test/rig"
)

// TestUncleanElection loses records at the target that were acknowledged: a
// follower that was left behind becomes the leader. Both streams, one under
// load and one that idles, find it, name the exact range and copy it again. So
// does a third one, which stands before a record that is too large, when it is
// told to go on: before it skips that, not instead.
func TestUncleanElection(t *testing.T) {
	t.Parallel()
	l := start(t, kafkalab.Config{Overrides: map[string]string{"message.max.bytes": "4000000"}}, kafkalab.Config{Brokers: 2, SeparateController: true, Overrides: map[string]string{
		"replica.lag.time.max.ms":   "2000",
		"broker.session.timeout.ms": "4000",
	}})
	ctx := t.Context()
	busy, idle, stopped := l.streamOn(t, -1, []int32{0, 1}), l.streamOn(t, -1, []int32{0, 1}), l.streamOn(t, -1, []int32{0, 1})
	both, all := []*stream{busy, idle}, []*stream{busy, idle, stopped}
	var r [3]*runner
	for i, s := range all {
		r[i] = s.own(t, 1)
		s.warm(t, r[i])
	}

	away := l.dstProxy.AddRule(faults.Rule{Side: faults.OnRequest, Brokers: []int{1}, Do: faults.CloseBoth, How: faults.RST})
	do(t, l.dst.PauseBroker(1))
	for i, s := range all {
		s.produce(t, 10)
		s.acked(t, r[i]) // by the leader alone, once the follower is out of sync
		do(t, l.dst.WaitPartitions(ctx, s.topic, func(p kafkalab.Partition) bool { return len(p.ISR) == 1 }))
		s.produce(t, 10)
		s.acked(t, r[i])
	}
	stopped.produceLarge(t)
	stopped.stops(t)
	epoch := map[*stream]int32{}
	for _, s := range all {
		parts, err := l.dst.Partitions(ctx, s.topic)
		do(t, err)
		epoch[s] = parts[0].LeaderEpoch
	}
	do(t, l.dst.KillBroker(0))
	busy.produce(t, 5)
	do(t, l.dst.ResumeBroker(1))
	away.Release()
	for _, s := range all {
		do(t, l.dst.ElectUnclean(ctx, s.topic, 0))
	}
	stopped.Do(t, &fsm.TaskOrder{Link: 1, Order: fsm.OrderContinue})
	for _, s := range all {
		rig.Until(t, time.Minute, "the loss is named", func() bool { return len(s.Events(fsm.CodeTargetLostAcked)) > 0 })
		kept := s.epochEnd(t, epoch[s])
		if e := s.Events(fsm.CodeTargetLostAcked)[0]; e.From != kept || e.To != 23 || kept >= 23 {
			t.Errorf("lost [%d, %d) by the event, want [%d, 23): %s", e.From, e.To, kept, e.Message)
		}
	}
	do(t, l.dst.StartBroker(ctx, 0))
	for i, s := range both {
		do(t, l.dst.WaitInSync(ctx, s.topic))
		s.produce(t, 5)
		s.acked(t, r[i])
		s.copied(t)
	}
	stopped.stops(t) // again, behind what was copied again
	stopped.produce(t, 5)
	stopped.Do(t, &fsm.TaskOrder{Link: 1, Order: fsm.OrderContinue})
	stopped.holds(t, 0, [2]int{0, 23}, [2]int{24, 29})
}

// produceLarge appends a record that the target does not take.
func (s *stream) produceLarge(t *testing.T) {
	t.Helper()
	cl, err := s.lab.src.DirectClient(kgo.ProducerBatchMaxBytes(3<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
	do(t, err)
	defer cl.Close()
	r := s.record()
	r.Value = make([]byte, 2<<20)
	do(t, cl.ProduceSync(context.Background(), r).FirstErr())
}

// stops waits until the stream stands before the large record, offset 23.
func (s *stream) stops(t *testing.T) {
	t.Helper()
	rig.Until(t, time.Minute, "it stops at the large record", func() bool {
		st := s.task().Copy.Stop
		return st != nil && st.Code == fsm.CodeRecordTooLarge && st.From == 23 && st.To == 24 && s.task().Copy.Order == ""
	})
}

// epochEnd is where a leader epoch of the target partition ended.
func (s *stream) epochEnd(t *testing.T, epoch int32) (end int64) {
	t.Helper()
	do(t, s.lab.dst.Admin(func(adm *kadm.Client) error {
		var ask kadm.OffsetForLeaderEpochRequest
		ask.Add(s.topic, 0, epoch)
		got, err := adm.OffsetForLeaderEpoch(context.Background(), ask)
		if err != nil {
			return err
		}
		end = got[s.topic][0].EndOffset
		return got[s.topic][0].Err
	}))
	return end
}

// TestRollingRestart restarts every broker of the target, then of the source,
// while records come in; nobody helps. One stream idles all along.
func TestRollingRestart(t *testing.T) {
	claim.NeedsLong(t)
	t.Parallel()
	three := kafkalab.Config{Brokers: 3, Overrides: map[string]string{
		"default.replication.factor": "3", "min.insync.replicas": "2", "broker.session.timeout.ms": "4000",
	}}
	l := start(t, three, three)
	ctx := t.Context()
	var all []*stream
	var r []*runner
	for range 4 {
		s := l.stream(t)
		all, r = append(all, s), append(r, s.own(t, 1))
		s.warm(t, r[len(r)-1])
	}
	idle := all[0]
	var stops []func()
	for _, s := range all[1:] {
		stops = append(stops, s.load(t, time.Duration(claim.Rounds(30, 10))*time.Millisecond))
	}
	for _, c := range []*kafkalab.Cluster{l.dst, l.src} {
		for b := range c.Brokers() {
			do(t, c.RestartBroker(ctx, b))
			for _, s := range all {
				do(t, c.WaitInSync(ctx, s.topic))
			}
		}
	}
	for _, stop := range stops {
		stop()
	}
	idle.produce(t, 10)
	for i, s := range all {
		s.acked(t, r[i])
		s.copied(t)
		if evs := s.Events(fsm.CodeTargetLostAcked); len(evs) > 0 {
			t.Errorf("a loss that is none: %+v", evs)
		}
		t.Logf("%d records", s.made)
	}
	leaderHangs(t, l, idle, r[0])
}

// leaderHangs stops the target's leader with a request on the wire. Its
// successor is found before that request times out.
func leaderHangs(t *testing.T, l *lab, s *stream, r *runner) {
	t.Helper()
	parts, err := l.dst.Partitions(context.Background(), s.topic)
	do(t, err)
	leader := parts[0].Leader
	do(t, l.dst.PauseBroker(leader))
	s.produce(t, 5)
	s.acked(t, r)
	do(t, l.dst.ResumeBroker(leader))
	s.produce(t, 5)
	s.acked(t, r)
	s.copied(t)
}

// do fails the test at an error.
func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package streams

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/test/claim"
	"sluice/test/kafkalab"
	"sluice/test/rig"
)

// TestLimit: a link with a limit and more to copy than that copies as much, in
// every ten seconds, through a takeover.
func TestLimit(t *testing.T) {
	claim.NeedsLong(t)
	kafkalab.Require(t)
	src, dst := kafkalab.StartPair(t, kafkalab.Config{}, kafkalab.Config{})
	t.Run("together", func(t *testing.T) {
		for _, mib := range []int64{1, 5} {
			t.Run(fmt.Sprintf("%d MiB/s", mib), func(t *testing.T) { t.Parallel(); limited(t, src, dst, mib<<20) })
		}
	})
	t.Run("50 MiB/s", func(t *testing.T) {
		if !claim.Full() {
			t.Skip("left out: it needs a quiet machine; SLUICE_PROVE=1 runs it")
		}
		limited(t, src, dst, 50<<20)
	})
}

const (
	limitWindow  = 10 * time.Second
	limitFor     = 14 * time.Second // the test looks
	limitRecord  = 8000             // bytes
	limitBatch   = 64 << 10
	limitStreams = 4
)

// limited holds what comes out of a link with a limit in bytes/s against it, a
// few times where others keep the machine busy.
func limited(t *testing.T, src, dst *kafkalab.Cluster, limit int64) {
	var err error
	for i := range 3 {
		err = copyLimited(t, src, dst, fmt.Sprintf("limit-%d-%d", limit, i), limit).judge(float64(limit))
		if err == nil {
			return
		}
		t.Logf("try %d: %v", i+1, err)
	}
	t.Error(err)
}

// copyLimited copies a topic under the limit, through a takeover.
func copyLimited(t *testing.T, src, dst *kafkalab.Cluster, topic string, limit int64) samples {
	p := rig.NewPair(t, src.Bootstrap(), dst.Bootstrap(), fsm.LinkSpec{Limit: limit}, map[string]int32{topic: limitStreams}, "n1", "n2")
	fill(t, src, topic, int(limit*int64(limitFor/time.Second+4)/limitRecord))
	r1, _ := p.Runner(t, "n1", nil)
	streams := p.Own(t, r1, "n1")
	rig.Wait(t, "all streams move", func() error {
		moved := 0
		for _, s := range streams {
			if s.Measure().Source > 0 {
				moved++
			}
		}
		if moved < len(streams) {
			return fmt.Errorf("%d of %d", moved, len(streams))
		}
		return nil
	})
	var all samples
	all.take(t, p, topic, limitFor/2)
	before := len(all)
	r1.Close()
	r2, _ := p.Runner(t, "n2", nil)
	p.Own(t, r2, "n2")
	all.take(t, p, topic, limitFor/2)
	r2.Close()
	for i := before; i < len(all) && all[i].bytes == all[before-1].bytes; i++ {
		all[i].lost = true
	}
	return all
}

// fill appends records to the source's partitions in turn.
func fill(t *testing.T, src *kafkalab.Cluster, topic string, records int) {
	t.Helper()
	cl, err := src.DirectClient(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(limitBatch),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	value := make([]byte, limitRecord)
	_, _ = rand.Read(value)
	var failed atomic.Pointer[error]
	for i := range records {
		cl.Produce(context.Background(), &kgo.Record{Topic: topic, Partition: int32(i % limitStreams), Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	if err := cl.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := failed.Load(); err != nil {
		t.Fatal(*err)
	}
}

// samples are bytes at the target by time.
type samples []sample

type sample struct {
	at    time.Time
	bytes float64
	lost  bool // nobody owned the streams since the sample before
}

// often is how often the target is looked at where nothing keeps that back.
const often = 20 * time.Millisecond

// take looks at the target's ends for a while.
func (s *samples) take(t *testing.T, p *rig.Pair, topic string, d time.Duration) {
	t.Helper()
	adm := kadm.NewClient(p.Target)
	tick := time.NewTicker(often)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); {
		<-tick.C
		ends, err := adm.ListEndOffsets(context.Background(), topic)
		if err == nil {
			err = ends.Error()
		}
		if err != nil {
			t.Fatal(err)
		}
		records := int64(0)
		ends.Each(func(e kadm.ListedOffset) { records += e.Offset })
		*s = append(*s, sample{at: time.Now(), bytes: float64(records) * limitRecord})
	}
}

// lost is the time until each sample, in sum, in which nothing could be copied:
// between two owners, or where the machine was too busy to look.
func (s samples) lost() []time.Duration {
	out := make([]time.Duration, len(s))
	for i := 1; i < len(s); i++ {
		d := s[i].at.Sub(s[i-1].at)
		if !s[i].lost {
			d = max(0, d-5*often)
		}
		out[i] = out[i-1] + d
	}
	return out
}

// judge holds every ten seconds against the limit. What lost time keeps back,
// and what then comes at once, counts as neither.
func (s samples) judge(limit float64) error {
	lost := s.lost()
	least, most, windows, from := 2.0, 0.0, 0, 0
	for to := range s {
		for s[to].at.Sub(s[from].at) > limitWindow {
			from++
		}
		took := s[to].at.Sub(s[from].at)
		if took < limitWindow-5*often {
			continue
		}
		windows++
		share := (s[to].bytes - s[from].bytes) / (took.Seconds() * limit)
		slack := float64(lost[to]-lost[from]) / float64(took)
		least, most = min(least, share+slack), max(most, share-slack)
	}
	if least < 0.95 || most > 1.05 || windows < 10 {
		return fmt.Errorf("%d times ten seconds held %.1f %% to %.1f %% of the limit; %v were lost", windows, 100*least, 100*most, lost[len(s)-1])
	}
	return nil
}

package stream_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/test/rig"
)

// TestSplitsWhatTheTargetFindsTooLarge: batches are larger than the target takes,
// each record of them is not. They become several, offsets stay, and how large
// one may be is tried once, not for each. Owners change in the middle of one.
func TestSplitsWhatTheTargetFindsTooLarge(t *testing.T) {
	for _, mapping := range []string{fsm.OffsetsIdentical, fsm.OffsetsTranslated} {
		for _, stamp := range []time.Time{time.Now(), time.Now().Add(-72 * time.Hour)} {
			t.Run(fmt.Sprintf("%s, records of %s", mapping, map[bool]string{true: "three days ago", false: "now"}[time.Since(stamp) > time.Hour]), func(t *testing.T) {
				t.Parallel()
				splits(t, mapping, stamp)
			})
		}
	}
}

func splits(t *testing.T, mapping string, stamp time.Time) {
	const most, batches, records = 20_000, 8, 40
	src, dst := rig.Kfake(t, "source", 1), rig.Kfake(t, "target", 1)
	p := rig.NewPair(t, src.ListenAddrs(), dst.ListenAddrs(), fsm.LinkSpec{Offsets: mapping}, map[string]int32{"orders": 1}, "n1", "n2")
	limit(t, p.Target, "orders", most)
	for i := range batches {
		var rs []*kgo.Record
		for k := range records {
			value := fmt.Appendf(nil, "value %d", i*records+k)
			rs = append(rs, &kgo.Record{Topic: "orders", Timestamp: stamp, Value: append(value, noise(i*records+k, 2500)...)})
		}
		if err := p.Source.ProduceSync(context.Background(), rs...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	var tooLarge atomic.Int32
	var taken, block atomic.Int64
	block.Store(3) // with the third part of the first batch
	dst.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		dst.KeepControl()
		for _, topic := range req.(*kmsg.ProduceRequest).Topics {
			for _, part := range topic.Partitions {
				if len(part.Records) > most {
					tooLarge.Add(1)
				} else if at := block.Load(); at > 0 && taken.Add(1) >= at {
					return nil, context.Canceled, true // the connection ends, nothing is written
				}
			}
		}
		return nil, nil, false
	})
	r1, _ := p.Runner(t, "n1", nil)
	p.Own(t, r1, "n1")
	rig.Until(t, 30*time.Second, "the owner is stuck", func() bool { return taken.Load() > 4 })
	if end := p.End(t, "orders", 0); end == 0 || end >= records {
		t.Errorf("the target ends at %d, not inside the first batch", end)
	}
	r1.Close()
	r2, _ := p.Runner(t, "n2", nil)
	p.Own(t, r2, "n2")
	block.Store(0)
	for i, rec := range p.Read(t, dst.ListenAddrs(), "orders", 0, batches*records, time.Minute) {
		want := append(fmt.Appendf(nil, "value %d", i), noise(i, 2500)...)
		if rec.Offset != int64(i) || !bytes.Equal(rec.Value, want) || rec.Timestamp.UnixMilli() != stamp.UnixMilli() {
			t.Fatalf("%.20q at %d, want %.20q at %d", rec.Value, rec.Offset, want, i)
		}
	}
	// Halves of a hundred thousand bytes fit after the third try: once for each
	// owner, and once more for what was in flight behind the first.
	if n := tooLarge.Load(); n < 3 || n > 16 {
		t.Errorf("%d batches were refused as too large", n)
	}
	if st := first(p).Copy.Stop; st != nil {
		t.Errorf("stopped by %+v", st)
	}
}

// noise is bytes that hardly compress.
func noise(seed, n int) []byte {
	out := make([]byte, 0, n)
	for x := uint64(seed + 1); len(out) < n; {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		out = binary.BigEndian.AppendUint64(out, x)
	}
	return out[:n]
}

func limit(t *testing.T, cl *kgo.Client, topic string, bytes int) {
	t.Helper()
	value := fmt.Sprint(bytes)
	rs, err := kadm.NewClient(cl).AlterTopicConfigs(context.Background(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: &value}}, topic)
	if err != nil || rs[0].Err != nil {
		t.Fatal(rs, err)
	}
}

// TestOneRecordThatIsTooLarge among others of its batch stops the stream, named
// alone. Going on past it skips it and nothing else, also when the target loses
// what stands before it.
func TestOneRecordThatIsTooLarge(t *testing.T) {
	src, dst := rig.Kfake(t, "source", 1), rig.Kfake(t, "target", 1)
	p := rig.NewPair(t, src.ListenAddrs(), dst.ListenAddrs(), fsm.LinkSpec{}, map[string]int32{"orders": 1}, "n1")
	limit(t, p.Target, "orders", 2000)
	var rs []*kgo.Record
	for i := range 20 {
		value := fmt.Appendf(nil, "value %d", i)
		if i == 12 {
			value = append(value, noise(i, 5000)...)
		}
		rs = append(rs, &kgo.Record{Topic: "orders", Value: value})
	}
	if err := p.Source.ProduceSync(context.Background(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	r, _ := p.Runner(t, "n1", nil)
	p.Own(t, r, "n1")
	rig.Until(t, 30*time.Second, "it stops", func() bool { return first(p).Copy.Stop != nil })
	if st := first(p).Copy.Stop; st.Code != fsm.CodeRecordTooLarge || st.From != 12 || st.To != 13 || st.Target {
		t.Errorf("stopped by %+v", st)
	}
	p.Do(t, &fsm.TaskOrder{Link: 1, Order: fsm.OrderContinue})
	for i, rec := range p.Read(t, dst.ListenAddrs(), "orders", 0, 19, time.Minute) {
		source := i
		if i >= 12 {
			source++
		}
		if want := fmt.Sprintf("value %d", source); string(rec.Value) != want || rec.Offset != int64(i) {
			t.Errorf("%q at %d, want %q at %d", rec.Value, rec.Offset, want, i)
		}
	}
}

package load

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/test/claim"
	"sluice/test/kafkalab"
)

// MirrorMaker 2 copies what the checker then finds complete and in order: the runner works, and the
// checker holds for a copier that is not ours.
func TestMirrorMakerCopies(t *testing.T) {
	claim.NeedsLong(t) // and the benches rest on it
	source, target := startLab(t, kafkalab.V4), startLab(t, kafkalab.V4)
	topic := source.topic("t", 2, nil)
	p := source.produce(Config{Topics: []Topic{topic}, Records: 2000, Size: 200, Codec: kgo.Lz4Compression()})
	m := kafkalab.StartMirrorMaker(t, kafkalab.MirrorConfig{Source: source.Bootstrap(), Target: target.Bootstrap(), Topics: "t"})
	w := NewWatcher(target.client, topic)
	defer run(t, target.ctx, w.Run)()
	if err := w.WaitRecords(target.ctx, p.Acked()); err != nil {
		t.Fatal(err)
	}
	r, err := Compare(target.ctx, source.client, target.client, []string{"t"}, Options{IgnoreOffsets: true})
	if err != nil || r.Err() != nil {
		t.Errorf("%v, %v", r, err)
	}
	u, err := m.Usage()
	if err != nil || u.CPU() < time.Second || u.MaxRSS < 50<<20 {
		t.Errorf("usage %+v, %v", u, err)
	}
	t.Logf("MirrorMaker used %v CPU and %d MB", u.CPU(), u.MaxRSS>>20)
}

package stream_test

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/test/rig"
)

// TestRaisesTheEpochWhereTheSequenceIsRefused: a broker that forgot our
// producer takes only sequence 0 (Kafka 4.5 does so).
func TestRaisesTheEpochWhereTheSequenceIsRefused(t *testing.T) {
	src, _ := rig.Embedded(t)
	dst := rig.Kfake(t, "target", 1)
	p := rig.NewPair(t, src, dst.ListenAddrs(), fsm.LinkSpec{}, map[string]int32{"orders": 1}, "n1")
	r, _ := p.Runner(t, "n1", nil)
	p.Own(t, r, "n1")
	p.Produce(t, "orders", 0, 0, 10)
	p.Copied(t, "orders", 0, 10, 0)
	var forgot atomic.Bool
	forgot.Store(true)
	dst.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		dst.KeepControl()
		pr := req.(*kmsg.ProduceRequest)
		batch := pr.Topics[0].Partitions[0].Records
		if sequence := int32(binary.BigEndian.Uint32(batch[53:])); sequence == 0 || !forgot.Load() {
			forgot.Store(false)
			return nil, nil, false
		}
		resp := pr.ResponseKind().(*kmsg.ProduceResponse)
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = pr.Topics[0].Topic, pr.Topics[0].TopicID
		part := kmsg.NewProduceResponseTopicPartition()
		part.Partition, part.ErrorCode, part.BaseOffset = 0, kerr.OutOfOrderSequenceNumber.Code, -1
		topic.Partitions = append(topic.Partitions, part)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	p.Produce(t, "orders", 0, 10, 30)
	rig.Until(t, 30*time.Second, "a raised epoch", func() bool { return len(p.Events(fsm.CodeEpochRaised)) == 1 })
	p.Copied(t, "orders", 0, 30, 0)
	if m := first(p).Copy.Mapping; m.ProducerEpoch != 1 || m.SequenceZero != 10 {
		t.Errorf("mapping %+v", m)
	}
}

package stream_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/test/rig"
)

// TestWaitsWhileTheTargetRefuses: errors that pass by stop nothing. They are
// shown as the stream's state, tried again, and over when the cause is.
func TestWaitsWhileTheTargetRefuses(t *testing.T) {
	for err, state := range map[*kerr.Error]fsm.Code{
		kerr.NotEnoughReplicas:          fsm.CodeNotEnoughReplicas,
		kerr.ThrottlingQuotaExceeded:    fsm.CodeQuotaThrottled,
		kerr.ClusterAuthorizationFailed: fsm.CodeUnauthorized,
		kerr.KafkaStorageError:          fsm.CodeUnreachable,
		kerr.NotLeaderForPartition:      fsm.CodeUnreachable,
	} {
		t.Run(err.Message, func(t *testing.T) {
			src, _ := rig.Embedded(t)
			dst, failed := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("target"))
			if failed != nil {
				t.Fatal(failed)
			}
			t.Cleanup(dst.Close)
			p := rig.NewPair(t, src, dst.ListenAddrs(), fsm.LinkSpec{}, map[string]int32{"orders": 1, "pay": 1}, "n1")
			r, _ := p.Runner(t, "n1", nil)
			streams := p.Own(t, r, "n1")
			p.Produce(t, "orders", 0, 0, 10)
			p.Copied(t, "orders", 0, 10, 0)
			refused := refuse(dst, "orders", err.Code)
			p.Produce(t, "orders", 0, 10, 20)
			rig.Until(t, 30*time.Second, "the state", func() bool {
				for _, s := range streams {
					if p.View().Task(s.Task()).Copy.Stream.Topic == "orders" && s.Measure().State == state {
						return true
					}
				}
				return false
			})
			p.Produce(t, "pay", 0, 0, 5) // the other stream goes on
			p.Copied(t, "pay", 0, 5, 0)
			refused.Store(false)
			p.Produce(t, "orders", 0, 20, 30)
			p.Copied(t, "orders", 0, 30, 0)
			for task := range p.View().Tasks {
				if task.Kind == fsm.KindCopy && task.Copy.Stop != nil {
					t.Errorf("stopped: %+v", task.Copy.Stop)
				}
			}
		})
	}
}

// refuse answers produce requests that hold a topic with an error, as long as
// the value returned is true.
func refuse(c *kfake.Cluster, topic string, code int16) *atomic.Bool {
	on := new(atomic.Bool)
	on.Store(true)
	id := c.TopicInfo(topic).TopicID
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		pr := req.(*kmsg.ProduceRequest)
		resp := pr.ResponseKind().(*kmsg.ProduceResponse)
		holds := false
		for _, rt := range pr.Topics {
			holds = holds || rt.Topic == topic || rt.TopicID == id
			answer := kmsg.NewProduceResponseTopic()
			answer.Topic, answer.TopicID = rt.Topic, rt.TopicID
			for _, rp := range rt.Partitions {
				part := kmsg.NewProduceResponseTopicPartition()
				part.Partition, part.ErrorCode, part.BaseOffset = rp.Partition, code, -1
				answer.Partitions = append(answer.Partitions, part)
			}
			resp.Topics = append(resp.Topics, answer)
		}
		return resp, nil, holds && on.Load()
	})
	return on
}

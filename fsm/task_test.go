package fsm

import (
	"encoding/json"
	"reflect"
	"testing"
)

// TestTasksAreWrittenFlat: nodes that know no payloads read snapshots too.
func TestTasksAreWrittenFlat(t *testing.T) {
	m := Mapping{Version: 3, Phase: PhaseDense, Segments: []Segment{{1, 2}}}
	for _, c := range []struct {
		name string
		task Task
		json string
	}{
		{"link", Task{ID: 1, Kind: KindLink, Link: 2, Owner: "a", Turn: 1, Since: 9}, `{"id":1,"kind":2,"link":2,"start":-1,"owner":"a","turn":1,"since":9}`},
		{"observe", Task{ID: 1, Kind: KindObserve, Kafka: "us"}, `{"id":1,"kind":3,"kafka":"us","start":-1,"turn":0,"since":0}`},
		{"copy", Task{ID: 1, Kind: KindCopy, Link: 2, Next: "b", NextAt: 8, Copy: &Copy{
			Stream: StreamKey{"t", 0, "u"}, Start: 7, Mapping: &m, Progress: Progress{Source: 1}, Stop: &Stop{Code: CodeOverBudget}, Order: OrderContinue, Attempt: 2,
		}}, `{"id":1,"kind":1,"link":2,"stream":{"topic":"t","partition":0,"targetTopic":"u"},"start":7,"next":"b","nextAt":8,"turn":0,"since":0,` +
			`"mapping":{"version":3,"generation":0,"phase":2,"sourceTopicId":"AAAAAAAAAAAAAAAAAAAAAA","targetTopicId":"AAAAAAAAAAAAAAAAAAAAAA","segments":[{"s":1,"t":2}],"producerId":0,"producerEpoch":0,"sequenceZero":0},` +
			`"progress":{"source":1,"sourceEpoch":0,"target":0,"targetEpoch":0,"records":0,"at":0},` +
			`"stop":{"code":"over-budget","from":0,"to":0,"message":"","at":0},"order":"continue","attempt":2}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := json.Marshal(&c.task)
			if err != nil || string(b) != c.json {
				t.Errorf("%s %v, want\n%s", b, err, c.json)
			}
			var back Task
			if err := json.Unmarshal([]byte(c.json), &back); err != nil || !reflect.DeepEqual(back, c.task) {
				t.Errorf("read back %+v %v, want %+v", back, err, c.task)
			}
		})
	}
}

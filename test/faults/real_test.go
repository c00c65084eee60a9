package faults

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/test/kafkalab"
)

// Real brokers advertise the proxy: every client goes through it, and what is held there reaches the
// broker after its sender's end.
func TestKafkaProxyInFrontOfRealBrokers(t *testing.T) {
	for _, version := range []string{kafkalab.V4, kafkalab.V3} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			p := NewKafkaProxy()
			t.Cleanup(p.Close)
			c := kafkalab.Start(t, kafkalab.Config{Version: version, AdvertisedVia: p.Via})
			ctx := testContext(t)
			if err := c.CreateTopic(ctx, kafkalab.Topic{Name: "t"}); err != nil {
				t.Fatal(err)
			}
			open := func(id string, opts ...kgo.Opt) *kgo.Client {
				cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.Bootstrap()...), kgo.ClientID(id),
					kgo.DefaultProduceTopic("t"), kgo.ProducerLinger(0))...)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(cl.Close)
				return cl
			}
			cl := open("n1")
			for i := range 5 { // the acknowledgement of each gets lost once; the client sends again
				f := p.AddRule(Rule{Side: OnResponse, APIs: []int16{Produce}, ClientPrefix: "n1", Count: 1, Do: CloseClient, How: Close(i % 2)})
				if err := cl.ProduceSync(ctx, kgo.StringRecord(fmt.Sprint(i))).FirstErr(); err != nil {
					t.Fatal(err)
				}
				if f.Chosen() != 1 {
					t.Errorf("record %d: the fault was chosen %d times", i, f.Chosen())
				}
			}

			f := p.AddRule(Rule{APIs: []int16{Produce}, ClientPrefix: "n2", Count: 1, Do: Hold})
			owner := open("n2", kgo.RecordRetries(0))
			owner.Produce(ctx, kgo.StringRecord("5"), nil)
			if err := f.WaitChosen(ctx, 1); err != nil {
				t.Fatal(err)
			}
			delivered := p.Counts(Produce).Requests
			owner.Close()
			if err := p.Wait(ctx, func() bool { return p.Orphans() > 0 }); err != nil {
				t.Fatal(err)
			}
			f.Release()
			if err := p.Wait(ctx, func() bool { return p.Counts(Produce).Requests > delivered }); err != nil {
				t.Fatal(err)
			}

			reader := open("n4", kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			var got []string
			for len(got) < 6 {
				fs := reader.PollFetches(ctx)
				if err := fs.Err(); err != nil {
					t.Fatal(err)
				}
				fs.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
			}
			if fmt.Sprint(got) != "[0 1 2 3 4 5]" {
				t.Errorf("the broker has %v", got)
			}
			if err := p.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

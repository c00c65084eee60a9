package fillers

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/replication/filler"
	"sluice/test/faults"
)

// owners has two owners take a filler from each other at random steps. The one
// that has it fills a gap and is stopped at a request or at its answer, whose
// connection ends, or which is held: then the other one takes over, fills what
// is left, and data follows, before what was held goes on. Nothing that the
// first one does then changes the log.
func owners(t *testing.T, p *part, rounds int) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	both := [2]*owner{p.owner(t, p.topic+"-a-"), p.owner(t, p.topic+"-b-")}
	p.write(t)
	counts := map[string]int{}
	var has *filler.Filler // of both[0]; nil: to be opened
	for range rounds {
		if chance.IntN(5) == 0 {
			has = nil
		}
		s := random(chance, both[0].name, has == nil)
		g := p.gap([]int64{1, 1, 2, 3, 7}[chance.IntN(5)])
		f, done := s.begin(t, p, both[0], has, g)
		err := s.wait(t, done)
		if err == nil && f != nil && !s.held {
			has = f
			p.write(t)
			continue
		}
		counts[s.String()]++
		next := both[1].open(t, p)
		end, lost := p.logEnd(t.Context())
		if lost != nil {
			t.Fatal(lost)
		}
		if end > p.end {
			t.Fatalf("%v: the log ends at %d, beyond the gap's end %d", s, end, p.end)
		}
		if end < p.end {
			fill(t, next, filler.Gap{From: end, Count: p.end - end, Timestamp: g.Timestamp})
		}
		p.write(t)
		s.fault.Release()
		if s.held {
			<-done
		}
		p.endIs(t, p.end)
		has, both[0], both[1] = next, both[1], both[0]
	}
	both[1].open(t, p) // would end what was begun and not seen
	p.endIs(t, p.end)
	p.check(t)
	t.Logf("stopped at: %v", counts)
}

// stop is where an owner is stopped, and how.
type stop struct {
	rule  faults.Rule
	fault *faults.Fault
	held  bool // the owner waits for what is held
}

func random(chance *rand.Rand, client string, opens bool) *stop {
	apis := []kmsg.Key{kmsg.AddPartitionsToTxn, kmsg.Produce, kmsg.EndTxn, kmsg.EndTxn, kmsg.OffsetForLeaderEpoch}
	if opens {
		apis = append(apis, kmsg.InitProducerID, kmsg.InitProducerID, kmsg.InitProducerID, kmsg.InitProducerID)
	}
	r := faults.Rule{
		ClientPrefix: client, APIs: []int16{int16(apis[chance.IntN(len(apis))])}, First: 1 + chance.IntN(2), Count: 1,
		Side: faults.Side(chance.IntN(2)), Do: []faults.Action{faults.Hold, faults.Hold, faults.CloseClient, faults.CloseBoth}[chance.IntN(4)],
		How: faults.Close(chance.IntN(2)),
	}
	if r.Do != faults.Hold {
		r.First = 1
	}
	return &stop{rule: r}
}

// String says where.
func (s *stop) String() string {
	side := "request"
	if s.rule.Side == faults.OnResponse {
		side = "answer"
	}
	how := "lost"
	if s.rule.Do == faults.Hold {
		how = "held"
	}
	return fmt.Sprintf("%s %s %s", kmsg.NameForKey(s.rule.APIs[0]), side, how)
}

// begin starts the filling of a gap. The filler is opened where there is none;
// nil where that was what was stopped.
func (s *stop) begin(t *testing.T, p *part, o *owner, f *filler.Filler, g filler.Gap) (*filler.Filler, chan error) {
	t.Helper()
	at, err := p.place(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.fault = p.proxy.AddRule(s.rule)
	done := make(chan error, 1)
	if f == nil && s.rule.APIs[0] != int16(kmsg.InitProducerID) {
		f = o.open(t, p)
	}
	go func() {
		var err error
		mine := f
		if mine == nil {
			mine, err = o.Open(t.Context(), at, p.id)
		}
		if err == nil {
			_, err = mine.Fill(t.Context(), g)
		}
		done <- err
	}()
	return f, done
}

// wait waits until the owner is stopped or done; its error, nil while it is
// held.
func (s *stop) wait(t *testing.T, done chan error) error {
	t.Helper()
	for {
		select {
		case err := <-done:
			s.fault.Release()
			return err
		case <-time.After(time.Millisecond):
			if s.held = s.fault.Held() > 0; s.held {
				return nil
			}
		case <-t.Context().Done():
			t.Fatal("the test ends")
		}
	}
}

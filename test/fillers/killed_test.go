package fillers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/kafka"
	"sluice/replication/filler"
	"sluice/test/claim"
	"sluice/test/kafkalab"
	"sluice/test/wait"
)

// TestBrokersKilled kills brokers in turn while gaps are filled: the one killed
// coordinates some fillers, leads the partitions of others, and is both to a
// third kind.
func TestBrokersKilled(t *testing.T) {
	claim.NeedsLong(t)
	for _, version := range []string{kafkalab.V3, kafkalab.V4} {
		t.Run(version, func(t *testing.T) {
			l := start(t, version, 3)
			var all []*keeper
			var killed atomic.Int32
			killed.Store(-1)
			o := l.owner(t, "killed")
			for broker := range int32(3) {
				for _, coordinated := range []int32{broker, (broker + 1) % 3} {
					for _, p := range l.parts(t, 2, []int32{broker, (broker + 1) % 3, (broker + 2) % 3}) {
						p.coordinatedBy(t, coordinated)
						all = append(all, &keeper{part: p, owner: o, leader: broker, coordinator: coordinated, killed: &killed, errs: map[string]int{}})
					}
				}
			}
			ctx, stop := context.WithCancel(t.Context())
			var run sync.WaitGroup
			defer run.Wait()
			defer stop()
			for _, k := range all {
				run.Go(func() { k.keep(ctx) })
			}
			for i := range claim.Rounds(3, 15) {
				goesOn(t, all, "before")
				killed.Store(int32(i % 3))
				if err := l.KillBroker(i % 3); err != nil {
					t.Fatal(err)
				}
				goesOn(t, all, fmt.Sprintf("broker %d killed", i%3))
				l.back(t, i%3, all)
			}
			goesOn(t, all, "in the end")
			stop()
			run.Wait()
			report(t, all)
		})
	}
}

// coordinatedBy gives the partition's filler an id that a broker coordinates,
// which on a busy machine may have to be made leader again first.
func (p *part) coordinatedBy(t *testing.T, broker int32) {
	t.Helper()
	wait.For(t, 100*time.Millisecond, wait.Patience, "an id for a coordinator", func() error {
		for i := range 50 {
			if p.id = filler.IDOf(fmt.Sprint("l", i), p.topic, p.number); p.coordinator(t, p.id) == broker {
				return nil
			}
		}
		return errors.Join(fmt.Errorf("broker %d coordinates nothing", broker), p.elect(t.Context()))
	})
}

// elect has all partitions led by the brokers that are to lead them at first.
func (l *lab) elect(ctx context.Context) error {
	return l.Admin(func(adm *kadm.Client) error {
		_, err := adm.ElectLeaders(ctx, kadm.ElectPreferredReplica, nil)
		return err
	})
}

// back starts a broker again, and has it lead again what it led at first.
func (l *lab) back(t *testing.T, broker int, all []*keeper) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait.Patience)
	defer cancel()
	if err := l.StartBroker(ctx, broker); err != nil {
		t.Fatal(err)
	}
	for _, k := range all {
		if err := l.WaitInSync(ctx, k.topic); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.elect(ctx); err != nil {
		t.Fatal(err)
	}
}

// keeper fills gaps and writes data behind them, until it is stopped.
type keeper struct {
	*part
	owner *owner

	leader, coordinator int32
	killed              *atomic.Int32 // the broker that was last

	taken atomic.Int64
	errs  map[string]int
	err   error // what no broker's death explains
}

// goesOn waits until each has taken ten more gaps.
func goesOn(t *testing.T, all []*keeper, when string) {
	t.Helper()
	began := time.Now()
	want := make([]int64, len(all))
	for i, k := range all {
		want[i] = k.taken.Load() + 10
	}
	for i, k := range all {
		wait.For(t, 20*time.Millisecond, wait.Patience, "gaps of "+k.topic, func() error {
			if n := k.taken.Load(); n < want[i] {
				return fmt.Errorf("%d more to go", want[i]-n)
			}
			return nil
		})
	}
	t.Logf("%s: all have gone on after %v", when, time.Since(began).Round(time.Millisecond))
}

func (k *keeper) keep(ctx context.Context) {
	var f *filler.Filler
	for i := 0; ctx.Err() == nil && k.err == nil; i++ {
		// What was begun is brought to its end: the log must say where it stands.
		f = k.take(context.WithoutCancel(ctx), f, k.gap([]int64{1, 2, 1, 5}[i%4]))
		r, err := k.plain.ProduceSync(context.WithoutCancel(ctx), &kgo.Record{Topic: k.topic, Partition: k.number, Value: []byte("data")}).First()
		if err != nil {
			k.err = err
			return
		}
		k.data = append(k.data, r.Offset)
		k.beyond(r.Offset, "behind the gap")
		k.end++
		k.taken.Add(1)
	}
}

// beyond books that the log ended beyond where it should.
func (k *keeper) beyond(end int64, where string) {
	if end != k.end {
		killed := k.killed.Load()
		k.errs[fmt.Sprintf("%d beyond, %s (leader killed: %v, coordinator killed: %v)", end-k.end, where, killed == k.leader, killed == k.coordinator)]++
		k.overshot += end - k.end
		k.end = end
	}
}

// take fills a gap as an owner of the stream would: after an error it looks the
// partition up, opens the filler anew and reads the log.
func (k *keeper) take(ctx context.Context, f *filler.Filler, g filler.Gap) *filler.Filler {
	to := k.end
	for {
		if f == nil {
			var end int64
			if f, end = k.again(ctx); f == nil {
				continue
			}
			if g.From, g.Count = end, to-end; g.Count <= 0 {
				k.beyond(end, "seen by the next owner")
				return f
			}
		}
		_, err := f.Fill(ctx, g)
		if err == nil {
			return f
		}
		k.book(err)
		f = nil
	}
}

// again opens the filler; nil: not now.
func (k *keeper) again(ctx context.Context) (f *filler.Filler, end int64) {
	at, err := k.place(ctx)
	if err == nil {
		f, err = k.owner.Open(ctx, at, k.id)
	}
	if err == nil {
		_, end, err = k.client.Broker(at.Leader).OffsetForLeaderEpoch(ctx, at.Topic, at.Partition, at.LeaderEpoch, at.LeaderEpoch)
	}
	if err != nil {
		k.book(err)
		kafka.Pause(ctx, 50*time.Millisecond)
		return nil, 0
	}
	return f, end
}

// book counts an error by its kind.
func (k *keeper) book(err error) {
	for _, kind := range []error{filler.ErrFenced, filler.ErrMoved, filler.ErrCoordinator, kafka.ErrPerhapsSent} {
		if errors.Is(err, kind) {
			k.errs[kind.Error()]++
			return
		}
	}
	if _, ok := errors.AsType[*filler.EndError](err); ok {
		k.errs["the log ends elsewhere"]++
		return
	}
	if said, ok := errors.AsType[*kerr.Error](err); ok {
		k.errs[said.Message]++
		return
	}
	k.errs[err.Error()]++
}

// report checks every log, and says what happened.
func report(t *testing.T, all []*keeper) {
	t.Helper()
	sum, gaps, overshot := map[string]int{}, int64(0), int64(0)
	for _, k := range all {
		if k.err != nil {
			t.Errorf("%s/%d: %v", k.topic, k.number, k.err)
		}
		k.check(t)
		for what, n := range k.errs {
			sum[what] += n
		}
		gaps, overshot = gaps+k.taken.Load(), overshot+k.overshot
	}
	var lines []string
	for what, n := range sum {
		lines = append(lines, fmt.Sprintf("%s: %d", what, n))
	}
	slices.Sort(lines)
	t.Logf("%d gaps, %d markers beyond; %v", gaps, overshot, lines)
}

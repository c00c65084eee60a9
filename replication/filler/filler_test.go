package filler

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"sluice/kafka"
	"sluice/kafka/record"
)

// TestFill takes gaps between records. Each takes what it should, in batches
// and transactions of bounded size.
func TestFill(t *testing.T) {
	inLab(t, func(l *lab) {
		var sizes []int32
		l.on(kmsg.Produce, func(req kmsg.Request) (kmsg.Response, error) {
			if r := req.(*kmsg.ProduceRequest); r.TransactionID != nil {
				sizes = append(sizes, record.Batch(r.Topics[0].Partitions[0].Records).Header().Count)
			}
			return nil, nil
		})
		f := l.open()
		end := int64(0) // of an empty log
		transactions := 0
		for _, k := range []int64{1, 2, 7, 1, 5000, maxRecords + 1, maxOffsets + 3} {
			l.fill(f, end, k)
			end += k + 1
			if got := l.write(); got != end {
				t.Fatalf("behind %d offsets a record ends at %d, want %d", k, got, end)
			}
			transactions += int((k + maxOffsets - 1) / maxOffsets)
		}
		l.sees(end)
		if got := l.count(kmsg.AddPartitionsToTxn); got != transactions {
			t.Errorf("%d transactions, want %d", got, transactions)
		}
		for _, size := range sizes {
			if size > maxRecords {
				t.Errorf("a batch of %d records, at most %d", size, maxRecords)
			}
		}
		if got := l.count(kmsg.InitProducerID); got != 1 {
			t.Errorf("the filler was opened %d times", got)
		}
	})
}

// TestOldBrokers: those before 3.6 do not verify transactional batches, and get
// none.
func TestOldBrokers(t *testing.T) {
	for _, c := range []struct {
		version *kversion.Versions
		batches bool
	}{{kversion.V3_0_0(), false}, {kversion.V3_5_0(), false}, {kversion.V3_6_0(), true}} {
		inLab(t, func(l *lab) {
			l.fill(l.open(), 0, 5)
			l.sees(5)
			if batches := l.count(kmsg.Produce) > 0; batches != c.batches {
				t.Errorf("batches: %v, want %v", batches, c.batches)
			}
		}, kfake.MaxVersions(c.version))
	}
}

// TestSmallBatches: a topic that takes small batches only gets such.
func TestSmallBatches(t *testing.T) {
	inLab(t, func(l *lab) {
		refused := 0
		l.on(kmsg.Produce, func(req kmsg.Request) (kmsg.Response, error) {
			r := req.(*kmsg.ProduceRequest)
			if r.TransactionID == nil || len(r.Topics[0].Partitions[0].Records) < 1000 {
				return nil, nil
			}
			refused++
			return answerOf(r, kerr.MessageTooLarge), nil
		})
		f := l.open()
		l.fill(f, 0, 3000)
		l.fill(f, 3000, 100)
		l.sees(3100)
		if refused != 6 { // of 2999 records, 1499, 749, 374, 187, 93
			t.Errorf("%d batches were refused", refused)
		}
	})
}

// TestTakeover: who opens the filler ends what was begun, and fences its owner.
func TestTakeover(t *testing.T) {
	inLab(t, func(l *lab) {
		first := l.open()
		if err := first.add(l.ctx); err != nil {
			t.Fatal(err)
		}
		second := l.open()
		l.fill(second, 1, 2) // behind the marker of what was begun
		_, err := first.Fill(l.ctx, Gap{From: 3, Count: 1})
		if !errors.Is(err, ErrFenced) {
			t.Fatal(err)
		}
		l.sees(3)
	})
}

// TestEnd: where the log does not end where the gap begins, nothing is added;
// where somebody else writes into it, the filler stops behind its marker.
func TestEnd(t *testing.T) {
	for _, from := range []int64{0, 2} {
		inLab(t, func(l *lab) {
			l.write()
			f := l.open()
			end, err := f.Fill(l.ctx, Gap{From: from, Count: 7})
			if at := (*EndError)(nil); !errors.As(err, &at) || at.Want != from || at.Got != 1 || end != 1 {
				t.Fatal(end, err)
			}
			if l.count(kmsg.AddPartitionsToTxn) != 0 {
				t.Error("a transaction was begun")
			}
			l.sees(1)
		})
	}
	for name, c := range map[string]struct {
		k         int64
		when      kmsg.Key // somebody writes
		nth       int
		want, got int64
		batches   int
	}{
		"before the marker":      {1, kmsg.EndTxn, 1, 1, 2, 0},
		"before a batch":         {2 * maxRecords, kmsg.AddPartitionsToTxn, 1, maxRecords + 1, maxRecords + 2, 1},
		"behind the last batch":  {7, kmsg.EndTxn, 1, 7, 8, 1},
		"behind the last marker": {7, kmsg.OffsetForLeaderEpoch, 2, 7, 8, 1},
		"behind a transaction":   {maxOffsets + 5, kmsg.OffsetForLeaderEpoch, 2, maxOffsets, maxOffsets + 1, maxOffsets / maxRecords},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				f := l.open()
				n := 0
				l.on(c.when, func(kmsg.Request) (kmsg.Response, error) {
					if n++; n == c.nth {
						l.kafka.SleepControl(func() { l.write() })
					}
					return nil, nil
				})
				_, err := f.Fill(l.ctx, Gap{Count: c.k})
				if at := (*EndError)(nil); !errors.As(err, &at) || at.Want != c.want || at.Got != c.got {
					t.Fatal(err)
				}
				if got := l.count(kmsg.Produce); got != c.batches {
					t.Errorf("%d batches, want %d", got, c.batches)
				}
				l.sees(c.got)
			})
		})
	}
}

// TestMarkerLater: EndTxn is answered before the marker is in the log.
func TestMarkerLater(t *testing.T) {
	inLab(t, func(l *lab) {
		n := 0
		l.on(kmsg.EndTxn, func(req kmsg.Request) (kmsg.Response, error) {
			switch n++; n {
			case 1:
				return req.ResponseKind(), nil
			case 2, 3, 4:
				return answerOf(req, kerr.ConcurrentTransactions), nil
			}
			return nil, nil
		})
		l.fill(l.open(), 0, 3)
		l.sees(3)
	})
}

// TestMoved: a log end is one of the leader epoch that the partition was found
// with, even where it has the same leader again.
func TestMoved(t *testing.T) {
	inLab(t, func(l *lab) {
		f := l.open()
		l.fill(f, 0, 1)
		leader := l.kafka.LeaderFor(topic, 0)
		for _, to := range []int32{(leader + 1) % 3, leader} {
			if err := l.kafka.MoveTopicPartition(topic, 0, to); err != nil {
				t.Fatal(err)
			}
		}
		_, err := f.Fill(l.ctx, Gap{From: 1, Count: 1})
		if !errors.Is(err, ErrMoved) {
			t.Fatal(err)
		}
		l.finished(f, err)
		l.fill(l.open(), 1, 1)
		l.sees(2)
	})
}

// TestDeadConnection: one that was closed while nobody used it, as brokers do
// with idle ones, costs nothing.
func TestDeadConnection(t *testing.T) {
	inLab(t, func(l *lab) {
		f := l.open()
		l.fill(f, 0, 2)
		l.drop()
		l.fill(f, 2, 2)
		l.sees(4)
	})
}

// TestCoordinatorGone: one that cannot be reached is looked for anew.
func TestCoordinatorGone(t *testing.T) {
	inLab(t, func(l *lab) {
		f := l.open()
		gone := l.kafka.CoordinatorFor(f.id)
		if f.at.Leader = (gone + 1) % 3; l.kafka.MoveTopicPartition(topic, 0, f.at.Leader) != nil {
			t.Fatal("the leader did not move")
		}
		f.at = l.partition()
		l.drop()
		l.reach(l.kafka.ListenAddrs()[gone])
		l.on(kmsg.FindCoordinator, func(kmsg.Request) (kmsg.Response, error) {
			l.reach("")
			return nil, nil
		})
		l.fill(f, 0, 2)
		l.sees(2)
	})
}

// TestClosed: after Close nothing is asked any more.
func TestClosed(t *testing.T) {
	inLab(t, func(l *lab) {
		f := l.open()
		l.fillers.Close()
		if _, err := f.Fill(l.ctx, Gap{Count: 1}); !errors.Is(err, kafka.ErrClosed) {
			t.Error(err)
		}
		if _, err := l.fillers.Open(l.ctx, l.partition(), "x"); !errors.Is(err, kafka.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestIDOf(t *testing.T) {
	if got := IDOf("us-eu", "orders.v1", 12); got != "sluice:us-eu:orders.v1:12" || !strings.HasPrefix(got, IDPrefix) {
		t.Error(got)
	}
	if IDOf("a.b", "c", 0) == IDOf("a", "b.c", 0) {
		t.Error("two streams have one filler")
	}
}

package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestPipelined queues requests of all kinds before the first answer and gets
// the answers in order.
func TestPipelined(t *testing.T) {
	c, s := wirePair(t)
	batch := testBatch(t, 0, 3, "value")
	var order []int
	var mu sync.Mutex
	note := func(i int) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, i)
	}
	last := make(chan error, 1)
	for i := range 6 {
		var err error
		if i%2 == 0 {
			err = c.Produce(oneBatch(batch), func(r ProduceResponse, err error) {
				if err != nil || r.Partitions[0].BaseOffset != int64(i) {
					t.Errorf("%d: %+v %v", i, r, err)
				}
				note(i)
			})
		} else {
			err = c.Fetch(oneFetch(), func(r FetchResponse, err error) {
				note(i)
				if err == nil {
					r.Buf.Release()
				}
				if i == 5 {
					last <- err
				}
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var requests []wireRequest
	for range 6 {
		requests = append(requests, s.read())
	}
	for i, r := range requests {
		if r.corr != int32(i) {
			t.Fatalf("request %d has correlation id %d", i, r.corr)
		}
		if i%2 == 0 {
			if r.key != keyProduce || r.version != 13 || !bytes.Contains(r.body, batch) {
				t.Fatalf("request %d: %+v", i, r)
			}
			s.write(frame(r.corr, produceReply(r.version, int64(i), 0)))
		} else {
			s.write(frame(r.corr, fetchReply(r.version, batch)))
		}
	}
	if err := get(t, last); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(order) != "[0 1 2 3 4 5]" {
		t.Fatal(order)
	}
	if st := c.Stats(); st.Requests != 6 || st.Responses != 6 {
		t.Fatalf("%+v", st)
	}
}

// TestBrokenConnections: three requests are queued, the broker reads two and
// then misbehaves. What was written is perhaps sent, the rest is not.
func TestBrokenConnections(t *testing.T) {
	good := func(corr int32) []byte { return frame(corr, produceReply(13, 0, 0)) }
	for name, test := range map[string]struct {
		reply func(s *wireServer)
		want  error // nil: the reader's or the writer's, whoever is first
		ok    int   // requests answered before
	}{
		"closed":                    {func(s *wireServer) { s.nc.Close() }, nil, 0},
		"closed after one":          {func(s *wireServer) { s.write(good(0)); s.nc.Close() }, nil, 1},
		"half a size":               {func(s *wireServer) { s.write([]byte{0, 0}); s.nc.Close() }, nil, 0},
		"half a response":           {func(s *wireServer) { b := good(0); s.write(b[:len(b)/2]); s.nc.Close() }, nil, 0},
		"out of order":              {func(s *wireServer) { s.write(good(1)) }, ErrProtocol, 0},
		"correlation id never sent": {func(s *wireServer) { s.write(good(99)) }, ErrProtocol, 0},
		"huge":                      {func(s *wireServer) { s.write([]byte{0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0}) }, ErrProtocol, 0},
		"negative":                  {func(s *wireServer) { s.write([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}) }, ErrProtocol, 0},
		"shorter than its id":       {func(s *wireServer) { s.write([]byte{0, 0, 0, 3, 0, 0, 0, 0}) }, ErrProtocol, 0},
		"empty":                     {func(s *wireServer) { s.write([]byte{0, 0, 0, 4, 0, 0, 0, 0}) }, ErrProtocol, 0},
		"cut short inside": {func(s *wireServer) {
			b := good(0)
			binary.BigEndian.PutUint32(b, uint32(len(b)-8))
			s.write(b[:len(b)-4])
		}, ErrProtocol, 0},
		"HTTP": {func(s *wireServer) { s.write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, ErrProtocol, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := wirePair(t)
			var answers []<-chan produced
			for range 3 {
				answers = append(answers, produceAsync(t, c, oneBatch([]byte("batch"))))
			}
			s.read()
			s.read()
			test.reply(s)
			for i, a := range answers {
				got := get(t, a)
				want := ErrPerhapsSent
				switch {
				case i < test.ok:
					if got.err != nil {
						t.Errorf("request %d: %v", i, got.err)
					}
					continue
				case i == 2 && errors.Is(got.err, ErrNotSent): // the pipe may have taken a first piece of it
					want = ErrNotSent
				}
				if !errors.Is(got.err, want) || test.want != nil && i < 2 && !errors.Is(got.err, test.want) {
					t.Errorf("request %d: %v", i, got.err)
				}
			}
			get(t, c.Done())
			if err := c.Err(); err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Error(err)
			}
			if err := c.Produce(oneBatch(nil), nil); !errors.Is(err, ErrNotSent) {
				t.Error(err)
			}
			if _, err := c.Request(testContext(t), kmsg.NewPtrDescribeClusterRequest()); !errors.Is(err, ErrNotSent) {
				t.Error(err)
			}
		})
	}
}

// TestNeverWritten blocks the writer inside the first request: the second is
// surely not sent.
func TestNeverWritten(t *testing.T) {
	c, s := wirePair(t)
	first, second := produceAsync(t, c, oneBatch([]byte("1"))), produceAsync(t, c, oneBatch([]byte("2")))
	s.nc.Read(make([]byte, 5)) // the writer is inside the first
	s.nc.Close()
	if got := get(t, first); !errors.Is(got.err, ErrPerhapsSent) {
		t.Error(got.err)
	}
	if got := get(t, second); !errors.Is(got.err, ErrNotSent) {
		t.Error(got.err)
	}
}

// TestAnswerButNeverWritten answers a request that is never read to its end:
// such an answer is worth nothing.
func TestAnswerButNeverWritten(t *testing.T) {
	c, s := wirePair(t)
	a := produceAsync(t, c, oneBatch(bytes.Repeat([]byte("x"), 1000)))
	if _, err := io.ReadFull(s.nc, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	s.write(frame(0, produceReply(13, 5, 0)))
	s.nc.Close()
	if got := get(t, a); !errors.Is(got.err, ErrPerhapsSent) {
		t.Fatalf("%+v", got)
	}
	get(t, c.Done())
}

// TestOneCallbackAtATime refuses a request before it is written while the
// callback of an earlier one runs.
func TestOneCallbackAtATime(t *testing.T) {
	c, s := wirePair(t)
	asked, second, overlap := make(chan struct{}), make(chan error, 1), make(chan bool, 1)
	if err := c.Produce(oneBatch([]byte("1")), func(ProduceResponse, error) {
		req := oneBatch([]byte("2"))
		req.BeforeWrite = func() error { close(asked); return errors.New("lease lost") }
		if err := c.Produce(req, func(_ ProduceResponse, err error) { second <- err }); err != nil {
			t.Error(err)
		}
		<-asked
		select {
		case <-second:
			overlap <- true
		case <-time.After(50 * time.Millisecond): // time for a wrong Conn to show itself
			overlap <- false
		}
	}); err != nil {
		t.Fatal(err)
	}
	s.read()
	s.write(frame(0, produceReply(13, 0, 0)))
	if get(t, overlap) {
		t.Fatal("two callbacks at once")
	}
	if err := get(t, second); !errors.Is(err, ErrNotSent) {
		t.Fatal(err)
	}
}

// TestBeforeWrite refuses the second of three requests straight before it is
// written.
func TestBeforeWrite(t *testing.T) {
	c, s := wirePair(t)
	lease := errors.New("lease lost")
	refused := oneBatch([]byte("2"))
	refused.BeforeWrite = func() error { return lease }
	passed := oneBatch([]byte("3"))
	passed.BeforeWrite = func() error { return nil }
	first, second, third := produceAsync(t, c, oneBatch([]byte("1"))), produceAsync(t, c, refused), produceAsync(t, c, passed)
	s.read()
	if got := get(t, second); !errors.Is(got.err, lease) || !errors.Is(got.err, ErrNotSent) {
		t.Fatal(got.err)
	}
	r := s.read()
	if !bytes.Contains(r.body, []byte("3")) || r.corr != 2 {
		t.Fatalf("%+v", r)
	}
	s.write(frame(0, produceReply(13, 10, 0)))
	s.write(frame(2, produceReply(13, 11, 0)))
	if a, b := get(t, first), get(t, third); a.err != nil || b.err != nil || b.Partitions[0].BaseOffset != 11 {
		t.Fatal(a, b)
	}
}

// TestCloseInCallback must neither deadlock nor lose a callback.
func TestCloseInCallback(t *testing.T) {
	c, s := wirePair(t)
	rest := make(chan error, 1)
	if err := c.Produce(oneBatch([]byte("1")), func(ProduceResponse, error) {
		c.Close()
		if err := c.Produce(oneBatch([]byte("3")), nil); !errors.Is(err, ErrNotSent) {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := c.Produce(oneBatch([]byte("2")), func(_ ProduceResponse, err error) { rest <- err }); err != nil {
		t.Fatal(err)
	}
	s.read()
	s.read()
	s.write(frame(0, produceReply(13, 0, 0)))
	if err := get(t, rest); !errors.Is(err, ErrPerhapsSent) || !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	get(t, c.Done())
}

// TestFetchBuffersReturn: whatever a fetch ends with, its buffer is given
// back and the budget stays whole.
func TestFetchBuffersReturn(t *testing.T) {
	whole := frame(0, fetchReply(17, testBatch(t, 0, 3, "v")))
	cutOff := append([]byte(nil), whole[:20]...)
	binary.BigEndian.PutUint32(cutOff, 16)
	for name, reply := range map[string][]byte{"good": whole, "half": whole[:len(whole)-1], "cut short inside": cutOff, "size only": whole[:8]} {
		budget := &testBudget{limit: 1 << 20}
		c, s := wirePair(t)
		a := fetchAsync(t, c, fetchWithin(budget))
		s.read()
		s.write(reply)
		s.nc.Close()
		got := get(t, a)
		if (got.err == nil) != (name == "good") {
			t.Errorf("%s: %v", name, got.err)
		}
		if got.Buf != nil {
			got.Buf.Release()
		}
		get(t, c.Done())
		if budget.held != 0 {
			t.Errorf("%s: %d bytes held", name, budget.held)
		}
	}
	c, s := wirePair(t)
	a := fetchAsync(t, c, fetchWithin(&testBudget{}))
	s.read()
	s.write(whole[:8])
	if got := get(t, a); !errors.Is(got.err, errOverBudget) || !errors.Is(got.err, ErrPerhapsSent) {
		t.Error(got.err)
	}
}

// waitingBudget holds Reserve up until its context ends.
type waitingBudget struct{ asked chan struct{} }

func (b *waitingBudget) Reserve(ctx context.Context, _ int) error {
	close(b.asked)
	<-ctx.Done()
	return ctx.Err()
}
func (*waitingBudget) Release(int) {}

func TestCloseWhileWaitingForBudget(t *testing.T) {
	budget := &waitingBudget{asked: make(chan struct{})}
	c, s := wirePair(t)
	a := fetchAsync(t, c, fetchWithin(budget))
	s.read()
	s.write(frame(0, fetchReply(17, nil))[:8])
	get(t, budget.asked)
	c.Close()
	if got := get(t, a); !errors.Is(got.err, ErrClosed) {
		t.Error(got.err)
	}
	get(t, c.Done())
}

// TestCallbacksExactlyOnce hammers Conns from several goroutines while the
// broker dies at a random point.
func TestCallbacksExactlyOnce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for round := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, round))
		c, s := wirePair(t)
		budget := r.IntN(2000)
		go serveUntil(s.nc, budget)
		var mu sync.Mutex
		queued, answered, running, next := 0, map[int]int{}, 0, 0
		note := func(id int) {
			mu.Lock()
			defer mu.Unlock()
			if running++; running != 1 {
				t.Error("two callbacks at once")
			}
			answered[id]++
			running--
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for range 300 {
					mu.Lock()
					id := next
					next++
					mu.Unlock()
					var err error
					if id%2 == 0 {
						err = c.Produce(oneBatch([]byte("batch")), func(ProduceResponse, error) { note(id) })
					} else {
						err = c.Fetch(oneFetch(), func(r FetchResponse, err error) {
							if err == nil {
								r.Buf.Release()
							}
							note(id)
						})
					}
					if err != nil {
						return
					}
					mu.Lock()
					queued++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		c.Close()
		get(t, c.Done())
		if len(answered) != queued {
			t.Fatalf("round %d: %d requests, %d answered", round, queued, len(answered))
		}
		for id, n := range answered {
			if n != 1 {
				t.Fatalf("round %d: request %d answered %d times", round, id, n)
			}
		}
	}
}

package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// wireServer is the broker's end of a Conn, driven by the test.
type wireServer struct {
	t  testing.TB
	nc net.Conn
}

// wireRequest is a request as the broker gets it.
type wireRequest struct {
	key, version int16
	corr         int32
	body         []byte
}

// testVersions are what the fake broker speaks.
func testVersions() apiVersions {
	return apiVersions{
		keyProduce: {3, 13}, keyFetch: {4, 17}, 3: {0, 13}, 22: {0, 5}, 60: {0, 1}, 17: {0, 1}, 36: {0, 2}, keyAPIVersions: {0, 4},
	}
}

// wirePair returns a Conn and its broker's end, over an unbuffered pipe.
func wirePair(t testing.TB, change ...func(*connConfig)) (*Conn, *wireServer) {
	t.Helper()
	client, server := net.Pipe()
	return startConn(t, client, change...), &wireServer{t, server}
}

func startConn(t testing.TB, client net.Conn, change ...func(*connConfig)) *Conn {
	t.Helper()
	cfg := connConfig{
		broker: 1, clientID: "id", requestTimeout: 10 * time.Second, maxResponse: 1 << 20,
		buffers: NewBuffers(nil, 1<<20), total: new(counters),
	}
	for _, f := range change {
		f(&cfg)
	}
	c := newConn(client, testVersions(), cfg)
	t.Cleanup(func() { c.Close(); <-c.Done() })
	return c
}

func (s *wireServer) read() wireRequest {
	s.t.Helper()
	req, err := readRequest(s.nc)
	if err != nil {
		s.t.Fatal(err)
	}
	return req
}

func readRequest(r io.Reader) (wireRequest, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return wireRequest{}, err
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(r, b); err != nil {
		return wireRequest{}, err
	}
	return wireRequest{
		key: int16(binary.BigEndian.Uint16(b)), version: int16(binary.BigEndian.Uint16(b[2:])),
		corr: int32(binary.BigEndian.Uint32(b[4:])), body: b[8+2+2+1:],
	}, nil
}

// frame returns a response as bytes; resp's version must be set.
func frame(corr int32, resp kmsg.Response) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(corr))
	if resp.IsFlexible() {
		b = append(b, 0)
	}
	b = resp.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

func (s *wireServer) write(b []byte) {
	s.t.Helper()
	if _, err := s.nc.Write(b); err != nil {
		s.t.Fatal(err)
	}
}

// produceReply accepts the one partition t/0 at offset, after throttle ms.
func produceReply(version int16, offset int64, throttle int32) *kmsg.ProduceResponse {
	p := kmsg.NewProduceResponseTopicPartition()
	p.BaseOffset = offset
	t := kmsg.NewProduceResponseTopic()
	t.Topic, t.TopicID, t.Partitions = "t", [16]byte{1}, append(t.Partitions, p)
	resp := kmsg.NewPtrProduceResponse()
	resp.Version, resp.ThrottleMillis, resp.Topics = version, throttle, append(resp.Topics, t)
	return resp
}

func fetchReply(version int16, records []byte) *kmsg.FetchResponse {
	p := kmsg.NewFetchResponseTopicPartition()
	p.RecordBatches = records
	t := kmsg.NewFetchResponseTopic()
	t.Topic, t.TopicID, t.Partitions = "t", [16]byte{1}, append(t.Partitions, p)
	resp := kmsg.NewPtrFetchResponse()
	resp.Version, resp.Topics = version, append(resp.Topics, t)
	return resp
}

func oneBatch(batch []byte) *ProduceRequest {
	return &ProduceRequest{Timeout: time.Second, Partitions: []ProducePartition{{Topic: "t", TopicID: [16]byte{1}, Batch: batch}}}
}

func oneFetch() *FetchRequest {
	return &FetchRequest{MaxWait: 500 * time.Millisecond, Partitions: []FetchPartition{{Topic: "t", TopicID: [16]byte{1}}}}
}

// TestPipelined queues requests of all kinds before the first answer and gets
// the answers in order.
func TestPipelined(t *testing.T) {
	c, s := wirePair(t)
	batch := testBatch(0, 3, "value")
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

// TestAnswerBeforeWritten answers a request of which the broker has read the
// beginning only. The batch is still being read by the writer, so the
// callback must wait.
func TestAnswerBeforeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := wirePair(t)
		a := produceAsync(t, c, oneBatch(bytes.Repeat([]byte("x"), 1000)))
		if _, err := io.ReadFull(s.nc, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		s.write(frame(0, produceReply(13, 5, 0)))
		synctest.Wait()
		select {
		case got := <-a:
			t.Fatalf("answered while being written: %+v", got)
		default:
		}
		go io.Copy(io.Discard, s.nc)
		if got := get(t, a); got.err != nil || got.Partitions[0].BaseOffset != 5 {
			t.Fatalf("%+v", got)
		}
		c.Close()
		<-c.Done()
		s.nc.Close()
	})
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

func TestSilentBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := wirePair(t)
		start := time.Now()
		a := produceAsync(t, c, oneBatch([]byte("1")))
		s.read()
		time.Sleep(3 * time.Second)
		b := produceAsync(t, c, oneBatch([]byte("2"))) // must not lengthen the first one's time
		s.read()
		if got := get(t, a); !errors.Is(got.err, ErrTimeout) || !errors.Is(got.err, ErrPerhapsSent) {
			t.Error(got.err)
		}
		if got := get(t, b); !errors.Is(got.err, ErrPerhapsSent) {
			t.Error(got.err)
		}
		// request timeout 10 s, and the 1 s that the broker may take for itself
		if took := time.Since(start); took < 11*time.Second || took > 12*time.Second {
			t.Errorf("took %v", took)
		}
		s.nc.Close()
	})
}

// TestSlowButAlive answers each of three requests just within its own time: a
// broker answers one after another, so the last may take three times as long.
func TestSlowButAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := wirePair(t)
		var answers []<-chan produced
		for range 3 {
			answers = append(answers, produceAsync(t, c, oneBatch([]byte("b"))))
		}
		for range 3 {
			s.read()
		}
		for i := range int32(3) {
			time.Sleep(10 * time.Second)
			s.write(frame(i, produceReply(13, 0, 0)))
		}
		for i, a := range answers {
			if got := get(t, a); got.err != nil {
				t.Errorf("request %d: %v", i, got.err)
			}
		}
		time.Sleep(time.Hour) // idle is no reason to die
		if err := c.Err(); err != nil {
			t.Error(err)
		}
		c.Close()
		<-c.Done()
		s.nc.Close()
	})
}

// TestStuckWrite: the broker stops reading.
func TestStuckWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := wirePair(t)
		a, b := produceAsync(t, c, oneBatch([]byte("1"))), produceAsync(t, c, oneBatch([]byte("2")))
		if got := get(t, a); !errors.Is(got.err, ErrTimeout) || !errors.Is(got.err, ErrPerhapsSent) {
			t.Error(got.err)
		}
		if got := get(t, b); !errors.Is(got.err, ErrNotSent) {
			t.Error(got.err)
		}
		<-c.Done()
		s.nc.Close()
	})
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := wirePair(t)
		first := produceAsync(t, c, oneBatch([]byte("1")))
		s.read()
		start := time.Now()
		s.write(frame(0, produceReply(13, 0, 2000)))
		if got := get(t, first); got.Throttle != 2*time.Second {
			t.Fatalf("%+v", got)
		}
		second := fetchAsync(t, c, oneFetch())
		r := s.read()
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("the next request came after %v", d)
		}
		s.write(frame(r.corr, fetchReply(r.version, nil)))
		get(t, second).Buf.Release()
		if d := c.Stats().Throttled; d != 2*time.Second {
			t.Errorf("%v throttled", d)
		}
		third := produceAsync(t, c, oneBatch([]byte("3")))
		s.read()
		s.write(frame(2, produceReply(13, 0, 3600_000)))
		get(t, third)
		fourth := produceAsync(t, c, oneBatch([]byte("4")))
		synctest.Wait()
		c.Close() // a muted writer must notice
		if got := get(t, fourth); !errors.Is(got.err, ErrNotSent) || !errors.Is(got.err, ErrClosed) {
			t.Error(got.err)
		}
		<-c.Done()
		s.nc.Close()
	})
}

// TestLoginRenewed: the login holds 10 s, so it is renewed before the first
// request after 8.5 s, behind what is in flight and ahead of what is queued.
func TestLoginRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mech := plain.Auth{User: "u", Pass: "p"}.AsMechanism()
		c, s := wirePair(t, func(cfg *connConfig) { cfg.login, cfg.loginHolds = newLogin(mech, "host"), 10*time.Second })
		time.Sleep(8400 * time.Millisecond)
		first := produceAsync(t, c, oneBatch([]byte("1")))
		s.read()
		time.Sleep(200 * time.Millisecond)
		second := produceAsync(t, c, oneBatch([]byte("2")))
		hello := s.read()
		if hello.key != 17 {
			t.Fatalf("%+v", hello)
		}
		s.write(frame(0, produceReply(13, 1, 0)))
		if got := get(t, first); got.err != nil {
			t.Fatal(got.err)
		}
		agreed := kmsg.NewPtrSASLHandshakeResponse()
		agreed.Version = hello.version
		s.write(frame(hello.corr, agreed))
		token := s.read()
		if token.key != 36 || !bytes.Contains(token.body, []byte("u\x00p")) {
			t.Fatalf("%+v", token)
		}
		welcome := kmsg.NewPtrSASLAuthenticateResponse()
		welcome.Version, welcome.SessionLifetimeMillis = token.version, 10_000
		s.write(frame(token.corr, welcome))
		if r := s.read(); r.key != keyProduce || r.corr != 1 {
			t.Fatalf("%+v", r)
		}
		s.write(frame(1, produceReply(13, 2, 0)))
		if got := get(t, second); got.err != nil {
			t.Fatal(got.err)
		}
		time.Sleep(time.Minute) // idle for longer than the login holds
		third, fourth := produceAsync(t, c, oneBatch([]byte("3"))), produceAsync(t, c, oneBatch([]byte("4")))
		hello = s.read()
		agreed.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		s.write(frame(hello.corr, agreed))
		for _, a := range []<-chan produced{third, fourth} {
			if got := get(t, a); !errors.Is(got.err, ErrNotSent) || !errors.Is(got.err, kerr.UnsupportedSaslMechanism) {
				t.Fatal(got.err)
			}
		}
		<-c.Done()
		s.nc.Close()
	})
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

// TestRequestGivenUp ends the context of one request that is written and of
// one that is queued.
func TestRequestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := wirePair(t)
		errs := make([]error, 2)
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = c.Request(ctx, kmsg.NewPtrInitProducerIDRequest()) })
			synctest.Wait() // the first fills the pipe, the second waits behind it
		}
		cancel()
		wg.Wait()
		if !errors.Is(errs[0], ErrPerhapsSent) || !errors.Is(errs[1], ErrNotSent) || !errors.Is(errs[0], context.Canceled) {
			t.Fatal(errs)
		}
		third := produceAsync(t, c, oneBatch([]byte("3")))
		if r := s.read(); r.key != 22 {
			t.Fatalf("%+v", r)
		}
		if r := s.read(); r.key != keyProduce {
			t.Fatalf("the request given up was written: %+v", r)
		}
		late := kmsg.NewPtrInitProducerIDResponse()
		late.Version = 5
		s.write(frame(0, late))
		s.write(frame(2, produceReply(13, 7, 0)))
		if got := get(t, third); got.err != nil || got.Partitions[0].BaseOffset != 7 {
			t.Fatalf("%+v", got)
		}
		c.Close()
		<-c.Done()
		s.nc.Close()
	})
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
	whole := frame(0, fetchReply(17, testBatch(0, 3, "v")))
	cutOff := append([]byte(nil), whole[:20]...)
	binary.BigEndian.PutUint32(cutOff, 16)
	for name, reply := range map[string][]byte{"good": whole, "half": whole[:len(whole)-1], "cut short inside": cutOff, "size only": whole[:8]} {
		budget := &testBudget{limit: 1 << 20}
		c, s := wirePair(t, func(cfg *connConfig) { cfg.buffers = NewBuffers(budget, 0) })
		a := fetchAsync(t, c, oneFetch())
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
	c, s := wirePair(t, func(cfg *connConfig) { cfg.buffers = NewBuffers(&testBudget{}, 0) })
	a := fetchAsync(t, c, oneFetch())
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
	c, s := wirePair(t, func(cfg *connConfig) { cfg.buffers = NewBuffers(budget, 0) })
	a := fetchAsync(t, c, oneFetch())
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

// serveUntil answers requests until it has moved about n bytes, then closes.
func serveUntil(nc net.Conn, n int) {
	defer nc.Close()
	for n > 0 {
		req, err := readRequest(io.LimitReader(nc, int64(n)))
		if err != nil {
			return
		}
		var resp kmsg.Response = fetchReply(req.version, []byte("records"))
		if req.key == keyProduce {
			resp = produceReply(req.version, 0, 0)
		}
		b := frame(req.corr, resp)
		n -= len(req.body) + 13 + len(b)
		if n < 0 {
			b = b[:max(0, len(b)+n)]
		}
		if _, err := nc.Write(b); err != nil {
			return
		}
	}
}

package kafka

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

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

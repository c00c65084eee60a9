package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestKafkaProxyHoldsNthRequest(t *testing.T) {
	r := newRig(t)
	f := r.AddRule(Rule{APIs: []int16{Produce}, First: 3, Count: 1, Do: Hold})
	r.produce(1, 5)
	r.answered(1, 2)
	if err := f.WaitChosen(testContext(t), 1); err != nil {
		t.Fatal(err)
	}
	silent(t, r.conn)
	r.reached(2)
	if f.Held() != 1 {
		t.Errorf("held %d", f.Held())
	}
	f.Release()
	r.answered(3, 5)
	r.reached(5)
}

func TestKafkaProxyDeliversAfterTheOwnersDeath(t *testing.T) {
	for _, how := range []Close{FIN, RST} {
		r := newRig(t)
		f := r.AddRule(Rule{APIs: []int16{Produce}, First: 2, Count: 1, Do: Hold})
		r.produce(1, 2)
		r.answered(1, 1)
		if err := f.WaitChosen(testContext(t), 1); err != nil {
			t.Fatal(err)
		}
		closeConn(r.conn, how)
		if err := r.Wait(testContext(t), func() bool { return r.Orphans() == 1 }); err != nil {
			t.Fatal(err)
		}
		r.broker.wants(t, "n1t1")
		r.reached(1)
		f.Release()
		r.broker.wants(t, "n1t2")
	}
}

// A broker that has not read yet when the client ends still gets all that was sent.
func TestKafkaProxyEndsInOrderAtTheBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := NewKafkaProxy()
	defer p.Close()
	client := dial(t, p.Via(0, l.Addr().String()), "")
	broker, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	sent := request(Produce, 1, "n1", "t1")
	send(t, client, string(sent))
	client.Close()
	if err := p.Wait(testContext(t), func() bool { return p.Orphans() == 1 && p.Counts(Produce).Requests == 1 }); err != nil {
		t.Fatal(err)
	}
	broker.SetDeadline(time.Now().Add(30 * time.Second))
	if got, err := io.ReadAll(broker); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("the broker read %d bytes of %d, %v", len(got), len(sent), err)
	}
}

func TestKafkaProxyLosesTheAckOfEach(t *testing.T) {
	for lost := 1; lost <= 5; lost++ {
		for _, how := range []Close{FIN, RST} {
			r := newRig(t)
			f := r.AddRule(Rule{Side: OnResponse, APIs: []int16{Produce}, First: lost, Count: 1, Do: Hold})
			r.produce(1, 5)
			r.reached(5)
			if err := f.WaitChosen(testContext(t), 1); err != nil {
				t.Fatal(err)
			}
			f.CloseClient(how)
			r.answeredOrEnd(lost, how)
			r.conn = dial(t, r.addr, "")
			r.produce(6, 6)
			r.answered(6, 6)
		}
	}
}

// answeredOrEnd reads the answers before the lost one, then the connection's end. A reset may
// overtake answers in the kernel of the receiver.
func (r *rig) answeredOrEnd(lost int, how Close) {
	r.t.Helper()
	got, err := io.ReadAll(r.conn)
	if how == FIN && (err != nil || len(got) != 12*(lost-1)) {
		r.t.Fatalf("%d bytes, %v; want %d answers and the end", len(got), err, lost-1)
	}
	if how == RST && (err == nil || len(got) > 12*(lost-1)) {
		r.t.Fatalf("%d bytes, %v; want at most %d answers and a reset", len(got), err, lost-1)
	}
}

func TestKafkaProxyClosesAtAResponse(t *testing.T) {
	r := newRig(t)
	r.AddRule(Rule{Side: OnResponse, First: 2, Count: 1, Do: CloseClient})
	r.produce(1, 1)
	r.answered(1, 1)
	r.produce(2, 2)
	if got, err := io.ReadAll(r.conn); err != nil || len(got) != 0 {
		t.Errorf("%d bytes, %v; want the end", len(got), err)
	}
	r.reached(2)
}

func TestKafkaProxyEndsAtARequest(t *testing.T) {
	for _, do := range []Action{CloseClient, CloseBoth} {
		r := newRig(t)
		r.AddRule(Rule{First: 3, Count: 1, Do: do})
		r.produce(1, 2)
		r.answered(1, 2)
		r.produce(3, 3)
		io.ReadAll(r.conn)
		if err := r.Wait(testContext(t), func() bool { return r.Open() == 0 }); err != nil {
			t.Fatal(err)
		}
		r.reached(2)
	}
}

func TestKafkaProxyDropsAndDelays(t *testing.T) {
	r := newRig(t)
	drop := r.AddRule(Rule{Side: OnResponse, First: 2, Count: 2, Do: Drop})
	r.produce(1, 4)
	r.answered(1, 1)
	r.answered(4, 4)
	drop.Release()
	r.AddRule(Rule{Do: Delay, Delay: 30 * time.Millisecond})
	start := time.Now()
	r.produce(5, 5)
	r.answered(5, 5)
	if took := time.Since(start); took < 30*time.Millisecond {
		t.Errorf("answered after %v", took)
	}
}

func TestKafkaProxyChooses(t *testing.T) {
	for name, tc := range map[string]struct {
		rule Rule
		want bool
	}{
		"any":              {Rule{}, true},
		"api":              {Rule{APIs: []int16{1, Produce}}, true},
		"other api":        {Rule{APIs: []int16{Fetch}}, false},
		"client":           {Rule{ClientPrefix: "n"}, true},
		"other client":     {Rule{ClientPrefix: "n2"}, false},
		"body":             {Rule{BodyContains: "t1"}, true},
		"other body":       {Rule{BodyContains: "t2"}, false},
		"broker":           {Rule{Brokers: []int{0}}, true},
		"other broker":     {Rule{Brokers: []int{1}}, false},
		"later":            {Rule{First: 2}, false},
		"response":         {Rule{Side: OnResponse, ClientPrefix: "n1"}, true},
		"response, body":   {Rule{Side: OnResponse, BodyContains: "t1"}, true},
		"response, no":     {Rule{Side: OnResponse, BodyContains: "t2"}, false},
		"response, client": {Rule{Side: OnResponse, ClientPrefix: "n2"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			tc.rule.Do = Delay
			f := r.AddRule(tc.rule)
			r.produce(1, 1)
			r.answered(1, 1)
			if got := f.Chosen() == 1; got != tc.want {
				t.Errorf("chosen: %v, want %v", got, tc.want)
			}
		})
	}
}

func TestKafkaProxyCut(t *testing.T) {
	for _, how := range []Heal{Deliver, Reset} {
		r := newRig(t)
		r.produce(1, 1)
		r.answered(1, 1)
		other := dial(t, r.addr, "")
		heal := r.Cut("n1")
		r.produce(2, 3)
		silent(t, r.conn)
		if _, err := other.Write(request(Produce, 1, "n2", "")); err != nil {
			t.Fatal(err)
		}
		receive(t, other, string(append([]byte{0, 0, 0, 8, 0, 0, 0, 1}, 0, 0, 0, 0)))
		heal(how)
		if how == Deliver {
			r.answered(2, 3)
			continue
		}
		wantReset(t, r.conn)
		r.reached(2) // the first and the other client's
	}
}

func TestKafkaProxyRefusesOtherProtocols(t *testing.T) {
	r := newRig(t)
	p := r.KafkaProxy
	send(t, r.conn, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc") // a TLS hello
	if _, err := r.conn.Read(make([]byte, 1)); err == nil {
		t.Error("it got an answer")
	}
	if !errors.Is(p.Err(), errNotKafka) {
		t.Errorf("error %v", p.Err())
	}
	p.mu.Lock()
	p.errs = nil
	p.mu.Unlock()
}

// kfakeThrough starts a fake cluster and a client whose every connection goes through a proxy.
func kfakeThrough(t testing.TB, p *KafkaProxy, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	via := map[string]string{}
	for i, addr := range c.ListenAddrs() {
		via[addr] = p.Via(i, addr)
	}
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("t"),
		kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, via[addr])
		})}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// An idempotent producer whose acknowledgements get lost writes each record once all the same.
func TestKafkaProxyWithARealClient(t *testing.T) {
	p := NewKafkaProxy()
	t.Cleanup(p.Close)
	cl := kfakeThrough(t, p, kgo.ClientID("node-1"), kgo.ConsumeTopics("t"), kgo.ProducerLinger(0))
	ctx := testContext(t)
	f := p.AddRule(Rule{Side: OnResponse, APIs: []int16{Produce}, ClientPrefix: "node-", First: 2, Count: 1, Do: CloseClient, How: RST})
	const n = 20
	for i := range n {
		if err := cl.ProduceSync(ctx, kgo.StringRecord(fmt.Sprint(i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if f.Chosen() != 1 {
		t.Errorf("the fault was chosen %d times", f.Chosen())
	}
	var got []string
	for len(got) < n {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	for i, v := range got {
		if v != fmt.Sprint(i) {
			t.Fatalf("record %d is %s: %v", i, v, got)
		}
	}
	if c := p.Counts(kmsg.Metadata.Int16()); c.Requests == 0 || c.Responses != c.Requests || c.ResponseBytes == 0 {
		t.Errorf("metadata counts %+v", c)
	}
	if err := p.Err(); err != nil {
		t.Error(err)
	}
}

// BenchmarkKafkaProxy sends pipelined produce requests of 512 KiB.
func BenchmarkKafkaProxy(b *testing.B) {
	r := newRig(b)
	req := request(Produce, 1, "n1", string(bytes.Repeat([]byte("x"), 512<<10)))
	b.SetBytes(int64(len(req)))
	r.conn.SetDeadline(time.Now().Add(5 * time.Minute))
	b.ResetTimer()
	go func() {
		for range b.N {
			r.conn.Write(req)
		}
	}()
	io.CopyN(io.Discard, r.conn, int64(12*b.N))
}

// BenchmarkWire sends one way through a wire.
func BenchmarkWire(b *testing.B) {
	w := openWire(b, echoServer(b))
	c := dial(b, w.Addr(), "")
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	block := make([]byte, 512<<10)
	b.SetBytes(int64(len(block)))
	go func() {
		for range b.N {
			c.Write(block)
		}
	}()
	io.CopyN(io.Discard, c, int64(len(block)*b.N))
}
